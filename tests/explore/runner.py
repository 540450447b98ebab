"""The runner: `engine.Engine._step`, with `going_in` and `coming_out`. The second runner is one, too."""

from __future__ import annotations

from collections.abc import Iterator

from chaos_runner import lifecycle
from chaos_runner.lifecycle import Life
from tests.explore.driving import drive
from tests.explore.hearing import At, alive, fed, lost, with_task
from tests.explore.undoing import ask, done, ends, lanes, released, tells, turn
from tests.explore.world import (
    GONE,
    NAMES,
    G,
    Move,
    Proc,
    R,
    Rules,
    Scene,
    Task,
    World,
    fault_name,
    with_proc,
)


def runner_moves(scene: Scene, rules: Rules, world: World, who: int) -> Iterator[Move]:
    proc: Proc = world.procs[who]
    if proc.phase == "in":
        yield from _going_in(scene, rules, world, who)
    elif proc.phase == "out":
        yield from _coming_out(scene, rules, world, who)
    elif proc.phase == "end":
        yield from ends(rules, world, who)
    else:
        nothing = not any(task.life.open for task in proc.tasks)
        told = _told(rules, world, who) if who == R else world
        yield f"{NAMES[who]}: says goodbye and ends", released(scene, with_proc(told, who, GONE), nothing)


def _told(rules: Rules, world: World, who: int) -> World:
    """`ending.leave`: the guardian hears which faults are fenced, so that it does not undo them again."""
    watched = {task.fault for task in world.procs[who].tasks if task.life.state == "WATCHING"}
    if rules.undoes_what_is_watched or not alive(world, G):
        return world
    guardian: Proc = world.procs[G]
    return with_proc(world, G, guardian._replace(watched=tuple(f in watched for f in range(len(guardian.held)))))


def _going_in(scene: Scene, rules: Rules, world: World, who: int) -> Iterator[Move]:
    """`going_in.inject_all` and `hold`: one target at a time, the first doubt ends it."""
    proc: Proc = world.procs[who]
    at = len(proc.tasks) - 1
    last = proc.tasks[at] if proc.tasks else None
    if last is not None and last.todo and not _early(last):
        yield from drive(At(scene, rules, who, at, last.fault), world)
        if worse := lost(world):  # a bug of the ticks cancels what is under way
            cut = with_task(worse, who, at, last._replace(todo=()))
            yield f"{NAMES[who]}: a bug cuts {fault_name(last.fault)} off; undoes", _undo(scene, rules, cut, who)
        return
    if scene.early:
        yield from _over_early(scene, rules, world, who)
    if _may_begin(scene, world, who, last):
        mine = [f for f, kind in enumerate(scene.faults) if kind.run == proc.run]
        fault = mine[len(proc.tasks)]
        kind = scene.faults[fault]
        task = Task(fault, Life(reversible=kind.reversible, fences=kind.fences))
        begun = with_proc(world, who, proc._replace(tasks=(*proc.tasks, task)))
        drives = At(scene, rules, who, at + 1, fault)
        yield f"{NAMES[who]}: begins {fault_name(fault)}", fed(drives, begun, lifecycle.Began())
    yield f"{NAMES[who]}: its time is over, or it is stopped; undoes", _undo(scene, rules, world, who)


def _early(task: Task) -> bool:
    return task.life.state not in {"PLANNED", "INTENT", "INJECTED", "UNKNOWN"}


def _may_begin(scene: Scene, world: World, who: int, last: Task | None) -> bool:
    """`Loop.gate`: a living guardian; and what was begun is held."""
    proc: Proc = world.procs[who]
    more = sum(kind.run == proc.run for kind in scene.faults) > len(proc.tasks)
    guarded = who != R or alive(world, G)
    held = all(task.life.state == "INJECTED" for task in proc.tasks)
    return more and guarded and held and (last is None or not last.todo)


def _over_early(scene: Scene, rules: Rules, world: World, who: int) -> Iterator[Move]:
    """`coming_out.undo_early`: the first fault's time is over while the second is held."""
    tasks: tuple[Task, ...] = world.procs[who].tasks
    if len(tasks) < 2:
        return
    first = tasks[0]
    at = At(scene, rules, who, 0, first.fault)
    if first.life.state == "INJECTED":
        yield f"{NAMES[who]}: the time of {fault_name(first.fault)} is over, the other is held", ask(at, world)
    elif _early(first) and not first.over:
        yield from turn(at, world)
    elif first.unsaid:
        yield from tells(at, world)


def _undo(scene: Scene, rules: Rules, world: World, who: int) -> World:
    """`coming_out.undo`: everything that is open is asked to go."""
    proc: Proc = world.procs[who]
    world = with_proc(world, who, proc._replace(phase="out"))
    for at, task in enumerate(proc.tasks):
        world = with_task(world, who, at, task._replace(todo=(), over=not task.life.open))
        if task.life.open:
            world = ask(At(scene, rules, who, at, task.fault), world)
    return world


def _coming_out(scene: Scene, rules: Rules, world: World, who: int) -> Iterator[Move]:
    proc: Proc = world.procs[who]
    if done(proc):
        yield from ends(rules, world, who)
        return
    yield from lanes(scene, rules, world, who)
    if not rules.shielded:
        cut = tuple(task._replace(todo=(), over=True, unsaid="") for task in proc.tasks)
        yield f"{NAMES[who]}: Ctrl-C again: the undo is cut off", with_proc(world, who, Proc("end", cut, proc.run))
