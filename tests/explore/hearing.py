"""How a drive hears an answer: the real `lifecycle.step`, and what `Drive` does with the commands at once."""

from __future__ import annotations

from typing import NamedTuple

from chaos_runner import lifecycle
from chaos_runner.lifecycle import Event
from tests.explore.world import (
    DEAD,
    GONE,
    IDLE,
    NAMES,
    C,
    G,
    Proc,
    R,
    Rules,
    Scene,
    Task,
    World,
    put,
    row_of,
    stepped,
    with_proc,
)


class At(NamedTuple):
    """One drive: which process, which of its tasks, and what it is to do next."""

    scene: Scene
    rules: Rules
    who: int
    task: int
    fault: int
    keep_on: bool = False

    def says(self, what: str) -> str:
        return f"{NAMES[self.who]}: {what}"


def alive(world: World, who: int) -> bool:
    return world.procs[who] not in (DEAD, GONE, IDLE)


def with_task(world: World, who: int, at: int, task: Task) -> World:
    proc: Proc = world.procs[who]
    return with_proc(world, who, tuple.__new__(Proc, (proc[0], put(proc[1], at, task), *proc[2:])))


def fed(at: At, world: World, event: Event) -> World:
    """The drive hears an answer: `Drive._follow`. What is saved while coming out is kept back: `Drive._defer`."""
    task: Task = world.procs[at.who].tasks[at.task]
    step = at.rules.orphan_step if at.who in (G, C) else at.rules.step
    going_in = task.life.state in {"PLANNED", "INTENT"} and not isinstance(event, lifecycle.UndoAsked)
    life, commands = stepped(step, task.life, event)
    unsaid, todo = task.unsaid, task.todo
    for command in commands:
        if isinstance(command, lifecycle.Save):
            row = row_of(command.state)
            if not going_in:
                unsaid = _unsaid(at, world, unsaid, row)
            elif row != "OPEN":  # INTENT, INJECTED and UNKNOWN are one to whoever recovers
                todo = (*todo, command)
        elif at.who == R or not isinstance(command, lifecycle.Disarm):
            todo = (*todo, command)
    return with_task(world, at.who, at.task, task._replace(life=life, todo=todo, unsaid=unsaid))


def _unsaid(at: At, world: World, before: str, row: str) -> str:
    if refused(at.rules, world, at.who, at.scene.faults[at.fault].run):
        return ""
    return "" if row == world.rows[at.fault] and not before else row


def refused(rules: Rules, world: World, who: int, run: int) -> bool:
    """Whether the ledger takes nothing from it any more: `ledger._assert_epoch`, `ThreadJournal._take_over`."""
    owner = world.runs[run].owner
    if who == G:
        return owner not in (G, R) or world.procs[G].deaf
    return owner != who and (rules.recovery_bumps or who != C)


def lost(world: World) -> World | None:
    left = world.left
    return world._replace(left=left._replace(lost=left.lost - 1)) if left.lost else None


def held(world: World, fault: int, what: str) -> World | None:
    left = world.left
    if not left.late:
        return None
    flights = tuple(sorted((*world.flights, (fault, what))))
    return world._replace(left=left._replace(late=left.late - 1), flights=flights)
