"""What the ledger's transactions do: runs begin, change hands and end; faults are written down before the deed.

Every function runs inside a transaction that somebody else opened and commits.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

import msgspec

from chaos_runner.records import FaultForgotten, RunEnded
from chaos_runner.store import codec, history, journal
from chaos_runner.store.errors import Busy, Fenced, StoreError
from chaos_runner.store.owner import Owner
from chaos_runner.store.rows import FAULT_STATES, FaultRow, RunRow, Stamped
from chaos_runner.store.schema import OPEN


def begin_run(con: sqlite3.Connection, row: RunRow, runs_at_once: int, record: Stamped | None) -> int:
    """Inserts the run and its summary; raises Busy when `runs_at_once` runs are under way in its environment."""
    held = con.execute(
        "SELECT id FROM run WHERE environment = ? AND state <> 'ENDED' ORDER BY place", (row.environment,)
    )
    under_way = [run for (run,) in held]
    if len(under_way) >= runs_at_once:
        names = ", ".join(under_way[:3])
        msg = (
            f"environment '{row.environment}' allows {runs_at_once} runs at a time; under way: {names}: "
            "wait, or run `chaos-runner recover` if its process is gone"
        )
        raise Busy(msg, run=under_way[0] if under_way else "")
    _insert_run(con, row, record)
    return row.epoch


def adopt_run(
    con: sqlite3.Connection, row: RunRow, record: Stamped, faults: Sequence[tuple[FaultRow, Stamped]], now: float
) -> None:
    """Inserts a run that nobody owns, with its open faults; raises Busy when one of their places is taken."""
    _insert_run(con, row, record)
    for fault, intent in faults:
        _insert_fault(con, msgspec.structs.replace(fault, environment=row.environment, updated_at=now), intent)


def take_over(con: sqlite3.Connection, run_id: str, owner: Owner, seen: int | None) -> int:
    """Bumps the epoch, which fences the old owner. Raises Fenced when it is no longer `seen`.

    A run that has ended stays ended: its guardian only watches what is left of its faults.
    """
    epoch, _ = _run(con, run_id)
    if seen is not None and epoch != seen:
        msg = f"run {run_id} was taken over by somebody else meanwhile (epoch {epoch}, not {seen})"
        raise Fenced(msg)
    con.execute(
        "UPDATE run SET epoch = ?, owner = ?, state = CASE state WHEN 'ENDED' THEN state ELSE 'RECOVERING' END "
        "WHERE id = ?",
        (epoch + 1, codec.to_json(owner).decode(), run_id),
    )
    return epoch + 1


def end_run(
    con: sqlite3.Connection,
    run_id: str,
    epoch: int,
    headline: str,
    record: Stamped | None,
    figures: Mapping[str, float],
    now: float,
) -> None:
    """Ends the run once and completes its summary."""
    _assert_epoch(con, run_id, epoch, ("RUNNING", "RECOVERING"))
    con.execute("UPDATE run SET state = 'ENDED', headline = ? WHERE id = ?", (headline, run_id))
    finding = stopped_by = cleanup = ""
    if record is not None and isinstance(record.record, RunEnded):
        outcome = record.record.outcome
        finding, stopped_by, cleanup = outcome.finding, outcome.stopped_by, outcome.cleanup
    con.execute(
        "UPDATE summary SET ended_at = ?, headline = ?, finding = ?, stopped_by = ?, cleanup = ?, figures = ? "
        "WHERE run = ?",
        (now, headline, finding, stopped_by, cleanup, codec.to_json(dict(figures)).decode(), run_id),
    )
    _append(con, run_id, record)


def commit_intent(con: sqlite3.Connection, row: FaultRow, record: Stamped, now: float) -> None:
    """Writes the undo down, if the run is still ours and the place on the target is free."""
    if row.state != "INTENT":
        msg = f"fault {row.id} is {row.state}; only an INTENT can be committed"
        raise StoreError(msg)
    _assert_epoch(con, row.run, row.epoch, ("RUNNING",))
    (environment,) = con.execute("SELECT environment FROM run WHERE id = ?", (row.run,)).fetchone()
    _insert_fault(con, msgspec.structs.replace(row, environment=environment, updated_at=now), record)


def set_fault_state(
    con: sqlite3.Connection, fault_id: str, epoch: int, state: str, outcome: str, record: Stamped | None, now: float
) -> None:
    """Moves a fault on. A closed one stays closed, and FORGOTTEN takes a person."""
    fault = _fault(con, fault_id)
    _assert_epoch(con, fault.run, epoch, ("RUNNING", "RECOVERING", "ENDED"))
    if state not in FAULT_STATES or state in {"PLANNED", "FORGOTTEN"}:
        msg = f"fault {fault_id} cannot be set to {state}"
        raise StoreError(msg)
    if not fault.open and fault.state != state:
        msg = f"fault {fault_id} is {fault.state} and cannot become {state}"
        raise StoreError(msg)
    _set_state(con, fault_id, state, outcome, now)
    _append(con, fault.run, record)


def forget(con: sqlite3.Connection, fault_id: str, reason: str, who: str, now: float) -> None:
    """A person gives up on an open fault; needs a reason and a name."""
    if not reason.strip() or not who.strip():
        msg = "forgetting a fault takes a reason and a name: every later report shows both"
        raise StoreError(msg)
    fault = _fault(con, fault_id)
    if not fault.open:
        msg = f"fault {fault_id} is {fault.state}: there is nothing to forget"
        raise StoreError(msg)
    _set_state(con, fault_id, "FORGOTTEN", reason, now)
    forgotten = FaultForgotten(fault=fault_id, reason=reason, who=who)
    _append(con, fault.run, Stamped(record=forgotten, at=now, t=journal.late_t(con, fault.run, now)))


def append(con: sqlite3.Connection, run_id: str, record: Stamped, epoch: int | None) -> int:
    """Appends a record; with an epoch it raises Fenced when that is no longer the run's."""
    if epoch is not None:
        _assert_epoch(con, run_id, epoch, ("RUNNING", "RECOVERING", "ENDED"))
    return journal.append(con, run_id, record)


