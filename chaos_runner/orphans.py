"""Faults whose runner is gone: how the guardian and recovery undo them, from nothing but their rows.

Never injects. Each is taken for injected, whatever its row says, and for one whose request may still be under way.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable

import anyio
import msgspec

from chaos_runner import registry
from chaos_runner.api import Doubt, Env, Fault, Fences, Leases, Refused, Undo
from chaos_runner.clock import nursery
from chaos_runner.drive import PATIENCE_S, By, Drive, Journal
from chaos_runner.lifecycle import WATCH_S, Life
from chaos_runner.store import FaultRow

LEASE_S = 5.0


class Unusable(Exception):
    """A row that cannot be undone from here, and why."""


def fault_of(row: FaultRow) -> Fault:
    """The fault a row speaks of, rebuilt from its undo. Raises Unusable."""
    try:
        undo = msgspec.convert(row.undo, Undo)
        fault: Fault = msgspec.convert(undo.params, registry.faults[row.kind])
    except (KeyError, msgspec.ValidationError, registry.Broken) as why:
        msg = f"{row.id} on {row.target.key}: its undo ({row.kind} version {row.version}) cannot be used here: {why}"
        raise Unusable(msg) from None
    return fault


def drives_of(
    rows: Iterable[FaultRow], env: Env, journal: Journal, *, by: By = "guardian", shout: Callable[[str], None]
) -> list[Drive]:
    """What undoes these rows. Raises Unusable."""
    return [_drive(row, env, journal, by, shout) for row in rows]


def _drive(row: FaultRow, env: Env, journal: Journal, by: By, shout: Callable[[str], None]) -> Drive:
    fault = fault_of(row)
    life = Life(state="INJECTED", reversible=row.reversible, fences=isinstance(fault, Fences), certain=False)
    if row.state == "WATCHING":
        age = max(0.0, time.time() - row.updated_at)
        life = msgspec.structs.replace(life, state="WATCHING", watch_s=max(0.0, WATCH_S - age))
    return Drive(row, fault, env, journal, by=by, life=life, shout=shout)


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
async def leased(rows: list[FaultRow], env: Env) -> AsyncIterator[None]:
    """Keeps the leases alive while undoing: one that lapses would take the fences away."""
    async with nursery() as group:
        group.start_soon(_keep_leases, rows, env)
        with anyio.CancelScope(shield=True):  # whatever becomes of the lease
            yield
        group.cancel_scope.cancel()


async def _keep_leases(rows: list[FaultRow], env: Env) -> None:
    while True:
        for row in rows:
            fault = fault_of(row)
            if isinstance(fault, Leases):
                with anyio.move_on_after(LEASE_S / 2):
                    try:
                        await fault.lease(env, msgspec.convert(row.undo, Undo), LEASE_S)
                    except (Refused, Doubt):
                        continue
        await anyio.sleep(1)


async def release(rows: list[FaultRow], env: Env) -> None:
    """Ends the run's lease; best effort, it lapses by itself."""
    for row in rows:
        fault = fault_of(row)
        if isinstance(fault, Leases):
            try:
                with anyio.move_on_after(LEASE_S):
                    await fault.release(env, msgspec.convert(row.undo, Undo))
            except (Refused, Doubt):
                pass
            return


def left_behind(drive: Drive) -> bool:
    """Whether something of this fault is still on its target, for all that is known."""
    return drive.life.open and drive.life.state != "WATCHING"
