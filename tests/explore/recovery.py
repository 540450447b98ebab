"""Recovery: `recover.recover`, as the command and as the first thing that a run does."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tests.explore.driving import under_way
from tests.explore.hearing import At, alive
from tests.explore.undoing import ask, done, ends, lanes, orphan, owned, released
from tests.explore.world import (
    DEAD,
    IDLE,
    C,
    G,
    Move,
    Proc,
    R,
    Rules,
    Scene,
    Task,
    World,
    fault_name,
    is_open,
    with_proc,
)


def recovery_moves(scene: Scene, rules: Rules, world: World) -> Iterator[Move]:
    proc = world.procs[C]
    if proc == IDLE:
        for run in range(len(world.runs)):
            yield from _recovers(scene, rules, world, run)
    elif proc.phase == "kill":
        after = with_proc(world, C, proc._replace(phase="first"))
        if scene.stranger == "misjudged" and rules.recovery_kills and alive(world, R):
            yield "recovery: kills the old owner", with_proc(after, R, DEAD)
        else:
            yield "recovery: cannot kill the old owner", after
    elif done(proc):
        for line, after in ends(rules, world, C):
            nothing = not any(task.life.open for task in proc.tasks)
            yield line, released(scene, with_proc(after, C, IDLE), nothing)
    else:
        yield from lanes(scene, rules, world, C)


def _recovers(scene: Scene, rules: Rules, world: World, run: int) -> Iterator[Move]:
    """`recover._orphaned` and `take_over`; one transaction judges by the epoch it has seen. What is watched may be
    young, and is left alone, or old enough to be looked at."""
    owner, ended = world.runs[run]
    faults = [f for f, kind in enumerate(scene.faults) if kind.run == run and is_open(world.rows[f])]
    if owner < 0 or (ended and not faults):
        return
    left, stranger = world.left, ""
    if alive(world, owner):
        if owner != R or not left.stranger:
            return
        left, stranger = left._replace(stranger=0), ", although its runner lives"
    watched = [f for f in faults if world.rows[f] == "WATCHING"]
    fresh = [f for f in faults if f not in watched]
    old = watched and not any(under_way(scene, world, f) for f in watched)
    for chosen in [fresh] * bool(fresh or not ended or owner != C) + [faults] * bool(old):
        tasks = tuple(_adopted(scene, world, f, chosen) for f in faults)
        taken = owned(world, run, C) if rules.recovery_bumps else world
        taken = with_proc(_silenced(taken), C, Proc("kill" if stranger else "first", tasks, run))
        taken = taken._replace(left=left)
        if rules.recovery_kills and rules.kills_before_it_bumps and stranger and scene.stranger == "misjudged":
            taken = with_proc(taken, R, DEAD)
        told = ", ".join(map(fault_name, chosen)) or "nothing to undo"
        yield f"recovery: takes run {'AB'[run]} over{stranger} ({told})", _asked(scene, rules, taken)


def _adopted(scene: Scene, world: World, fault: int, chosen: list[int]) -> Task:
    """`orphans._life`: what is watched stays so; while its watch is young its drive returns at once."""
    life = orphan(scene, fault)
    if world.rows[fault] == "WATCHING":
        life = msgspec.structs.replace(life, state="WATCHING", watch_s=0.0)
    return Task(fault, life, over=fault not in chosen)


def _silenced(world: World) -> World:
    """What the guardian's journal still had to say is refused from now on."""
    proc = world.procs[G]
    if not alive(world, G) or proc.phase == "watch":
        return world
    return with_proc(world, G, proc._replace(tasks=tuple(task._replace(unsaid="") for task in proc.tasks)))


def _asked(scene: Scene, rules: Rules, world: World) -> World:
    for n, task in enumerate(world.procs[C].tasks):
        if not task.over:
            orphaned = task.life.state == "INJECTED"
            world = ask(At(scene, rules, C, n, task.fault), world, orphaned=orphaned)
    return world