def _insert_run(con: sqlite3.Connection, row: RunRow, record: Stamped | None) -> None:
    con.execute(codec.INSERT_RUN, codec.from_run(row))
    con.execute(
        "INSERT INTO summary (run, environment, experiment, started_at) VALUES (?, ?, ?, ?)",
        (row.id, row.environment, row.experiment, row.started_at),
    )
    _append(con, row.id, record)


def _insert_fault(con: sqlite3.Connection, row: FaultRow, record: Stamped) -> None:
    _assert_free(con, row)
    con.execute(codec.INSERT_FAULT, codec.from_fault(row))
    _append(con, row.run, record)


def _assert_epoch(con: sqlite3.Connection, run_id: str, epoch: int, states: tuple[str, ...]) -> None:
    now, state = _run(con, run_id)
    if now != epoch:
        msg = f"run {run_id} has another owner: its epoch is {now}, not {epoch}"
        raise Fenced(msg)
    if state not in states:
        msg = f"run {run_id} is {state}, not {' or '.join(states)}"
        raise Fenced(msg)


def _assert_free(con: sqlite3.Connection, row: FaultRow) -> None:
    holder = con.execute(
        codec.SELECT_FAULT + f" WHERE environment = ? AND target = ? AND aspect = ? AND {OPEN}",
        (row.environment, row.target.key, row.aspect),
    ).fetchone()
    if holder is not None:
        held = codec.to_fault(holder)
        msg = f"{row.target.key} ({row.aspect}) is held by fault {held.id} of run {held.run}, which is {held.state}"
        raise Busy(msg, run=held.run, fault=held.id)


def _set_state(con: sqlite3.Connection, fault_id: str, state: str, outcome: str, now: float) -> None:
    con.execute("UPDATE fault SET state = ?, updated_at = ? WHERE id = ?", (state, now, fault_id))
    if outcome:
        con.execute("UPDATE fault SET outcome = ? WHERE id = ?", (outcome, fault_id))


def _append(con: sqlite3.Connection, run_id: str, record: Stamped | None) -> None:
    if record is not None:
        journal.append(con, run_id, record)


def _run(con: sqlite3.Connection, run_id: str) -> tuple[int, str]:
    row: tuple[int, str] | None = con.execute("SELECT epoch, state FROM run WHERE id = ?", (run_id,)).fetchone()
    if row is None:
        msg = f"there is no run {run_id}"
        raise StoreError(msg)
    return row


def _fault(con: sqlite3.Connection, fault_id: str) -> FaultRow:
    fault = history.fault(con, fault_id)
    if fault is None:
        msg = f"there is no fault {fault_id}"
        raise StoreError(msg)
    return fault
