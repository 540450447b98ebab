"""The store of one host, on SQLite. Each method is one transaction; what they do is in ledger, journal and history."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from chaos_runner.gameday.facts import AnyFact, DayEnded, DayStarted
from chaos_runner.gameday.facts import Entry as FactEntry
from chaos_runner.lifecycle import State
from chaos_runner.records import AnyRecord, Entry, Sample
from chaos_runner.store import codec, days, disk, history, journal, ledger, slots
from chaos_runner.store.database import Database
from chaos_runner.store.errors import NoLedger, StoreError
from chaos_runner.store.owner import Owner, boot_stamp
from chaos_runner.store.reader import Reader
from chaos_runner.store.rows import (
    Armed,
    Block,
    DayRow,
    Digest,
    FaultRow,
    Lease,
    Paused,
    Reading,
    RunRow,
    SlotRow,
    Stamped,
    Summary,
)


def open_store(state_dir: Path, *, read_only: bool = False, allow_tmpfs: bool = False) -> SqliteStore:
    """Opens the ledger; for writing, makes the folder and the ledger where they are missing.

    Raises StoreError when the ledger is damaged, foreign, newer than this program, open to others, or on a file
    system that does not keep commits; NoLedger when there is nothing to read.
    """
    state_dir = state_dir.absolute()
    try:
        return _open_to_read(state_dir) if read_only else _open_to_write(state_dir, allow_tmpfs=allow_tmpfs)
    except OSError as why:
        msg = f"cannot open the ledger in {state_dir}: {why.strerror or why}"
        raise StoreError(msg) from why


def _open_to_write(state_dir: Path, *, allow_tmpfs: bool) -> SqliteStore:
    disk.make_private(state_dir)
    warnings = disk.check_file_system(state_dir, allow_tmpfs=allow_tmpfs)
    # Scarce room refuses new runs, not opening: recovery must work on a full disk.
    scarce = disk.lack_of_room(state_dir)
    return SqliteStore(Database(state_dir), (*warnings, scarce) if scarce else warnings)


def _open_to_read(state_dir: Path) -> SqliteStore:
    if not state_dir.exists():
        msg = f"there is no state folder {state_dir}: nothing has run here"
        raise NoLedger(msg)
    disk.check_private(state_dir)
    return SqliteStore(Reader(state_dir))


class SqliteStore:
    """A Store (see there for what each method promises) in one file, `ledger.sqlite`."""

    def __init__(
        self, database: Database | Reader, warnings: tuple[str, ...] = (), clock: Callable[[], float] = time.time
    ) -> None:
        self._db = database
        self._warnings = warnings
        self._clock = clock

    @property
    def warnings(self) -> tuple[str, ...]:
        return self._warnings

    def begin_run(
        self,
        run_id: str,
        *,
        environment: str,
        experiment: str,
        owner: Owner,
        connections: Mapping[str, Any],
        deadline_at: float,
        runs_at_once: int,
        record: Stamped | None = None,
    ) -> int:
        if scarce := self._scarce():
            raise StoreError(scarce)
        row = RunRow(
            id=run_id,
            environment=environment,
            experiment=experiment,
            state="RUNNING",
            epoch=1,
            owner=owner,
            deadline_at=deadline_at,
            connections=dict(connections),
            started_at=record.at if record else self._clock(),
        )
        return self._db.write(lambda con: ledger.begin_run(con, row, runs_at_once, record))

    def take_over(self, run_id: str, owner: Owner, seen: int | None = None) -> int:
        return self._db.write(lambda con: ledger.take_over(con, run_id, owner, seen), reserve=True)

    def end_run(
        self,
        run_id: str,
        epoch: int,
        headline: str,
        *,
        record: Stamped | None = None,
        figures: Mapping[str, float] | None = None,
    ) -> None:
        now = record.at if record else self._clock()
        self._db.write(
            lambda con: ledger.end_run(con, run_id, epoch, headline, record, figures or {}, now), reserve=True
        )

    def adopt_run(
        self,
        run_id: str,
        *,
        environment: str,
        experiment: str,
        connections: Mapping[str, Any],
        record: Stamped,
        faults: Sequence[tuple[FaultRow, Stamped]],
    ) -> None:
        row = RunRow(
            id=run_id,
            environment=environment,
            experiment=experiment,
            state="RECOVERING",
            epoch=1,
            owner=Owner.nobody(),
            deadline_at=record.at,
            connections=dict(connections),
            started_at=record.at,
        )
        now = self._clock()
        self._db.write(lambda con: ledger.adopt_run(con, row, record, faults, now), reserve=True)

    def commit_intent(self, row: FaultRow, record: Stamped) -> None:
        now = self._clock()
        self._db.write(lambda con: ledger.commit_intent(con, row, record, now))

    def set_fault_state(self, fault_id: str, epoch: int, state: State, record: Stamped | None = None) -> None:
        now = self._clock()
        outcome = boot_stamp() if state == "WATCHING" else ""
        self._db.write(
            lambda con: ledger.set_fault_state(con, fault_id, epoch, state, outcome, record, now), reserve=True
        )

    def forget(self, fault_id: str, reason: str, who: str) -> None:
        now = self._clock()
        self._db.write(lambda con: ledger.forget(con, fault_id, reason, who, now), reserve=True)

    def open_faults(self, environment: str | None = None, run_id: str | None = None) -> list[FaultRow]:
        return self._db.read(lambda con: history.open_faults(con, environment, run_id))

    def faults(self, run_id: str) -> list[FaultRow]:
        return self._db.read(lambda con: history.faults(con, run_id))

    def append(self, run_id: str, record: AnyRecord, at: float, t: float, epoch: int | None = None) -> int:
        stamped = Stamped(record=record, at=at, t=t)
        return self._db.write(lambda con: ledger.append(con, run_id, stamped, epoch), reserve=True)

    def add_samples(self, run_id: str, samples: Iterable[Sample]) -> None:
        if rows := [codec.from_sample(sample) for sample in samples]:
            self._db.write(lambda con: journal.add_samples(con, run_id, rows))

    def records(self, run_id: str, after: int = 0) -> list[Entry]:
        return self._db.read(lambda con: journal.records(con, run_id, after))

    def samples(self, run_id: str, after: int = 0) -> list[Sample]:
        return self._db.read(lambda con: journal.samples(con, run_id, after))

    def run(self, run_id: str) -> RunRow | None:
        return self._db.read(lambda con: history.run(con, run_id))

    def unfinished_runs(self, environment: str | None = None) -> list[RunRow]:
        return self._db.read(lambda con: history.unfinished_runs(con, environment))

    def runs(self, limit: int = 50, environment: str | None = None, experiment: str | None = None) -> list[Summary]:
        return self._db.read(lambda con: history.runs(con, limit, environment, experiment))

    def latest_run(self) -> str | None:
        return next(iter(self.find_run("")), None)

    def find_run(self, prefix: str) -> list[str]:
        return self._db.read(lambda con: history.find_run(con, prefix))

    # --- schedules -------------------------------------------------------------------------------------------

    def hold_lease(self, holder: str, ttl_s: float, decided_until: float | None = None) -> Lease:
        now = self._clock()
        return self._db.write(lambda con: slots.hold_lease(con, holder, ttl_s, decided_until, now))

    def lease(self) -> Lease | None:
        return self._db.read(slots.lease)

    def release_lease(self, holder: str, epoch: int) -> None:
        self._db.write(lambda con: slots.release_lease(con, holder, epoch))

    def claim_slot(self, row: SlotRow, epoch: int) -> bool:
        return self._db.write(lambda con: slots.claim_slot(con, row, epoch))

    def add_skips(self, rows: Sequence[SlotRow], epoch: int) -> int:
        return self._db.write(lambda con: slots.add_skips(con, rows, epoch))

    def attach_slot(self, run_id: str, owner: Owner) -> SlotRow:
        return self._db.write(lambda con: slots.attach_slot(con, run_id, owner))

    def end_slot(
        self,
        run_id: str,
        state: Literal["REFUSED", "LOST"],
        reason: str,
        readings: tuple[Reading, ...] = (),
        only: Literal["", "CLAIMED"] = "",
    ) -> bool:
        return self._db.write(lambda con: slots.end_slot(con, run_id, state, reason, readings, only))

    def settle_slots(self) -> list[SlotRow]:
        now = self._clock()
        if not self.going_slots():
            return []
        return self._db.write(lambda con: slots.settle_slots(con, now))

    def slot_of(self, run_id: str) -> SlotRow | None:
        return self._db.read(lambda con: slots.slot_of(con, run_id))

    def going_slots(self) -> list[SlotRow]:
        return self._db.read(slots.going_slots)

    def slots(
        self,
        schedule: str | None = None,
        decision: Literal["RUN", "SKIP"] | None = None,
        limit: int = 50,
        *,
        readings: bool = True,
    ) -> list[SlotRow]:
        return self._db.read(lambda con: slots.slots(con, schedule, decision, limit, readings=readings))

    def slot_counts(self) -> dict[str, int]:
        return self._db.read(slots.counts)

    def last_conclusive(self) -> dict[str, float]:
        return self._db.read(slots.last_conclusive)

    def blocked(self, *, acknowledged: bool = False) -> list[Block]:
        return self._db.read(lambda con: slots.blocked(con, acknowledged=acknowledged))

    def acknowledge(self, schedule: str, who: str, why: str, ticket: str = "") -> None:
        now = self._clock()
        self._db.write(lambda con: slots.acknowledge(con, schedule, who, why, ticket, now))

    def arm(self, environment: str, who: str, until: float) -> None:
        one = Armed(environment, who, self._clock(), until)
        self._db.write(lambda con: slots.arm(con, one))

    def disarm(self, environment: str) -> bool:
        return self._db.write(lambda con: slots.disarm(con, environment))

    def armed(self) -> dict[str, Armed]:
        return self._db.read(slots.armed)

    def pause(self, schedule: str, who: str, reason: str) -> None:
        one = Paused(schedule, who, reason, self._clock())
        self._db.write(lambda con: slots.pause(con, one))

    def unpause(self, schedule: str) -> bool:
        return self._db.write(lambda con: slots.unpause(con, schedule))

    def paused(self) -> dict[str, Paused]:
        return self._db.read(slots.paused)

    # --- game days -------------------------------------------------------------------------------------------

    def begin_day(self, day_id: str, *, scenario: str, environment: str, owner: Owner, fact: DayStarted) -> int:
        if scarce := self._scarce():
            raise StoreError(scarce)
        row = DayRow(id=day_id, scenario=scenario, environment=environment, owner=owner, started_at=self._clock())
        return self._db.write(lambda con: days.begin_day(con, row, fact))

    def take_day(self, day_id: str, owner: Owner, seen: int) -> int:
        return self._db.write(lambda con: days.take_day(con, day_id, owner, seen))

    def say(self, day_id: str, fact: AnyFact, epoch: int | None = None) -> int:
        now = self._clock()
        return self._db.write(lambda con: days.say(con, day_id, fact, now, epoch))

    def end_day(self, day_id: str, epoch: int, fact: DayEnded) -> int:
        now = self._clock()
        return self._db.write(lambda con: days.end_day(con, day_id, epoch, fact, now))

    def day(self, day_id: str) -> DayRow | None:
        return self._db.read(lambda con: days.day(con, day_id))

    def days(self, limit: int = 50) -> list[DayRow]:
        return self._db.read(lambda con: days.days(con, limit))

    def open_day(self) -> DayRow | None:
        return self._db.read(days.open_day)

    def find_day(self, prefix: str) -> list[str]:
        return self._db.read(lambda con: days.find_day(con, prefix))

    def facts(self, day_id: str, after: int = 0) -> list[FactEntry]:
        return self._db.read(lambda con: days.facts(con, day_id, after))

    def undigested(self, version: int, limit: int = 1000) -> list[str]:
        return self._db.read(lambda con: days.undigested(con, version, limit))

    def add_digests(self, rows: Sequence[Digest]) -> None:
        self._db.write(lambda con: days.add_digests(con, rows))

    def digests(self, version: int) -> list[Digest]:
        return self._db.read(lambda con: days.digests(con, version))

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _scarce(self) -> str:
        try:
            return disk.lack_of_room(self._db.path.parent)
        except OSError as why:
            return f"the room at {self._db.path.parent} cannot be read: {why.strerror}"
