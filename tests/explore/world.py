"""The world as the explorer sees it: processes, ledger, targets, what is under way, and what may still go wrong.

Runs, faults and processes are small numbers; `Scene` says which there are. A World is hashed, so it holds nothing
that does not matter: no words, no times, no counts of tries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from chaos_runner import lifecycle
from chaos_runner.lifecycle import Command, Event, Life

R, G, C, S = range(4)
NAMES = ("runner", "guardian", "recovery", "second runner")
DEAD, GONE, IDLE = "dead", "gone", "idle"  # killed; ended by itself; not started (again)


class Kind(NamedTuple):
    """What a fault is: its run, its target, the aspect it occupies there."""

    run: int = 0
    target: int = 0
    aspect: str = ""
    fences: bool = True
    reversible: bool = True


class Scene(NamedTuple):
    """What there is, and how much may go wrong; `stranger` is a runner that recovery does not see: see `model`."""

    title: str
    faults: tuple[Kind, ...]
    deaths: int = 2
    late: int = 1
    lost: int = 1
    stranger: str = ""
    early: bool = False  # a fault's time may be over while another one is held
    lease: bool = False  # the embedded proxy


class Rules(NamedTuple):
    """How the program goes about it. The defaults are the program; a mistake replaces one of them."""

    step: Callable[[Life, Event], lifecycle.Step] = lifecycle.step
    orphan_step: Callable[[Life, Event], lifecycle.Step] = lifecycle.step
    asserts_epoch: bool = True
    one_per_aspect: bool = True
    guardian_kills: bool = True
    recovery_kills: bool = True
    recovery_bumps: bool = True
    kills_before_it_bumps: bool = True
    fence_needs_lease: bool = True
    relieved_by_a_takeover: bool = False
    undoes_what_is_watched: bool = False
    shielded: bool = True


class Task(NamedTuple):
    """One `drive.Drive`: a fault in the hands of one process. `unsaid` is what its ledger row is still to become."""

    fault: int
    life: Life
    todo: tuple[Command, ...] = ()
    unsaid: str = ""
    over: bool = False


class Proc(NamedTuple):
    """A living process: how far it is, and its drives in the order of their intents."""

    phase: str
    tasks: tuple[Task, ...] = ()
    run: int = 0
    held: tuple[bool, ...] = ()  # the guardian's memory, by fault
    watched: tuple[bool, ...] = ()  # of these it was told that only the watch is left
    deaf: bool = False  # the guardian's journal gave up


class Run(NamedTuple):
    """A row of the ledger's table `run`. Whoever holds the newest epoch is its owner."""

    owner: int = -1
    ended: str = ""


class Left(NamedTuple):
    """How much may still go wrong."""

    deaths: int
    late: int
    lost: int
    stranger: int


class World(NamedTuple):
    """One state. `rows` and `slots` go by fault: the ledger's row; what is under the fault's name on the target."""

    procs: tuple[Any, ...]
    runs: tuple[Run, ...]
    rows: tuple[str, ...]
    slots: tuple[str, ...]
    flights: tuple[tuple[int, str], ...]
    left: Left
    sent: tuple[bool, ...]
    hands: tuple[int, ...]  # who sent undo requests: -1 nobody, a process, or SEVERAL
    leased: bool = False
    wrong: str = ""  # what a step broke


SEVERAL = 9
Move = tuple[str, World]
_OPEN_ROWS = frozenset({"OPEN", "WATCHING"})


def start(scene: Scene) -> World:
    """The run is durable, its guardian is ready, and nothing was touched yet."""
    n = len(scene.faults)
    runs = max(fault.run for fault in scene.faults) + 1
    guardian = Proc("watch", held=(False,) * n)
    return World(
        procs=(Proc("in"), guardian, IDLE, IDLE),
        runs=(Run(owner=R), *(Run() for _ in range(1, runs))),
        rows=("",) * n,
        slots=("",) * n,
        flights=(),
        left=Left(scene.deaths, scene.late, scene.lost, 1 if scene.stranger else 0),
        sent=(False,) * n,
        hands=(-1,) * n,
        leased=scene.lease,
    )


def row_of(state: str) -> str:
    """What recovery can tell apart in a row's state; see `orphans._life`."""
    return state if state in {"WATCHING", "CLOSED", "SPENT"} else "OPEN"


def is_open(row: str) -> bool:
    """Whether the ledger takes this row for open; `schema.OPEN`."""
    return row in _OPEN_ROWS


def put(items: tuple[Any, ...], at: int, item: Any) -> tuple[Any, ...]:
    """The tuple with one item replaced."""
    return (*items[:at], item, *items[at + 1 :])


def with_proc(world: World, who: int, proc: Any) -> World:
    return tuple.__new__(World, (put(world[0], who, proc), *world[1:]))  # half of all work: `_replace` is slow


def fault_name(fault: int) -> str:
    return f"f{fault + 1}"


_lives: dict[Life, Life] = {}
_steps: dict[tuple[Any, Life, Event], tuple[Life, tuple[Command, ...]]] = {}


def stepped(step: Callable[[Life, Event], lifecycle.Step], life: Life, event: Event) -> lifecycle.Step:
    """The step, with what changes nothing taken out: words, and how often something was tried.

    While watching the count matters (`WATCH_LOOKS_MAX`), and it is bounded by how much may go wrong.
    """
    key = (step, life, event)
    known = _steps.get(key)
    if known is None:
        after, commands = step(life, event)
        tries = after.attempts if after.state == "WATCHING" else min(after.attempts, 1)
        after = msgspec.structs.replace(after, why="", attempts=tries)
        plain = tuple(command for command in map(_plain, commands) if command is not None)
        known = _steps[key] = _lives.setdefault(after, after), plain
    return known


def _plain(command: Command) -> Command | None:
    match command:
        case lifecycle.Save(state):
            return lifecycle.Save(state)
        case lifecycle.Retry():
            return lifecycle.Retry(0.0)
        case lifecycle.Shout():
            return None
        case _:
            return command
