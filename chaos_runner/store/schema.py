"""The tables, their version, and the way from an older version to this one.

A migration is a function from one version to the next; they run in order, in one transaction. The first makes
version 1 out of nothing. The columns are plain types, so that the same tables can live in PostgreSQL.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence

from chaos_runner._version import __version__
from chaos_runner.store.errors import StoreError

APPLICATION_ID = 0x43585231
"""In the file's header: a ledger of ours, and not any other SQLite file."""

Migration = Callable[[sqlite3.Connection], None]

OPEN = "state NOT IN ('PLANNED', 'CLOSED', 'SPENT', 'FORGOTTEN')"
"""Of a fault: every other state is open, also one that nobody knows."""

V1 = (
    """CREATE TABLE run (
        place INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        environment TEXT NOT NULL,
        experiment TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('RUNNING', 'RECOVERING', 'ENDED')),
        epoch INTEGER NOT NULL,
        owner TEXT NOT NULL,
        deadline_at REAL NOT NULL,
        connections TEXT NOT NULL,
        crc INTEGER NOT NULL,
        started_at REAL NOT NULL,
        headline TEXT NOT NULL DEFAULT '',
        records INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE fault (
        place INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        run TEXT NOT NULL REFERENCES run (id),
        environment TEXT NOT NULL,
        n INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        step INTEGER NOT NULL,
        kind TEXT NOT NULL,
        version INTEGER NOT NULL,
        target TEXT NOT NULL,
        uid TEXT NOT NULL,
        aspect TEXT NOT NULL,
        undo TEXT NOT NULL,
        reversible INTEGER NOT NULL,
        crc INTEGER NOT NULL,
        state TEXT NOT NULL,
        outcome TEXT NOT NULL,
        expires_at REAL NOT NULL,
        updated_at REAL NOT NULL)""",
    "CREATE INDEX fault_run ON fault (run)",
    f"CREATE UNIQUE INDEX fault_open ON fault (environment, target, aspect) WHERE {OPEN}",
    """CREATE TABLE record (
        run TEXT NOT NULL REFERENCES run (id),
        seq INTEGER NOT NULL,
        at REAL NOT NULL,
        t REAL NOT NULL,
        payload BLOB NOT NULL,
        crc INTEGER NOT NULL,
        PRIMARY KEY (run, seq)) WITHOUT ROWID""",
    """CREATE TABLE sample (
        place INTEGER PRIMARY KEY,
        run TEXT NOT NULL REFERENCES run (id),
        payload BLOB NOT NULL,
        crc INTEGER NOT NULL)""",
    "CREATE INDEX sample_run ON sample (run)",
    """CREATE TABLE summary (
        place INTEGER PRIMARY KEY,
        run TEXT NOT NULL UNIQUE REFERENCES run (id),
        environment TEXT NOT NULL,
        experiment TEXT NOT NULL,
        started_at REAL NOT NULL,
        ended_at REAL,
        headline TEXT NOT NULL DEFAULT '',
        finding TEXT NOT NULL DEFAULT '',
        stopped_by TEXT NOT NULL DEFAULT '',
        cleanup TEXT NOT NULL DEFAULT '',
        figures TEXT NOT NULL DEFAULT '{}')""",
    """CREATE TABLE slot (
        place INTEGER PRIMARY KEY,
        schedule TEXT NOT NULL,
        instant REAL NOT NULL,
        decision TEXT NOT NULL CHECK (decision IN ('RUN', 'SKIP')),
        reason TEXT NOT NULL DEFAULT '',
        run TEXT NOT NULL DEFAULT '',
        owner TEXT NOT NULL DEFAULT '',
        decided_at REAL NOT NULL,
        UNIQUE (schedule, instant))""",
    """CREATE TABLE blocked (
        place INTEGER PRIMARY KEY,
        schedule TEXT NOT NULL,
        run TEXT NOT NULL,
        reason TEXT NOT NULL,
        blocked_at REAL NOT NULL,
        acknowledged_by TEXT NOT NULL DEFAULT '',
        acknowledged_at REAL)""",
    "CREATE UNIQUE INDEX blocked_open ON blocked (schedule) WHERE acknowledged_at IS NULL",
)


