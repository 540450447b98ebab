"""Runs, faults and child processes for the tests of the store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from chaos_runner.records import AnyRecord, FaultInjected, IntentCommitted, Noted, RunStarted, Target
from chaos_runner.store import FaultRow, Owner, SqliteStore, Stamped

ROOT = Path(__file__).parents[2]
UNDO = {"mark": "cx.r1.0.99", "before": {"enabled": True}}


def stamped(record: AnyRecord, t: float = 0.0) -> Stamped:
    return Stamped(record=record, at=1000.0 + t, t=t)


def begin(store: SqliteStore, run: str = "r1", *, environment: str = "demo", runs_at_once: int = 9) -> int:
    return store.begin_run(
        run,
        environment=environment,
        experiment="slow-payments",
        owner=Owner.mine(),
        connections={"toxiproxy": {"token": "env:TOKEN"}},
        deadline_at=2000.0,
        runs_at_once=runs_at_once,
        record=stamped(RunStarted(plan={}, versions={}, actor="me")),
    )


def fault(fault_id: str = "f1", *, run: str = "r1", epoch: int = 1, target: str = "proxy/payments") -> FaultRow:
    return FaultRow(
        id=fault_id,
        run=run,
        n=0,
        epoch=epoch,
        step=0,
        kind="toxic",
        version=1,
        target=Target(key=target, uid="u1"),
        aspect="toxic:downstream:latency",
        undo=UNDO,
        expires_at=1500.0,
    )


def intent(row: FaultRow) -> Stamped:
    record = IntentCommitted(
        fault=row.id, target=row.target, kind=row.kind, step=row.step, aspect=row.aspect, undo=row.undo
    )
    return stamped(record, 1.0)


def commit(store: SqliteStore, row: FaultRow | None = None) -> FaultRow:
    row = row or fault()
    store.commit_intent(row, intent(row))
    return row


def injected(fault_id: str = "f1") -> Stamped:
    return stamped(FaultInjected(fault=fault_id, seconds=0.1), 2.0)


def note(text: str = "hm") -> Noted:
    return Noted(who="ops", text=text)


def child(code: str, *arguments: str, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """A Python process that runs `code` with this module's names; it is the caller's to end."""
    prelude = "import sys\nfrom pathlib import Path\nfrom chaos_runner.store import *\nfrom tests.store.kit import *\n"
    return subprocess.Popen(
        [*before, sys.executable, "-c", prelude + code, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    """What the child printed; fails with its traceback."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out
