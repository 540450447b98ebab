"""What the schedules' transactions do: who leads, which slot was claimed or skipped, what is blocked, armed or paused.

Every function runs inside a transaction that somebody else opened and commits.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from typing import Any

import msgspec

from chaos_runner.store import codec
from chaos_runner.store.errors import Fenced, StoreError
from chaos_runner.store.owner import Owner, alive, boot_id, boot_stamp, since_s
from chaos_runner.store.rows import Armed, Block, Lease, Paused, Reading, SlotRow

LEADER = "scheduler"
NOT_STARTED = "NOT_STARTED"  # the headline of a run that refused itself: nothing was injected
UNTOLD = "not started: its report says why"  # until its process does
CLAIM_S = 20.0  # within which the claimed run's process must have attached

_INSERT = (
    "INSERT INTO slot (schedule, instant, decision, reason, run, owner, decided_at, state, stamp, environment, "
    "service, level, missed, readings) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (schedule, instant) DO NOTHING"
)
_SELECT = (
    "SELECT s.schedule, s.instant, s.decision, s.reason, s.run, s.owner, s.decided_at, s.state, s.stamp, "
    "s.environment, s.service, s.level, s.missed, s.readings, coalesce(m.headline, ''), coalesce(m.finding, ''), "
    "m.ended_at, coalesce(m.stopped_by, '') "
    "FROM slot s LEFT JOIN summary m ON m.run = s.run AND s.run <> ''"
)
_readings = msgspec.json.Decoder(tuple[Reading, ...])


# --- the lease ---------------------------------------------------------------------------------------------------


def hold_lease(con: sqlite3.Connection, holder: str, ttl_s: float, decided_until: float | None, now: float) -> Lease:
    """The lease as it is now: taken where it is free or has lapsed, renewed where it is ours, else another's.

    Only the holder moves `decided_until`; the first holder ever begins at `now`, so that nothing is caught up.
    """
    held = lease(con)
    if held is not None and held.holder != holder and held.left_s > 0:
        return held
    ours = held is not None and held.holder == holder
    epoch = held.epoch + (not ours) if held else 1
    decided = held.decided_until if held else now
    if ours and decided_until is not None:
        decided = decided_until
    con.execute(
        "INSERT INTO lease (name, holder, epoch, boot_id, until_boot_s, decided_until) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, epoch = excluded.epoch, "
        "boot_id = excluded.boot_id, until_boot_s = excluded.until_boot_s, decided_until = excluded.decided_until",
        (LEADER, holder, epoch, boot_id(), _boot_s() + ttl_s, decided),
    )
    return Lease(holder=holder, epoch=epoch, decided_until=decided, left_s=ttl_s)


def lease(con: sqlite3.Connection) -> Lease | None:
    """Who leads; one of an earlier boot has lapsed."""
    row = con.execute(
        "SELECT holder, epoch, boot_id, until_boot_s, decided_until FROM lease WHERE name = ?", (LEADER,)
    ).fetchone()
    if row is None:
        return None
    holder, epoch, boot, until_s, decided = row
    left_s = until_s - _boot_s() if boot == boot_id() else 0.0
    return Lease(holder=holder, epoch=epoch, decided_until=decided, left_s=left_s)


def release_lease(con: sqlite3.Connection, holder: str, epoch: int) -> None:
    """Lets the next one lead at once; another's lease stays."""
    con.execute(
        "UPDATE lease SET until_boot_s = 0 WHERE name = ? AND holder = ? AND epoch = ?", (LEADER, holder, epoch)
    )


def _assert_leader(con: sqlite3.Connection, epoch: int) -> None:
    held = lease(con)
    if held is None or held.epoch != epoch or held.left_s <= 0:
        now = "nobody" if held is None else f"{held.holder} (epoch {held.epoch})"
        msg = f"this daemon does not lead any more: its epoch was {epoch}, the lease is with {now}"
        raise Fenced(msg)


def _boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


# --- slots -------------------------------------------------------------------------------------------------------


def claim_slot(con: sqlite3.Connection, row: SlotRow, epoch: int) -> bool:
    """Claims the slot for a run, once for all time; False where it was decided before. Raises Fenced."""
    _assert_leader(con, epoch)
    return bool(_insert(con, (msgspec.structs.replace(row, state="CLAIMED", stamp=boot_stamp()),)))


def add_skips(con: sqlite3.Connection, rows: Iterable[SlotRow], epoch: int) -> int:
    """Writes decisions not to run; those decided before stay. Raises Fenced."""
    _assert_leader(con, epoch)
    return _insert(con, rows)


