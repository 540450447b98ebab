"""What runner, guardian and recovery do alike: undo in lanes, tell the ledger, end the run."""

from __future__ import annotations

from collections.abc import Iterator

from chaos_runner import lifecycle
from chaos_runner.lifecycle import Life
from tests.explore.driving import drive, settled, written
from tests.explore.hearing import At, fed, lost, refused, with_task
from tests.explore.world import (
    DEAD,
    IDLE,
    NAMES,
    C,
    G,
    Move,
    Proc,
    R,
    Rules,
    S,
    Scene,
    Task,
    World,
    fault_name,
    put,
    with_proc,
)


def released(scene: Scene, world: World, released: bool) -> World:
    """`ending.leave`, `orphans.release`: a lease that ends takes its toxics along."""
    if not (scene.lease and released and world.leased):
        return world
    slots = tuple("" if kind.fences else slot for kind, slot in zip(scene.faults, world.slots, strict=True))
    return world._replace(leased=False, slots=slots)


def ask(at: At, world: World, *, orphaned: bool = False) -> World:
    """`Drive.undo` begins; where there is nothing to do it returns at once."""
    return settled(at, fed(at, world, lifecycle.UndoAsked(orphaned=orphaned)))


def done(proc: Proc) -> bool:
    return all(task.over and not task.unsaid for task in proc.tasks)


def lanes(scene: Scene, rules: Rules, world: World, who: int, *, keep_on: bool = False) -> Iterator[Move]:
    """Targets beside each other, last in first out within one: `coming_out._undo_lane`, `orphans.undo_all`."""
    proc: Proc = world.procs[who]
    for target in {scene.faults[task.fault].target for task in proc.tasks}:
        lane = [n for n, task in enumerate(proc.tasks) if scene.faults[task.fault].target == target]
        lane.reverse()
        busy = next((n for n in lane if not proc.tasks[n].over), None)
        if busy is not None:
            yield from turn(At(scene, rules, who, busy, proc.tasks[busy].fault, keep_on), world)
            continue
        for n in lane:
            if proc.tasks[n].unsaid:
                yield from tells(At(scene, rules, who, n, proc.tasks[n].fault), world)
                break


def turn(at: At, world: World) -> Iterator[Move]:
    """One command of a drive that undoes; it has returned when there is nothing left to do."""
    task: Task = world.procs[at.who].tasks[at.task]
    waits = isinstance(task.todo[0], lifecycle.Retry | lifecycle.Watch)
    if waits and task.unsaid and not (at.who == G and world.runs[0].owner != G):
        yield from tells(at, world)
        return
    for line, after in drive(at, world):
        yield line, settled(at, after)


def tells(at: At, world: World) -> Iterator[Move]:
    """`Drive.tell`, write by write. The guardian's journal is a thread, and waits until it has the run.

    UNDONE comes before CLOSED, and is to recovery what WATCHING is: `orphans._life`.
    """
    task: Task = world.procs[at.who].tasks[at.task]
    if at.who == G and world.runs[0].owner != G:
        return
    undone = task.unsaid == "CLOSED" and world.rows[at.fault] == "OPEN"
    if undone and not refused(at.rules, world, at.who, at.scene.faults[at.fault].run):
        yield (
            at.says(f"writes {fault_name(at.fault)} UNDONE"),
            world._replace(rows=put(world.rows, at.fault, "WATCHING")),
        )
        return
    yield from written(at, with_task(world, at.who, at.task, task._replace(unsaid="")), task.unsaid)


def ends(rules: Rules, world: World, who: int) -> Iterator[Move]:
    """`ending.end` or, for the guardian and recovery, `journal.end`: the run is ENDED, with what is left in a word."""
    proc: Proc = world.procs[who]
    word = _cleanup(proc.tasks)
    left = [task for task in proc.tasks if task.life.open and task.life.state not in {"WATCHING", "STUCK"}]
    run, gone = world.runs[proc.run], with_proc(world, who, proc._replace(phase="bye"))
    if left and who in (R, S):
        gone = gone._replace(wrong=f"I4: the runner left {fault_name(left[0].fault)} without trying for a minute")
    if refused(rules, world, who, proc.run) or run.ended:
        yield f"{NAMES[who]}: the ledger refuses the end of the run", gone
        return
    ended = gone._replace(runs=put(gone.runs, proc.run, run._replace(ended=word)))
    yield f"{NAMES[who]}: ends the run: {word}", ended
    if worse := lost(gone):
        yield f"{NAMES[who]}: cannot write the end of the run: the disk is full", worse


def _cleanup(tasks: tuple[Task, ...]) -> str:
    if any(task.life.open and task.life.state != "WATCHING" for task in tasks):
        return "LEFT"
    return "WATCHING" if any(task.life.open for task in tasks) else "CLEAN"


def orphan(scene: Scene, fault: int) -> Life:
    kind = scene.faults[fault]
    return Life(state="INJECTED", reversible=kind.reversible, fences=kind.fences, certain=False)


def owned(world: World, run: int, who: int) -> World:
    return world._replace(runs=put(world.runs, run, world.runs[run]._replace(owner=who)))


def killed(world: World, who: int) -> World:
    left = world.left._replace(deaths=world.left.deaths - 1)
    return with_proc(world, who, IDLE if who == C else DEAD)._replace(left=left)
