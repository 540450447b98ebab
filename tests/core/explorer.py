"""A small model of one fault and its target, small enough to visit every interleaving.

A request that was sent can land at once, later, or never; its answer can be well, a refusal, or lost. The runner can
be told to undo at any moment, and can die: then somebody else undoes from the row alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from chaos_runner import lifecycle
from chaos_runner.lifecycle import Command, Event, Life


class World(NamedTuple):
    """Everything there is. `flying` counts injections under way; time stands still for them until the watch is over."""

    life: Life
    todo: tuple[Command, ...] = ()
    row: bool = False
    armed: bool = False
    harmed: bool = False
    fenced: bool = False
    flying: int = 0
    sent: int = 0
    troubles: int = 4  # how much more may go wrong
    deaths: int = 2
    asked: bool = False


Move = tuple[str, World]


def moves(world: World) -> Iterator[Move]:
    """Everything that can happen next."""
    if world.flying:
        yield "lands", world._replace(flying=world.flying - 1, harmed=world.harmed or not world.fenced)
    if world.todo:
        head, rest = world.todo[0], world.todo[1:]
        for name, after, event in outcomes(world._replace(todo=rest), head):
            yield name, fed(after, event) if event is not None else after
    elif not world.asked and world.life.open:
        yield "undo asked", fed(world._replace(asked=True), lifecycle.UndoAsked())
    if world.todo and not world.asked and world.life.open:  # cut off in the middle
        yield "cut off", fed(world._replace(asked=True, todo=()), lifecycle.UndoAsked())
    if world.deaths and world.row and world.life.state not in lifecycle.OVER:
        yield "dies", orphan(world)


def orphan(world: World) -> World:
    """Another process undoes, from the row alone."""
    life = Life("INJECTED", world.life.reversible, world.life.fences, certain=False)
    return fed(world._replace(life=life, todo=(), deaths=world.deaths - 1, asked=True), lifecycle.UndoAsked(True))


def fed(world: World, event: Event) -> World:
    life, commands = lifecycle.step(world.life, event)
    life = msgspec.structs.replace(life, why="", attempts=min(life.attempts, 1))  # words and counts change nothing
    return world._replace(life=life, todo=world.todo + commands)


def outcomes(world: World, command: Command) -> Iterator[tuple[str, World, Event | None]]:  # noqa: C901 -- a table
    """What may come of a command; trouble is limited, or nothing would ever end."""
    worse = world._replace(troubles=world.troubles - 1) if world.troubles else None
    match command:
        case lifecycle.SaveIntent():
            yield "intent saved", world._replace(row=True), lifecycle.IntentSaved()
            if worse:
                yield "intent failed", worse, lifecycle.IntentFailed("x")
                yield "intent saved, not known", worse._replace(row=True), lifecycle.IntentFailed("x")
        case lifecycle.ArmGuardian():
            yield "armed", world._replace(armed=True), lifecycle.GuardianArmed()
            if worse:
                yield "arm failed", worse, lifecycle.ArmFailed("x")
        case lifecycle.Inject():
            yield from _injected(world._replace(sent=world.sent + 1), worse and worse._replace(sent=world.sent + 1))
        case lifecycle.Observe():
            there = "present" if world.harmed else "absent"
            yield f"seen {there}", world, lifecycle.Seen(there)  # type: ignore[arg-type]
            if worse:
                yield "unreadable", worse, lifecycle.Seen("unreadable")
        case lifecycle.Revert():
            yield "reverted", world._replace(harmed=False), lifecycle.Reverted()
            if worse:
                yield "revert lost", worse, lifecycle.RevertFailed("x")
                yield "revert's reply lost", worse._replace(harmed=False), lifecycle.RevertFailed("x")
        case lifecycle.Fence():
            if world.harmed:
                yield "name taken", world, lifecycle.RevertFailed("it landed")
            else:
                yield "fenced", world._replace(fenced=True), lifecycle.Fenced()
            if worse:
                yield "fence lost", worse, lifecycle.RevertFailed("x")
        case lifecycle.Unfence():
            yield "unfenced", world._replace(fenced=False), lifecycle.Unfenced()
            if worse:
                yield "unfence lost", worse, lifecycle.RevertFailed("x")
        case lifecycle.Watch():
            if world.asked:  # what is under way by then never lands
                yield "watched", world._replace(flying=0), lifecycle.WatchOver()
        case lifecycle.Retry():
            yield "again", world, lifecycle.RetryDue()
            if worse:
                yield "impatient", worse._replace(todo=(command, *worse.todo)), lifecycle.PatienceOver()
        case lifecycle.Disarm():
            yield "disarmed", world._replace(armed=False), None
        case _:
            yield "written", world, None


def _injected(world: World, worse: World | None) -> Iterator[tuple[str, World, Event | None]]:
    yield "accepted", world._replace(harmed=not world.fenced), lifecycle.Accepted()
    if worse:
        yield "refused", worse, lifecycle.Denied("x")
        yield "request lost", worse, lifecycle.Doubted("x")
        yield "reply lost", worse._replace(harmed=not world.fenced), lifecycle.Doubted("x")
        yield "late", worse._replace(flying=worse.flying + 1), lifecycle.Doubted("x")
        yield "waiting", worse._replace(flying=worse.flying + 1), None  # cut off before an answer


class Seen(NamedTuple):
    """One reachable world and how it was reached."""

    world: World
    path: tuple[str, ...]


def explore(start: World, limit: int = 400_000) -> Iterator[Seen]:
    """Every reachable world once, breadth first: the path is a shortest one."""
    begun = fed(start, lifecycle.Began())
    known, queue = {begun}, deque([Seen(begun, ())])
    while queue:
        seen = queue.popleft()
        yield seen
        for name, world in moves(seen.world):
            if world not in known:
                assert len(known) < limit, "the model has no end"
                known.add(world)
                queue.append(Seen(world, (*seen.path, name)))
