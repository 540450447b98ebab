"""Game days: the day's row, its facts, and the digests that reports over many runs are made of.

Every function runs inside a transaction or snapshot that somebody else opened.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from chaos_runner.gameday.facts import AnyFact, DayEnded, DayStarted, Entry
from chaos_runner.store import codec
from chaos_runner.store.errors import Busy, Fenced, StoreError
from chaos_runner.store.owner import Owner, boot_stamp, since_s
from chaos_runner.store.rows import DayRow, Digest

FOUND_MAX = 20

_SELECT = "SELECT id, scenario, environment, state, epoch, owner, started_at, ended_at, facts, stamp FROM day"
_fact = msgspec.json.Decoder(AnyFact)
_owner = msgspec.json.Decoder(Owner)


def begin_day(con: sqlite3.Connection, row: DayRow, fact: DayStarted) -> int:
    """Makes the day durable with its first fact; its epoch. Raises Busy while another day is open."""
    going = con.execute("SELECT id FROM day WHERE state = 'OPEN' LIMIT 1").fetchone()
    if going is not None:
        msg = f"game day {going[0]} is not over; take it up with `chaos-runner gameday resume`, or end it first"
        raise Busy(msg, run=str(going[0]))
    con.execute(
        "INSERT INTO day (id, scenario, environment, state, epoch, owner, started_at, stamp) "
        "VALUES (?, ?, ?, 'OPEN', 1, ?, ?, ?)",
        (row.id, row.scenario, row.environment, codec.to_json(row.owner).decode(), row.started_at, boot_stamp()),
    )
    _append(con, row.id, fact, row.started_at, 0.0)
    return 1


def take_day(con: sqlite3.Connection, day_id: str, owner: Owner, seen: int) -> int:
    """Makes `owner` the conductor and returns the new epoch. Raises Fenced where the epoch is no longer `seen`."""
    changed = con.execute(
        "UPDATE day SET epoch = epoch + 1, owner = ? WHERE id = ? AND epoch = ? AND state = 'OPEN'",
        (codec.to_json(owner).decode(), day_id, seen),
    ).rowcount
    if not changed:
        msg = f"game day {day_id} is over, or somebody else conducts it by now"
        raise Fenced(msg)
    return seen + 1


def say(con: sqlite3.Connection, day_id: str, fact: AnyFact, now: float, epoch: int | None) -> int:
    """Appends a fact and returns its seq. With an epoch it raises Fenced where that is not the day's any more."""
    row = _row(con, day_id)
    if epoch is not None and epoch != row.epoch:
        msg = f"this process does not conduct game day {day_id} any more: its epoch was {epoch}, it is {row.epoch}"
        raise Fenced(msg)
    since = since_s(row.stamp)
    return _append(con, day_id, fact, now, max(0.0, now - row.started_at if since is None else since))


def end_day(con: sqlite3.Connection, day_id: str, epoch: int, fact: DayEnded, now: float) -> int:
    """Ends the day once. Raises Fenced."""
    seq = say(con, day_id, fact, now, epoch)
    con.execute("UPDATE day SET state = 'ENDED', ended_at = ? WHERE id = ?", (now, day_id))
    return seq


def day(con: sqlite3.Connection, day_id: str) -> DayRow | None:
    """The day, or None."""
    row = con.execute(_SELECT + " WHERE id = ?", (day_id,)).fetchone()
    return _to_day(row) if row else None


def days(con: sqlite3.Connection, limit: int) -> list[DayRow]:
    """The newest first."""
    return [_to_day(row) for row in con.execute(_SELECT + " ORDER BY place DESC LIMIT ?", (limit,)).fetchall()]


def open_day(con: sqlite3.Connection) -> DayRow | None:
    """The one that is not over."""
    row = con.execute(_SELECT + " WHERE state = 'OPEN' ORDER BY place DESC LIMIT 1").fetchone()
    return _to_day(row) if row else None


def find_day(con: sqlite3.Connection, prefix: str) -> list[str]:
    """The ids that begin with the prefix, newest first."""
    rows = con.execute(
        "SELECT id FROM day WHERE substr(id, 1, ?) = ? ORDER BY place DESC LIMIT ?", (len(prefix), prefix, FOUND_MAX)
    )
    return [day_id for (day_id,) in rows.fetchall()]


