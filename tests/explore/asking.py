"""Commands that go to a target, and all that may come of them.

A request is one of: done and answered; not done; done, but the answer is lost; held by the network, to land later (an
injection perhaps a second time); answered well, and yet nothing happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chaos_runner import lifecycle
from chaos_runner.lifecycle import Command, Event
from tests.explore.hearing import At, alive, fed, held, lost, with_task
from tests.explore.world import (
    NAMES,
    SEVERAL,
    C,
    G,
    Move,
    R,
    Scene,
    World,
    fault_name,
    is_open,
    put,
)


def _forbidden(at: At, world: World) -> str:
    """What must be so at the moment a fault is sent."""
    f, guardian = at.fault, world.procs[G]
    if at.who in (G, C):
        return f"I11: the {NAMES[at.who]} injects"
    if not is_open(world.rows[f]):
        return "I1: a fault was sent without a durable INTENT"
    if at.who == R and alive(world, G) and guardian.phase == "watch" and not guardian.held[f]:
        return "I9: a fault was sent unarmed"
    return "a fault was sent twice" if world.sent[f] else ""


def land(scene: Scene, world: World, fault: int) -> World:
    """The injection reaches the target. The very same world when it does nothing."""
    if world.slots[fault] or (scene.lease and not world.leased):
        return world
    return world._replace(slots=put(world.slots, fault, "harm"))


def inject(at: At, world: World, _command: Command) -> Iterator[Move]:
    """`Drive._inject`: once, no retries. A name that is taken is a definite refusal, and so is a missing lease."""
    f, name = at.fault, fault_name(at.fault)
    world = world._replace(wrong=_forbidden(at, world), sent=put(world.sent, f, True))
    landed = land(at.scene, world, f)
    if landed is world:
        yield at.says(f"sends {name}: refused, its name is taken"), fed(at, world, lifecycle.Denied(""))
    else:
        yield at.says(f"sends {name}; the target accepts it"), fed(at, landed, lifecycle.Accepted())
    doubt = lifecycle.Doubted("")
    if worse := lost(world):
        yield at.says(f"sends {name}: refused by the target"), fed(at, worse, lifecycle.Denied(""))
        yield at.says(f"sends {name}: the request is lost"), fed(at, worse, doubt)
    if worse := lost(landed):
        yield at.says(f"sends {name}: it lands, the reply is lost"), fed(at, worse, doubt)
    if late := held(world, f, "inject"):
        yield at.says(f"sends {name}: the network holds the request; no answer in time"), fed(at, late, doubt)
        if worse := lost(late):
            yield at.says(f"sends {name}: the network holds the request; a bug cuts the wait off"), worse
    if twice := held(landed, f, "inject"):
        yield at.says(f"sends {name}: it lands, no answer in time; a copy is held"), fed(at, twice, doubt)


def observe(at: At, world: World, _command: Command) -> Iterator[Move]:
    """`Drive._observe`: a fence reads as absent."""
    name = fault_name(at.fault)
    what: Any = "present" if world.slots[at.fault] == "harm" else "absent"
    yield at.says(f"reads {name}: {what}"), fed(at, world, lifecycle.Seen(what))
    worse = lost(world)
    if worse is None:
        return
    unreadable = lifecycle.Seen("unreadable")
    yield at.says(f"reads {name}: no answer"), fed(at, worse, unreadable)
    state = world.procs[at.who].tasks[at.task].life.state
    if state == "WATCHING" and at.keep_on:
        for _ in range(lifecycle.WATCH_LOOKS_MAX + 1):
            task = worse.procs[at.who].tasks[at.task]
            worse = fed(at, with_task(worse, at.who, at.task, task._replace(todo=())), unreadable)
        yield at.says(f"reads {name}: no answer, again and again"), worse


def revert(at: At, world: World, command: Command) -> Iterator[Move]:
    """`Drive._revert`, and `unfence`, which deletes what is under the name just the same."""
    f, name = at.fault, fault_name(at.fault)
    unfences = isinstance(command, lifecycle.Unfence)
    well: Event = lifecycle.Unfenced() if unfences else lifecycle.Reverted()
    asks = f"frees the name of {name}" if unfences else f"reverts {name}"
    hand = world.hands[f]
    world = world._replace(hands=put(world.hands, f, at.who if hand in (-1, at.who) else SEVERAL))
    done = world._replace(slots=put(world.slots, f, "")) if at.scene.faults[f].reversible else world
    failed = lifecycle.RevertFailed("")
    yield at.says(asks), fed(at, done, well)
    if worse := lost(world):
        yield at.says(f"{asks}: the request is lost"), fed(at, worse, failed)
        if world.slots[f] == "harm":
            yield at.says(f"{asks}: answered well, and nothing happened"), fed(at, worse, well)
    if worse := lost(done):
        yield at.says(f"{asks}: done, the reply is lost"), fed(at, worse, failed)
    if late := held(world, f, "undo"):
        late = late._replace(hands=put(late.hands, f, SEVERAL))
        yield at.says(f"{asks}: the network holds the request"), fed(at, late, failed)


def fence(at: At, world: World, _command: Command) -> Iterator[Move]:
    """`Fences.fence`: occupies the name; an error where the fault itself has landed meanwhile."""
    f, name = at.fault, fault_name(at.fault)
    failed = lifecycle.RevertFailed("")
    if world.slots[f] == "harm":
        yield at.says(f"fences {name}: it has landed late"), fed(at, world, failed)
        return
    done = fenced(at.scene, world, f)
    if at.scene.lease and not world.leased:
        said = at.says(f"fences {name}: refused for want of a lease")
        yield said, fed(at, world, failed if at.rules.fence_needs_lease else lifecycle.Fenced())
        return
    yield at.says(f"fences {name}"), fed(at, done, lifecycle.Fenced())
    if worse := lost(world):
        yield at.says(f"fences {name}: the request is lost"), fed(at, worse, failed)
    if worse := lost(done):
        yield at.says(f"fences {name}: done, the reply is lost"), fed(at, worse, failed)
    if late := held(world, f, "fence"):
        yield at.says(f"fences {name}: the network holds the request"), fed(at, late, failed)


def fenced(scene: Scene, world: World, fault: int) -> World:
    """Where there is no lease a fence is refused, as a late injection will be."""
    if world.slots[fault] or (scene.lease and not world.leased):
        return world
    return world._replace(slots=put(world.slots, fault, "fence"))
