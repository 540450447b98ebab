"""The guardian: `guardian.guard`. Death, silence or goodbye; two rounds of undoing; a journal beside them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tests.explore.hearing import At, lost, with_task
from tests.explore.undoing import ask, done, ends, killed, lanes, orphan, owned, released
from tests.explore.world import (
    DEAD,
    GONE,
    G,
    Move,
    Proc,
    R,
    Rules,
    Scene,
    Task,
    World,
    with_proc,
)


def guardian_moves(scene: Scene, rules: Rules, world: World) -> Iterator[Move]:
    proc: Proc = world.procs[G]
    if proc.phase == "watch":
        yield from _watches(scene, rules, world)
        return
    yield from _journal(world)
    if not _returned(proc):
        yield from lanes(scene, rules, world, G, keep_on=proc.phase == "second")
    elif proc.phase == "first":
        if world.runs[0].owner != R or proc.deaf:
            for line, after in ends(rules, world, G):
                yield line, _stays(scene, rules, after)
    elif proc.phase == "quiet":
        yield "guardian: stays for what is left", _stays(scene, rules, world)
    else:
        nothing = not any(task.life.open for task in proc.tasks)
        yield "guardian: ends", released(scene, with_proc(world, G, GONE), nothing)


def _returned(proc: Proc) -> bool:
    """In the first round nothing waits for the journal; before it goes, it does: `ThreadJournal.close`."""
    if proc.phase in {"first", "quiet"}:
        return all(task.over for task in proc.tasks)
    return done(proc)


def _watches(scene: Scene, rules: Rules, world: World) -> Iterator[Move]:
    """`Guardian.watch`, `_watch` and `_kill`: death, silence, or goodbye."""
    runner = world.procs[R]
    if runner == GONE:
        if any(world.procs[G].held):
            yield "guardian: the runner said goodbye; undoes what is left", _takes_over(scene, rules, world, "quiet")
        else:
            yield "guardian: the runner said goodbye; ends", with_proc(world, G, GONE)
        return
    why, after = "the runner died", world
    if runner != DEAD:
        if not world.left.deaths:
            return
        why = "hears nothing for 5 s, kills the runner" if rules.guardian_kills else "hears nothing for 5 s"
        after = killed(world, R)
        if not rules.guardian_kills:
            after = with_proc(after, R, runner)
    yield f"guardian: {why}; undoes from memory", _takes_over(scene, rules, after, "first")


def _takes_over(scene: Scene, rules: Rules, world: World, phase: str) -> World:
    """`guardian._take_over`, first part: a drive for each row in memory; see `orphans._life`."""
    faults = [f for f, held in enumerate(world.procs[G].held) if held]
    watched = world.procs[G].watched
    tasks = tuple(_task(scene, f, watched=bool(watched) and watched[f]) for f in faults)
    world = with_proc(world, G, Proc(phase, tasks))
    for at, task in enumerate(tasks):
        if not task.over:
            world = ask(At(scene, rules, G, at, task.fault), world, orphaned=True)
    return world


def _task(scene: Scene, fault: int, *, watched: bool) -> Task:
    """`orphans._life`: what is watched is left as it is in the first round."""
    life = orphan(scene, fault)
    if watched:
        life = msgspec.structs.replace(life, state="WATCHING")
    return Task(fault, life, over=watched)


def _stays(scene: Scene, rules: Rules, world: World) -> World:
    """The second round, without end: `undo_all` with `keep_on`."""
    proc: Proc = world.procs[G]
    world = with_proc(world, G, proc._replace(phase="second"))
    for at, task in enumerate(proc.tasks):
        if task.life.open:
            world = with_task(world, G, at, task._replace(over=False, todo=()))
            world = ask(At(scene, rules, G, at, task.fault, keep_on=True), world)
    return world


def _journal(world: World) -> Iterator[Move]:
    """`ThreadJournal`: takes the run over if nobody else has, beside the undoing."""
    proc: Proc = world.procs[G]
    if proc.deaf or world.runs[0].owner != R:
        return
    yield "guardian: takes the run over in the ledger", owned(world, 0, G)
    if worse := lost(world):
        deaf = proc._replace(deaf=True, tasks=tuple(task._replace(unsaid="") for task in proc.tasks))
        yield "guardian: the ledger never answers its journal", with_proc(worse, G, deaf)
