"""Records and samples of a run: appended, never changed; read back whole or not at all.

Every function runs inside a transaction or snapshot that somebody else opened.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from chaos_runner.records import Entry, Sample
from chaos_runner.store import codec
from chaos_runner.store.errors import StoreError
from chaos_runner.store.rows import Stamped


def append(con: sqlite3.Connection, run_id: str, stamped: Stamped) -> int:
    """Gives the record the run's next number: the run's own count, so that a lost last record is noticed too."""
    if con.execute("UPDATE run SET records = records + 1 WHERE id = ?", (run_id,)).rowcount == 0:
        msg = f"there is no run {run_id}"
        raise StoreError(msg)
    seq = _count(con, run_id)
    payload = codec.to_json(stamped.record)
    at, t = float(stamped.at), float(stamped.t)
    crc = codec.record_crc(run_id, seq, at, t, payload)
    con.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", (run_id, seq, at, t, payload, crc))
    return seq


def records(con: sqlite3.Connection, run_id: str, after: int = 0) -> list[Entry]:
    """The records after the seq `after`, in order. Raises StoreError naming the first that is damaged or missing."""
    rows = con.execute(
        "SELECT seq, at, t, payload, crc FROM record WHERE run = ? AND seq > ? ORDER BY seq", (run_id, after)
    ).fetchall()
    for wanted, row in enumerate(rows, start=after + 1):
        if row[0] != wanted:
            raise _missing(run_id, wanted)
    if len(rows) != max(0, _count(con, run_id) - after):
        raise _missing(run_id, after + len(rows) + 1)
    return [codec.to_entry(run_id, row) for row in rows]


def add_samples(con: sqlite3.Connection, run_id: str, rows: Sequence[tuple[bytes, int]]) -> None:
    """Appends encoded samples."""
    con.executemany("INSERT INTO sample (run, payload, crc) VALUES (?, ?, ?)", [(run_id, *row) for row in rows])


def samples(con: sqlite3.Connection, run_id: str, after: int = 0) -> list[Sample]:
    """The samples after the first `after`, in the order they came. Raises StoreError naming the first damaged one."""
    rows = con.execute(
        "SELECT payload, crc FROM sample WHERE run = ? ORDER BY place LIMIT -1 OFFSET ?", (run_id, after)
    ).fetchall()
    return [codec.to_sample(run_id, n, row) for n, row in enumerate(rows, start=after + 1)]


def late_t(con: sqlite3.Connection, run_id: str, now: float) -> float:
    """Seconds since the run's start for somebody who was not there: never before the last record."""
    row = con.execute(
        "SELECT ? - started_at, (SELECT max(t) FROM record WHERE run = run.id) FROM run WHERE id = ?", (now, run_id)
    ).fetchone()
    return max(float(row[0]), float(row[1] or 0.0)) if row else 0.0


def _count(con: sqlite3.Connection, run_id: str) -> int:
    row = con.execute("SELECT records FROM run WHERE id = ?", (run_id,)).fetchone()
    return int(row[0]) if row else 0


def _missing(run_id: str, seq: int) -> StoreError:
    return StoreError(f"record {seq} of run {run_id} is missing: the history is incomplete")
