"""What may come of each command of a fault's life: `drive.Drive` against ledger, guardian and target (`asking`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chaos_runner import lifecycle
from chaos_runner.lifecycle import Command
from tests.explore import asking
from tests.explore.hearing import At, alive, fed, lost, refused, with_task
from tests.explore.world import (
    C,
    G,
    Move,
    R,
    Scene,
    Task,
    World,
    fault_name,
    is_open,
    put,
    row_of,
    with_proc,
)


def settled(at: At, world: World) -> World:
    """What nobody else can see happens at once: a watch that is left to others, a DISARM that nobody waits for.

    A drive that has nothing left to do has returned.
    """
    task: Task = world.procs[at.who].tasks[at.task]
    todo = task.todo
    while todo and _unseen(at, world, todo[0]):
        todo = todo[1:]
    over = task.over or not todo
    return world if todo is task.todo and over is task.over else _returned(at, world, task, todo, over=over)


def _returned(at: At, world: World, task: Task, todo: tuple[Command, ...], *, over: bool) -> World:
    return with_task(world, at.who, at.task, task._replace(todo=todo, over=over))


def _unseen(at: At, world: World, command: Command) -> bool:
    if isinstance(command, lifecycle.Watch):
        return not at.keep_on and command.seconds > 0
    guardian = world.procs[G]
    listens = alive(world, G) and guardian.phase == "watch" and guardian.held[at.fault]
    return isinstance(command, lifecycle.Disarm) and not listens


def drive(at: At, world: World) -> Iterator[Move]:
    """Everything that may come of the drive's next command."""
    task: Task = world.procs[at.who].tasks[at.task]
    head = task.todo[0]
    after = with_task(world, at.who, at.task, task._replace(todo=task.todo[1:]))
    yield from _OUTCOMES[type(head)](at, after, head)


def _save_intent(at: At, world: World, _command: Command) -> Iterator[Move]:
    """`ledger.commit_intent`: asserts the epoch, and that the place on the target is free."""
    f, mine = at.fault, at.scene.faults[at.fault]
    run = world.runs[mine.run]
    ours = run.owner == at.who and not run.ended
    place = (mine.target, mine.aspect)
    taken = any(
        is_open(row) and (kind.target, kind.aspect) == place
        for row, kind in zip(world.rows, at.scene.faults, strict=True)
    )
    if at.rules.asserts_epoch and not ours:
        yield at.says(f"INTENT of {fault_name(f)} is refused: the run has another owner"), _no_intent(at, world)
        return
    if at.rules.one_per_aspect and taken:
        yield at.says(f"INTENT of {fault_name(f)} is refused: its place is held"), _no_intent(at, world)
        return
    done = world._replace(rows=put(world.rows, f, "OPEN"))
    if not ours or recovering(world, mine.run):
        done = done._replace(wrong="I2: an INTENT was committed although the run was taken over")
    yield at.says(f"commits INTENT of {fault_name(f)}"), fed(at, done, lifecycle.IntentSaved())
    if worse := lost(world):
        yield at.says(f"cannot commit INTENT of {fault_name(f)}: the disk is full"), _no_intent(at, worse)
        yield (
            at.says(f"commits INTENT of {fault_name(f)}, and is told that it failed"),
            _no_intent(at, worse._replace(rows=put(worse.rows, f, "OPEN"))),
        )


def recovering(world: World, run: int) -> bool:
    """Whether another process than its runner undoes this run."""
    recovery, guardian = world.procs[C], world.procs[G]
    by_recovery = alive(world, C) and recovery.run == run
    return by_recovery or (run == 0 and alive(world, G) and guardian.phase != "watch")


def _no_intent(at: At, world: World) -> World:
    return fed(at, world, lifecycle.IntentFailed(""))