def attach_slot(con: sqlite3.Connection, run_id: str, owner: Owner) -> SlotRow:
    """Makes the calling process the one that runs it. Raises Fenced where the claim is gone, used or too old."""
    row = slot_of(con, run_id)
    if row is None:
        msg = f"no slot was claimed for run {run_id}"
        raise Fenced(msg)
    age_s = since_s(row.stamp)
    if row.state != "CLAIMED" or age_s is None or age_s > CLAIM_S:
        told = row.state if row.state != "CLAIMED" else f"older than {CLAIM_S:g} s"
        msg = f"the slot of run {run_id} cannot be taken: it is {told}"
        raise Fenced(msg)
    con.execute("UPDATE slot SET state = 'ATTACHED', owner = ? WHERE run = ?", (codec.to_json(owner).decode(), run_id))
    return row


def end_slot(
    con: sqlite3.Connection, run_id: str, state: str, reason: str, readings: tuple[Reading, ...], only: str
) -> bool:
    """A claim that came to no run: REFUSED or LOST, with the reason. False where it had come to something.

    A run that refused itself may have been settled before its process could say why.
    """
    changed = con.execute(
        "UPDATE slot SET state = :state, reason = :reason WHERE run = :run AND (:only = '' OR state = :only) "
        "AND (state IN ('CLAIMED', 'ATTACHED') OR (state = 'REFUSED' AND :state = 'REFUSED' AND reason = :untold))",
        {"state": state, "reason": reason, "run": run_id, "only": only, "untold": UNTOLD},
    ).rowcount
    if changed and readings:
        con.execute("UPDATE slot SET readings = ? WHERE run = ?", (codec.to_json(readings).decode(), run_id))
    return bool(changed)


def settle_slots(con: sqlite3.Connection, now: float) -> list[SlotRow]:
    """Ends the slots whose run has ended or will never begin, and blocks a schedule after a failure; those slots.

    A run that people ended while nothing was violated is no failure.
    """
    settled = []
    for row in going_slots(con):
        state, why = _came_to(con, row)
        if state:
            con.execute("UPDATE slot SET state = ?, reason = ? WHERE run = ?", (state, why, row.run))
            if row.failed:
                _block(con, row, now)
            settled.append(msgspec.structs.replace(row, state=state, reason=why))
    return settled


def _came_to(con: sqlite3.Connection, row: SlotRow) -> tuple[Any, str]:
    run = con.execute("SELECT state FROM run WHERE id = ?", (row.run,)).fetchone()
    if run is not None:
        if run[0] != "ENDED":
            return "", ""
        return ("REFUSED", row.reason or UNTOLD) if row.headline == NOT_STARTED else ("ENDED", row.reason)
    if row.state == "CLAIMED":
        age_s = since_s(row.stamp)
        late = age_s is None or age_s > CLAIM_S
        return ("LOST", f"its process did not come up within {CLAIM_S:g} s of the claim") if late else ("", "")
    dead = alive(msgspec.json.decode(row.owner, type=Owner)) is False
    return ("LOST", "its process ended before the run began") if dead else ("", "")


def _block(con: sqlite3.Connection, row: SlotRow, now: float) -> None:
    con.execute(
        "INSERT INTO blocked (schedule, run, reason, blocked_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (row.schedule, row.run, f"run {row.run} ended {row.headline}", now),
    )


def slot_of(con: sqlite3.Connection, run_id: str) -> SlotRow | None:
    """The slot that was claimed for this run."""
    row = con.execute(f"{_SELECT} WHERE s.run = ?", (run_id,)).fetchone()
    return _slot(row) if row else None


def going_slots(con: sqlite3.Connection) -> list[SlotRow]:
    """Claimed or attached ones, the oldest first."""
    rows = con.execute(f"{_SELECT} WHERE s.state IN ('CLAIMED', 'ATTACHED') ORDER BY s.place")
    return [_slot(row) for row in rows.fetchall()]


def slots(
    con: sqlite3.Connection, schedule: str | None, decision: str | None, limit: int, *, readings: bool
) -> list[SlotRow]:
    """Decisions, newest first; without what the gates read where nobody asks for that."""
    # Only what is asked for stands in the query: a condition that may be NULL would look at every row there is.
    wanted = {"s.schedule": schedule, "s.decision": decision}
    asked = [(column, value) for column, value in wanted.items() if value is not None]
    where = " WHERE " + " AND ".join(f"{column} = ?" for column, _ in asked) if asked else ""
    select = _SELECT if readings else _SELECT.replace("s.readings", "'[]'")
    values = [*(value for _, value in asked), limit]
    rows = con.execute(f"{select}{where} ORDER BY s.place DESC LIMIT ?", values)
    return [_slot(row) for row in rows.fetchall()]