def _to_1(con: sqlite3.Connection) -> None:
    con.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    con.execute("CREATE TABLE schema (version INTEGER PRIMARY KEY, applied_at REAL NOT NULL, program TEXT NOT NULL)")
    for statement in V1:
        con.execute(statement)


V2 = (
    """CREATE TABLE lease (
        name TEXT PRIMARY KEY,
        holder TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        boot_id TEXT NOT NULL,
        until_boot_s REAL NOT NULL,
        decided_until REAL NOT NULL)""",
    """CREATE TABLE armed (
        environment TEXT PRIMARY KEY,
        who TEXT NOT NULL,
        armed_at REAL NOT NULL,
        armed_until REAL NOT NULL)""",
    """CREATE TABLE paused (
        schedule TEXT PRIMARY KEY,
        who TEXT NOT NULL,
        reason TEXT NOT NULL,
        paused_at REAL NOT NULL)""",
    "ALTER TABLE slot ADD COLUMN state TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE slot ADD COLUMN stamp TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE slot ADD COLUMN environment TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE slot ADD COLUMN service TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE slot ADD COLUMN level INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE slot ADD COLUMN missed INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE slot ADD COLUMN readings TEXT NOT NULL DEFAULT '[]'",
    "CREATE UNIQUE INDEX slot_run ON slot (run) WHERE run <> ''",
    "CREATE INDEX slot_going ON slot (state) WHERE state IN ('CLAIMED', 'ATTACHED')",
    "ALTER TABLE blocked ADD COLUMN acknowledged_why TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE blocked ADD COLUMN ticket TEXT NOT NULL DEFAULT ''",
)


def _to_2(con: sqlite3.Connection) -> None:
    for statement in V2:
        con.execute(statement)


V3 = (
    """CREATE TABLE day (
        place INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        scenario TEXT NOT NULL,
        environment TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('OPEN', 'ENDED')),
        epoch INTEGER NOT NULL,
        owner TEXT NOT NULL,
        started_at REAL NOT NULL,
        ended_at REAL,
        stamp TEXT NOT NULL,
        facts INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE fact (
        day TEXT NOT NULL REFERENCES day (id),
        seq INTEGER NOT NULL,
        at REAL NOT NULL,
        t REAL NOT NULL,
        payload BLOB NOT NULL,
        crc INTEGER NOT NULL,
        PRIMARY KEY (day, seq)) WITHOUT ROWID""",
    """CREATE TABLE digest (
        run TEXT PRIMARY KEY REFERENCES run (id),
        version INTEGER NOT NULL,
        records INTEGER NOT NULL,
        payload BLOB NOT NULL)""",
)


def _to_3(con: sqlite3.Connection) -> None:
    for statement in V3:
        con.execute(statement)


MIGRATIONS: tuple[Migration, ...] = (_to_1, _to_2, _to_3)


def migrate(con: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Brings the tables to the newest version, all or nothing. Raises StoreError when they are newer than known."""
    if check(con, migrations) == len(migrations):
        return
    con.execute("BEGIN IMMEDIATE")
    try:
        # Read again: another process may have migrated while this one waited.
        for version in range(check(con, migrations), len(migrations)):
            migrations[version](con)
            con.execute("INSERT INTO schema VALUES (?, ?, ?)", (version + 1, time.time(), __version__))
        con.execute("COMMIT")
    finally:
        if con.in_transaction:
            con.execute("ROLLBACK")


def check(con: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """The version of the tables, 0 for an empty file. Raises StoreError for foreign files and newer versions."""
    tables = con.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables == 0:
        return 0
    if con.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        msg = "this is an SQLite file, but not a ledger of chaos-runner"
        raise StoreError(msg)
    found, program = con.execute("SELECT version, program FROM schema ORDER BY version DESC LIMIT 1").fetchone()
    if found > len(migrations):
        msg = (
            f"the ledger has schema version {found}, written by chaos-runner {program}; this is chaos-runner "
            f"{__version__}, which knows versions up to {len(migrations)}: use {program} or newer"
        )
        raise StoreError(msg)
    return int(found)