def _arm(at: At, world: World, _command: Command) -> Iterator[Move]:
    """`GuardianLine.arm` and `Guardian._arm`. The guardian of the second runner is not part of the model."""
    name = fault_name(at.fault)
    if at.who != R:
        yield at.says(f"its own guardian takes {name}"), fed(at, world, lifecycle.GuardianArmed())
        return
    failed = lifecycle.ArmFailed("")
    guardian = world.procs[G]
    if not alive(world, G) or guardian.phase != "watch":
        yield at.says(f"ARM {name}: nobody answers"), fed(at, world, failed)
        return
    armed = with_proc(world, G, guardian._replace(held=put(guardian.held, at.fault, True)))
    yield at.says(f"ARM {name}; the guardian holds the row"), fed(at, armed, lifecycle.GuardianArmed())
    if worse := lost(world):
        yield at.says(f"ARM {name}: the guardian does not get it"), fed(at, worse, failed)
    if worse := lost(armed):
        yield at.says(f"ARM {name}: the guardian holds the row, its answer is lost"), fed(at, worse, failed)


def _disarm(at: At, world: World, _command: Command) -> Iterator[Move]:
    """`GuardianLine.disarm`: what was sent is read before the guardian takes over; it may not have been sent."""
    guardian, said = world.procs[G], at.says(f"DISARM {fault_name(at.fault)}")
    if not alive(world, G) or guardian.phase != "watch" or not guardian.held[at.fault]:
        yield f"{said}: nobody needs to hear it", world
        return
    yield said, with_proc(world, G, guardian._replace(held=put(guardian.held, at.fault, False)))
    if worse := lost(world):
        yield f"{said}: the line is full", worse


def _retry(at: At, world: World, _command: Command) -> Iterator[Move]:
    """`Drive._wait`: tries again, is relieved because somebody else has the run, or its patience is over."""
    name = fault_name(at.fault)
    yield from drive(at, fed(at, world, lifecycle.RetryDue()))
    if at.who == G and at.rules.relieved_by_a_takeover and refused(at.rules, world, G, 0):
        yield at.says(f"is relieved: leaves {name} to whoever has the run"), world
    worse = lost(world)
    if worse and not at.keep_on:
        stuck = fed(at, worse, lifecycle.PatienceOver())
        task = stuck.procs[at.who].tasks[at.task]
        left = with_task(stuck, at.who, at.task, task._replace(todo=()))
        yield at.says(f"cannot undo {name} for a minute: it is STUCK"), left


def _watch(at: At, world: World, _command: Command) -> Iterator[Move]:
    """`Drive._watch`. What is under way lands before a watch is over."""
    if not under_way(at.scene, world, at.fault):
        yield at.says(f"the watch of {fault_name(at.fault)} is over"), fed(at, world, lifecycle.WatchOver())


def under_way(scene: Scene, world: World, fault: int) -> bool:
    """Whether a request is held, or a runner that nobody can stop, but that is not slow either, is about to send it."""
    if any(flight[0] == fault for flight in world.flights):
        return True
    if scene.stranger != "unseen" or not alive(world, R):
        return False
    sending = (lifecycle.ArmGuardian, lifecycle.Inject)
    tasks = world.procs[R].tasks
    return any(task.fault == fault and task.todo and isinstance(task.todo[0], sending) for task in tasks)


def _save(at: At, world: World, command: Command) -> Iterator[Move]:
    """A state that is written while going in: `RunJournal.save_state`."""
    state = row_of(command.state) if isinstance(command, lifecycle.Save) else ""
    yield from written(at, world, state)


def written(at: At, world: World, state: str) -> Iterator[Move]:
    """One write to a fault's row. A closed one stays closed: `ledger.set_fault_state`."""
    name, row = fault_name(at.fault), world.rows[at.fault]
    if refused(at.rules, world, at.who, at.scene.faults[at.fault].run) or not is_open(row):
        yield at.says(f"the ledger refuses {name} {state}"), world
        return
    yield at.says(f"writes {name} {state}"), world._replace(rows=put(world.rows, at.fault, state))
    if worse := lost(world):
        yield at.says(f"cannot write {name} {state}: the disk is full"), worse


_OUTCOMES: dict[type[Command], Any] = {
    lifecycle.SaveIntent: _save_intent,
    lifecycle.ArmGuardian: _arm,
    lifecycle.Disarm: _disarm,
    lifecycle.Inject: asking.inject,
    lifecycle.Observe: asking.observe,
    lifecycle.Revert: asking.revert,
    lifecycle.Unfence: asking.revert,
    lifecycle.Fence: asking.fence,
    lifecycle.Retry: _retry,
    lifecycle.Watch: _watch,
    lifecycle.Save: _save,
}
