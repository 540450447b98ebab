"""Every next state of the world: what each process, the network and death can do. See `driving` for the commands.

Time is abstract, and that is an assumption, not a result: what the network holds lands before a watch period is over,
and a request that was answered does not land again. Any process may be as slow as it likes, which is why being
stopped or hung needs no state of its own. A `stranger` is a runner that recovery takes for dead although it lives:
`misjudged`, and then killed; or `unseen`, in another container, where nobody can kill it, but which is not slow.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.explore.asking import fenced, land
from tests.explore.guardian import guardian_moves
from tests.explore.hearing import alive
from tests.explore.recovery import recovery_moves
from tests.explore.runner import runner_moves
from tests.explore.undoing import killed
from tests.explore.world import (
    IDLE,
    NAMES,
    C,
    G,
    Move,
    Proc,
    R,
    Rules,
    Run,
    S,
    Scene,
    World,
    fault_name,
    is_open,
    put,
    with_proc,
)


def moves(scene: Scene, rules: Rules, world: World) -> Iterator[Move]:
    """Everything that can happen next."""
    yield from _network(scene, world)
    yield from _deaths(world)
    for who in (R, S):
        if alive(world, who):
            yield from runner_moves(scene, rules, world, who)
    if alive(world, G):
        yield from guardian_moves(scene, rules, world)
    yield from recovery_moves(scene, rules, world)
    yield from _people(scene, world)


def _network(scene: Scene, world: World) -> Iterator[Move]:
    for flight in dict.fromkeys(world.flights):
        fault, what = flight
        flights = list(world.flights)
        flights.remove(flight)
        rest = world._replace(flights=tuple(flights))
        name = fault_name(fault)
        if what == "undo":
            yield f"network: the undo of {name} lands late", rest._replace(slots=put(rest.slots, fault, ""))
        elif what == "fence":
            yield f"network: the fence of {name} lands late", fenced(scene, rest, fault)
        else:
            landed = land(scene, rest, fault)
            if landed is not rest and _fenced_by_one(scene, world, fault):
                landed = landed._replace(wrong="F: a late request did harm behind a fence")
            yield f"network: the request of {name} lands late", landed
    if scene.lease and not world.leased and _renews(world, undoing=True):
        yield "proxy: the lease is made again by who undoes", world._replace(leased=True)
    if world.leased and not _renews(world):
        slots = tuple("" if kind.fences else slot for kind, slot in zip(scene.faults, world.slots, strict=True))
        lapsed = world._replace(leased=False, slots=slots, hands=(-1,) * len(slots))  # the fences are gone too
        yield "proxy: the lease lapses, its toxics are gone", lapsed


def _fenced_by_one(scene: Scene, world: World, fault: int) -> bool:
    """Whether the fault was read as gone by the only one who ever undid it, and who lives."""
    hand = world.hands[fault]
    if not scene.faults[fault].fences or not 0 <= hand <= S or not alive(world, hand):
        return False
    return any(task.fault == fault and task.life.state == "WATCHING" for task in world.procs[hand].tasks)


def _renews(world: World, *, undoing: bool = False) -> bool:
    """`Attendance.keep_lease`, `orphans.leased`: the runner, and who undoes."""
    guardian = alive(world, G) and world.procs[G].phase != "watch"
    recovery = alive(world, C) and bool(world.procs[C].tasks)
    return guardian or recovery or (alive(world, R) and not undoing)


def _deaths(world: World) -> Iterator[Move]:
    if not world.left.deaths:
        return
    for who in (R, G, C, S):
        if alive(world, who):
            yield f"{NAMES[who]}: dies", killed(world, who)


def _people(scene: Scene, world: World) -> Iterator[Move]:
    if len(world.runs) > 1 and world.procs[S] == IDLE and world.runs[1].owner < 0 and _admitted(scene, world):
        begun = world._replace(runs=put(world.runs, 1, Run(S)))
        yield "second runner: finds the place free, begins run B", with_proc(begun, S, Proc("in", run=1))


def _admitted(scene: Scene, world: World) -> bool:
    """`conduct._recover_first` and `admission._check_places`; the operator allows two runs at once."""
    owner, ended = world.runs[0]
    rows = [row for row, kind in zip(world.rows, scene.faults, strict=True) if kind.run == 0 and is_open(row)]
    unfinished = not ended or rows
    return not rows and (not unfinished or alive(world, owner))