def facts(con: sqlite3.Connection, day_id: str, after: int) -> list[Entry]:
    """The facts with a seq above `after`, in order. Raises StoreError naming one that is damaged or missing."""
    rows = con.execute(
        "SELECT seq, at, t, payload, crc FROM fact WHERE day = ? AND seq > ? ORDER BY seq", (day_id, after)
    ).fetchall()
    wanted = con.execute("SELECT facts FROM day WHERE id = ?", (day_id,)).fetchone()
    if wanted is None:
        msg = f"there is no game day {day_id}"
        raise StoreError(msg)
    if [row[0] for row in rows] != list(range(after + 1, int(wanted[0]) + 1)):
        msg = f"the facts of game day {day_id} have a gap after {after}: the history is incomplete"
        raise StoreError(msg)
    return [_to_entry(day_id, row) for row in rows]


def _append(con: sqlite3.Connection, day_id: str, fact: AnyFact, at: float, t: float) -> int:
    con.execute("UPDATE day SET facts = facts + 1 WHERE id = ?", (day_id,))
    (seq,) = con.execute("SELECT facts FROM day WHERE id = ?", (day_id,)).fetchone()
    payload = codec.to_json(fact)
    crc = codec.record_crc(day_id, seq, at, t, payload)
    con.execute("INSERT INTO fact VALUES (?, ?, ?, ?, ?, ?)", (day_id, seq, at, t, payload, crc))
    return int(seq)


def _row(con: sqlite3.Connection, day_id: str) -> DayRow:
    found = day(con, day_id)
    if found is None:
        msg = f"there is no game day {day_id}"
        raise StoreError(msg)
    return found


def _to_day(row: codec.Columns) -> DayRow:
    day_id, scenario, environment, state, epoch, owner, started_at, ended_at, count, stamp = row
    try:
        who = _owner.decode(owner)
    except msgspec.MsgspecError:
        who = Owner.nobody()
    return DayRow(
        id=day_id,
        scenario=scenario,
        environment=environment,
        owner=who,
        state=state,
        epoch=epoch,
        started_at=started_at,
        ended_at=ended_at,
        facts=count,
        stamp=stamp,
    )


def _to_entry(day_id: str, row: codec.Columns) -> Entry:
    seq, at, t, payload, crc = row
    if not isinstance(payload, bytes) or codec.record_crc(day_id, seq, at, t, payload) != crc:
        msg = f"fact {seq} of game day {day_id} is damaged: its checksum does not fit"
        raise StoreError(msg)
    try:
        return Entry(day=day_id, seq=seq, at=at, t=t, fact=_fact.decode(payload))
    except msgspec.MsgspecError as why:
        msg = f"fact {seq} of game day {day_id} cannot be understood ({why}): a newer chaos-runner may have written it"
        raise StoreError(msg) from why


# --- digests -----------------------------------------------------------------------------------------------------


def undigested(con: sqlite3.Connection, version: int, limit: int) -> list[str]:
    """The ended runs that have no digest of this version, or got records since it was made; the oldest first."""
    rows = con.execute(
        "SELECT run.id FROM run LEFT JOIN digest ON digest.run = run.id AND digest.version = ? "
        "AND digest.records = run.records WHERE run.state = 'ENDED' AND digest.run IS NULL ORDER BY place LIMIT ?",
        (version, limit),
    )
    return [run for (run,) in rows.fetchall()]


def add_digests(con: sqlite3.Connection, rows: Sequence[Digest]) -> None:
    """Keeps digests; a newer one of a run takes the older one's place."""
    con.executemany(
        "INSERT INTO digest (run, version, records, payload) VALUES (?, ?, ?, ?) ON CONFLICT (run) DO UPDATE SET "
        "version = excluded.version, records = excluded.records, payload = excluded.payload",
        [(one.run, one.version, one.records, one.payload) for one in rows],
    )


def digests(con: sqlite3.Connection, version: int) -> list[Digest]:
    """All of this version, in the order in which their runs began."""
    rows = con.execute(
        "SELECT digest.run, digest.version, digest.records, digest.payload FROM digest "
        "JOIN run ON run.id = digest.run WHERE digest.version = ? ORDER BY run.place",
        (version,),
    )
    return [Digest(*row) for row in rows.fetchall()]