def counts(con: sqlite3.Connection) -> dict[str, int]:
    """How many decisions of each kind there are: `RUN ENDED`, `SKIP` …"""
    rows = con.execute("SELECT trim(decision || ' ' || state), count(*) FROM slot GROUP BY 1 ORDER BY 1")
    return dict(rows.fetchall())


def last_conclusive(con: sqlite3.Connection) -> dict[str, float]:
    """When the last run of each schedule ended that came to HELD or DEVIATED."""
    rows = con.execute(
        "SELECT s.schedule, max(m.ended_at) FROM slot s JOIN summary m ON m.run = s.run "
        "WHERE s.run <> '' AND m.finding IN ('HELD', 'DEVIATED') GROUP BY s.schedule"
    )
    return dict(rows.fetchall())


def _insert(con: sqlite3.Connection, rows: Iterable[SlotRow]) -> int:
    return con.executemany(_INSERT, [_columns(row) for row in rows]).rowcount


def _columns(row: SlotRow) -> tuple[Any, ...]:
    head = (row.schedule, row.instant, row.decision, row.reason, row.run, row.owner, row.decided_at, row.state)
    tail = (row.stamp, row.environment, row.service, row.level, row.missed)
    return (*head, *tail, codec.to_json(row.readings).decode())


def _slot(row: tuple[Any, ...]) -> SlotRow:
    try:
        readings = _readings.decode(row[13])
    except msgspec.MsgspecError:
        readings = (Reading(gate="?", ok=False, why="the stored readings are damaged"),)
    values: list[Any] = [*row[:13], readings, *row[14:]]
    return SlotRow(*values)


# --- what people say ---------------------------------------------------------------------------------------------


def blocked(con: sqlite3.Connection, *, acknowledged: bool = False) -> list[Block]:
    """What waits for somebody's word; with `acknowledged` also what no longer does. Newest first."""
    rows = con.execute(
        "SELECT schedule, run, reason, blocked_at, acknowledged_by, acknowledged_at, acknowledged_why, ticket "
        "FROM blocked WHERE (? OR acknowledged_at IS NULL) ORDER BY place DESC LIMIT 100000",
        (acknowledged,),
    )
    return [Block(*row) for row in rows.fetchall()]


def acknowledge(con: sqlite3.Connection, schedule: str, who: str, why: str, ticket: str, now: float) -> None:
    """Lets a blocked schedule run again; takes a name and a reason."""
    _named(who, why, f"acknowledging the failure of {schedule}")
    changed = con.execute(
        "UPDATE blocked SET acknowledged_by = ?, acknowledged_at = ?, acknowledged_why = ?, ticket = ? "
        "WHERE schedule = ? AND acknowledged_at IS NULL",
        (who, now, why, ticket, schedule),
    ).rowcount
    if not changed:
        msg = f"{schedule} is not blocked"
        raise StoreError(msg)


def arm(con: sqlite3.Connection, one: Armed) -> None:
    """Lets schedules run in an environment until then; takes a name."""
    _named(one.who, "-", f"arming {one.environment}")
    con.execute(
        "INSERT OR REPLACE INTO armed (environment, who, armed_at, armed_until) VALUES (?, ?, ?, ?)",
        (one.environment, one.who, one.armed_at, one.armed_until),
    )


def disarm(con: sqlite3.Connection, environment: str) -> bool:
    """Takes it back; False where it was not armed."""
    return bool(con.execute("DELETE FROM armed WHERE environment = ?", (environment,)).rowcount)


def armed(con: sqlite3.Connection) -> dict[str, Armed]:
    """Environment -> who armed it, and until when; also what has run out."""
    rows = con.execute("SELECT environment, who, armed_at, armed_until FROM armed")
    return {row[0]: Armed(*row) for row in rows.fetchall()}


def pause(con: sqlite3.Connection, one: Paused) -> None:
    """Puts a schedule aside; takes a name and a reason."""
    _named(one.who, one.reason, f"pausing {one.schedule}")
    con.execute(
        "INSERT OR REPLACE INTO paused (schedule, who, reason, paused_at) VALUES (?, ?, ?, ?)",
        (one.schedule, one.who, one.reason, one.paused_at),
    )


def unpause(con: sqlite3.Connection, schedule: str) -> bool:
    """Takes it up again; False where it was not put aside."""
    return bool(con.execute("DELETE FROM paused WHERE schedule = ?", (schedule,)).rowcount)


def paused(con: sqlite3.Connection) -> dict[str, Paused]:
    """Schedule -> who put it aside, and why."""
    rows = con.execute("SELECT schedule, who, reason, paused_at FROM paused")
    return {row[0]: Paused(*row) for row in rows.fetchall()}


def _named(who: str, why: str, deed: str) -> None:
    if not who.strip() or not why.strip():
        msg = f"{deed} takes a name and a reason: both are kept"
        raise StoreError(msg)
