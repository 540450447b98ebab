"""Marks of ours on targets: whose they are, and which nobody alive looks after. It only reads and writes down.

For a ledger that was lost, and for runs of other hosts and state folders; the mark `cx.<run>.<n>.<expiry>` is all that
is known of them. What is provably orphaned is *adopted*: one transaction makes it the open fault of a run that nobody
owns, and recovery undoes it like those of any dead run. A journal in memory would be as safe (the mark stays where it
is until it is undone), but a janitor that comes and goes could never end a watch that it began, and no history would
tell who took the fault away.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import anyio
import msgspec

from chaos_runner._version import __version__
from chaos_runner.api import Absent, Doubt, Env, Fault, Leases, Reaches, Refused, Scans, Undo
from chaos_runner.records import IntentCommitted, RunStarted
from chaos_runner.store import FaultRow, RunRow, Stamped, Store, alive

EXPERIMENT = "recovered-from-marks"
GRACE_S = 60.0  # after the expiry: for clocks of hosts that differ, and for the run's own undo
SCAN_S = 20.0

Standing = Literal["orphaned", "attended", "unproven"]
_MARK = re.compile(r"cx\.([a-z0-9-]{1,63})\.(\d+)\.(\d{1,11})")


class Mark(msgspec.Struct, frozen=True):
    """What a mark says. `expires_at` is the wall clock of the host that made it; no fault of the run stays longer."""

    run: str
    expires_at: float = math.inf


class Leftover(msgspec.Struct, frozen=True):
    """One mark on one target that no open fault of this ledger accounts for. `harming`: it is more than a fence."""

    environment: str
    undo: Undo
    run: str
    expires_at: float
    standing: Standing
    why: str
    harming: bool
    reversible: bool


def read_mark(text: str) -> Mark:
    """The run and the expiry; what cannot be read expires never."""
    found = _MARK.fullmatch(text)
    if found is None:
        return Mark(run=text)
    return Mark(run=found[1], expires_at=float(found[3]))


def standing(
    mark: Mark, row: RunRow | None, *, leased: bool, now: float, ledger_lost: bool = False
) -> tuple[Standing, str]:
    """Whether somebody alive looks after a mark, and how that is known; `row` is its run, where this ledger has it.

    `ledger_lost` is a person's word that no other ledger knows of it.
    """
    known = alive(row.owner) if row is not None and row.state != "ENDED" else False
    if leased:
        return "attended", "its lease is kept alive"
    if row is not None and known is True:
        return "attended", f"its run lives (pid {row.owner.pid})"
    if row is not None and known is False:
        return "orphaned", "its run is over"
    if now >= mark.expires_at + GRACE_S:
        return "orphaned", "it has expired"
    if ledger_lost:
        return "orphaned", "its ledger is lost, a person said"
    return "unproven", "it is of a run of another ledger, which may be alive"


async def look(
    env: Env,
    scanners: Sequence[Any],
    ledger: Store | None,
    *,
    ledger_lost: bool = False,
    now: Callable[[], float] = time.time,
) -> list[Leftover]:
    """The marks on an environment's targets that no open fault of the ledger accounts for; reads only.

    The ledger is asked before and after: a run that ends meanwhile has left nothing. Raises Refused or Doubt where a
    target cannot be read.
    """
    before = _accounted_for(ledger)
    found: dict[tuple[str, str], tuple[Any, Undo]] = {}
    for fault in scanners:
        for undo in await _marks(fault, env):
            found[undo.target.key, undo.mark] = (fault, undo)
    accounted = before | _accounted_for(ledger)
    strange = [(fault, undo) for fault, undo in found.values() if undo.mark not in accounted]
    return [await _judged(fault, env, undo, ledger, ledger_lost, now()) for fault, undo in strange]


def _accounted_for(ledger: Store | None) -> set[str]:
    rows = ledger.open_faults() if ledger is not None else []
    return {str(row.undo.get("mark", "")) for row in rows}  # a damaged row accounts for nothing: its undo is empty


async def _marks(fault: Any, env: Env) -> tuple[Undo, ...]:
    if not isinstance(fault, Scans) or (isinstance(fault, Reaches) and not fault.endpoint(env)):
        return ()
    with anyio.move_on_after(SCAN_S):
        return await fault.leftovers(env)
    raise Doubt(f"the targets did not answer within {SCAN_S:g} s")


async def _judged(fault: Any, env: Env, undo: Undo, ledger: Store | None, ledger_lost: bool, now: float) -> Leftover:
    mark = read_mark(undo.mark)
    with anyio.move_on_after(SCAN_S) as limit:
        leased = isinstance(fault, Leases) and await fault.leased(env, undo)
        seen = await _rebuilt(fault, undo).observe(env, undo)
    if limit.cancelled_caught:
        raise Doubt(f"{undo.target.key} did not answer within {SCAN_S:g} s")
    row = ledger.run(mark.run) if ledger is not None else None
    how, why = standing(mark, row, leased=leased, now=now, ledger_lost=ledger_lost)
    harming = not isinstance(seen, Absent)
    return Leftover(env.name, undo, mark.run, mark.expires_at, how, why, harming, fault.reversible)


def _rebuilt(fault: Any, undo: Undo) -> Fault:
    try:
        rebuilt: Fault = msgspec.convert(undo.params, type(fault))
    except msgspec.ValidationError as why:
        raise Refused(f"{undo.target.key} carries {undo.mark}, which cannot be understood: {why}") from None
    return rebuilt


def adopt(ledger: Store, run: str, env: Env, found: Sequence[Leftover], actor: str) -> None:
    """Writes what was found into the ledger as the open faults of a dead run; all or nothing.

    Each has a place of its own there: the aspect it once had is not always known. Raises StoreError.
    """
    at = time.time()
    versions = {"chaos-runner": __version__}
    started = RunStarted(plan={}, versions=versions, actor=actor)
    rows = [_row(run, n, leftover) for n, leftover in enumerate(found)]
    ledger.adopt_run(
        run,
        environment=env.name,
        experiment=EXPERIMENT,
        connections=msgspec.to_builtins(env.environment),
        record=Stamped(record=started, at=at, t=0.0),
        faults=[(row, Stamped(record=_intent(row), at=at, t=0.0)) for row in rows],
    )


def _row(run: str, n: int, leftover: Leftover) -> FaultRow:
    undo = leftover.undo
    return FaultRow(
        id=f"{run}.{n}",
        run=run,
        n=n,
        epoch=1,
        step=0,
        kind=undo.kind,
        version=undo.version,
        target=undo.target,
        aspect=f"mark:{undo.mark}",
        undo=msgspec.to_builtins(undo),
        reversible=leftover.reversible,
        expires_at=0.0 if math.isinf(leftover.expires_at) else leftover.expires_at,
    )


def _intent(row: FaultRow) -> IntentCommitted:
    return IntentCommitted(
        fault=row.id,
        target=row.target,
        kind=row.kind,
        step=row.step,
        aspect=row.aspect,
        undo=row.undo,
        reversible=row.reversible,
    )
