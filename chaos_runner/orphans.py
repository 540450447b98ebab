"""Faults whose runner is gone: how the guardian and recovery undo them, from nothing but their rows.

Never injects. Each is taken for injected, whatever its row says, and for one whose request may still be under way.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any

import anyio
import msgspec

from chaos_runner import registry
from chaos_runner.api import LEASE_TTL_S, Doubt, Env, Fault, Fences, Leases, Refused, Undo
from chaos_runner.clock import nursery
from chaos_runner.drive import PATIENCE_S, By, Drive, Journal
from chaos_runner.lifecycle import WATCH_S, Life
from chaos_runner.records import Cleanup
from chaos_runner.store import FaultRow, since_s

Kinds = Mapping[str, type[Any]]


class Unusable(Exception):
    """A row that cannot be undone from here, and why."""


def fault_of(row: FaultRow, kinds: Kinds = registry.faults) -> Fault:
    """The fault a row speaks of, rebuilt from its undo. Raises Unusable."""
    try:
        undo = msgspec.convert(row.undo, Undo)
        fault: Fault = msgspec.convert(undo.params, kinds[row.kind])
    except (KeyError, msgspec.ValidationError, registry.Broken) as why:
        msg = f"{row.id} on {row.target.key}: its undo ({row.kind} version {row.version}) cannot be used here: {why}"
        raise Unusable(msg) from None
    return fault


def drives_of(
    rows: Iterable[FaultRow],
    env: Env,
    journal: Journal,
    *,
    by: By = "guardian",
    shout: Callable[[str], None],
    relieved: Callable[[str], str] | None = None,
    kinds: Kinds = registry.faults,
) -> list[Drive]:
    """What undoes these rows. Raises Unusable."""
    return [
        Drive(row, fault_of(row, kinds), env, journal, by=by, life=_life(row, kinds), shout=shout, relieved=relieved)
        for row in rows
    ]


def _life(row: FaultRow, kinds: Kinds) -> Life:
    fences = isinstance(fault_of(row, kinds), Fences)
    life = Life(state="INJECTED", reversible=row.reversible, fences=fences, certain=False)
    # UNDONE was read as gone too, and its driver died before the next write: to undo it again would be told twice.
    if row.state not in {"UNDONE", "WATCHING"}:
        return life
    # The rest of its watch is enough, or no later run could ever close it.
    return msgspec.structs.replace(life, state="WATCHING", watch_s=watch_left_s(row))


def watch_left_s(row: FaultRow) -> float:
    """What is left of the watch over a fault that is WATCHING; a clock that was set changes nothing.

    After a reboot the wall clock is all there is: where it says that the watch has not begun, it is a whole one.
    """
    age_s = since_s(row.outcome)
    if age_s is None:
        age_s = time.time() - row.updated_at
    return WATCH_S if age_s < 0 else max(0.0, WATCH_S - age_s)


async def undo_all(drives: list[Drive], *, patience_s: float = PATIENCE_S, keep_on: bool = True) -> None:
    """Undoes all: targets in parallel, last-in first-out within one, whatever goes wrong with another.

    With `keep_on` it ends when all are closed or spent, however long that takes.
    """
    lanes: dict[str, list[Drive]] = {}
    for drive in reversed(drives):
        lanes.setdefault(drive.row.target.key, []).append(drive)

    async def undo_lane(lane: list[Drive]) -> None:
        for drive in lane:
            orphaned = drive.life.state == "INJECTED"
            await drive.undo(orphaned=orphaned, patience_s=patience_s, keep_on=keep_on)
            drive.tell()

    async with nursery() as group:
        for lane in lanes.values():
            group.start_soon(undo_lane, lane)


@contextlib.asynccontextmanager
async def leased(drives: list[Drive], env: Env) -> AsyncIterator[None]:
    """Keeps the leases alive while undoing: one that lapses would take the fences away."""
    async with nursery() as group:
        group.start_soon(_keep_leases, drives, env)
        with anyio.CancelScope(shield=True):  # whatever becomes of the lease
            yield
        group.cancel_scope.cancel()


async def _keep_leases(drives: list[Drive], env: Env) -> None:
    while True:
        for drive in drives:
            if isinstance(drive.fault, Leases):
                with anyio.move_on_after(LEASE_TTL_S / 2):
                    try:
                        await drive.fault.lease(env, drive.undo_record, LEASE_TTL_S)
                    except (Refused, Doubt):
                        continue
        await anyio.sleep(1)


async def release(drives: list[Drive], env: Env) -> None:
    """Ends the run's lease; best effort, it lapses by itself."""
    for drive in drives:
        if isinstance(drive.fault, Leases):
            try:
                with anyio.move_on_after(LEASE_TTL_S):
                    await drive.fault.release(env, drive.undo_record)
            except (Refused, Doubt):
                pass
            return


def cleanup(drives: Sequence[Drive], *, left: bool) -> Cleanup:
    """What is left on the targets, in a word."""
    if left:
        return "LEFT"
    if any(one.life.state == "WATCHING" for one in drives):
        return "WATCHING"
    return "CLEAN" if all(one.verified for one in drives) else "UNVERIFIED"


def left_behind(drive: Drive) -> bool:
    """Whether something of this fault is still on its target, for all that is known."""
    return drive.life.open and drive.life.state != "WATCHING"
