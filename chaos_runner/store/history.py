"""Looking things up in the ledger. Reads only; runs inside a snapshot or transaction that somebody else opened."""

from __future__ import annotations

import sqlite3

from chaos_runner.store import codec
from chaos_runner.store.rows import FaultRow, RunRow, Summary
from chaos_runner.store.schema import OPEN

FOUND_MAX = 20


def run(con: sqlite3.Connection, run_id: str) -> RunRow | None:
    """The run, or None."""
    row = con.execute(codec.SELECT_RUN + " WHERE id = ?", (run_id,)).fetchone()
    return codec.to_run(row) if row else None


def unfinished_runs(con: sqlite3.Connection, environment: str | None) -> list[RunRow]:
    """Not ended, or ended with something left behind; oldest first."""
    left_behind = f"id IN (SELECT run FROM fault WHERE {OPEN})"  # noqa: S608 -- OPEN is a constant of ours
    rows = con.execute(
        codec.SELECT_RUN + " WHERE (:environment IS NULL OR environment = :environment) "
        f"AND (state <> 'ENDED' OR {left_behind}) ORDER BY place",
        {"environment": environment},
    )
    return [codec.to_run(row) for row in rows.fetchall()]


def runs(con: sqlite3.Connection, limit: int, environment: str | None, experiment: str | None) -> list[Summary]:
    """The history, newest first; in the order the runs began, whatever the clock said."""
    rows = con.execute(
        codec.SELECT_SUMMARY + " WHERE (:environment IS NULL OR environment = :environment) "
        "AND (:experiment IS NULL OR experiment = :experiment) ORDER BY place DESC LIMIT :limit",
        {"environment": environment, "experiment": experiment, "limit": limit},
    )
    return [codec.to_summary(row) for row in rows.fetchall()]


def find_run(con: sqlite3.Connection, prefix: str) -> list[str]:
    """The ids that begin with the prefix, newest first."""
    rows = con.execute(
        "SELECT id FROM run WHERE substr(id, 1, ?) = ? ORDER BY place DESC LIMIT ?", (len(prefix), prefix, FOUND_MAX)
    )
    return [run_id for (run_id,) in rows.fetchall()]


def fault(con: sqlite3.Connection, fault_id: str) -> FaultRow | None:
    """The fault, or None."""
    row = con.execute(codec.SELECT_FAULT + " WHERE id = ?", (fault_id,)).fetchone()
    return codec.to_fault(row) if row else None


def faults(con: sqlite3.Connection, run_id: str) -> list[FaultRow]:
    """All faults of a run, in the order of their intents."""
    rows = con.execute(codec.SELECT_FAULT + " WHERE run = ? ORDER BY place", (run_id,))
    return [codec.to_fault(row) for row in rows.fetchall()]


def open_faults(con: sqlite3.Connection, environment: str | None, run_id: str | None) -> list[FaultRow]:
    """What may still be on its target, in the order of the intents."""
    rows = con.execute(
        codec.SELECT_FAULT + f" WHERE {OPEN} AND (:environment IS NULL OR environment = :environment) "
        "AND (:run IS NULL OR run = :run) ORDER BY place",
        {"environment": environment, "run": run_id},
    )
    return [codec.to_fault(row) for row in rows.fetchall()]
