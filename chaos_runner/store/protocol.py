"""What every store promises, so that a second one (PostgreSQL) can follow. No IO."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from chaos_runner.gameday.facts import AnyFact, DayEnded, DayStarted
from chaos_runner.gameday.facts import Entry as FactEntry
from chaos_runner.lifecycle import State
from chaos_runner.records import AnyRecord, Entry, Sample
from chaos_runner.store.owner import Owner
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


class Store(Protocol):
    """The ledger and the journal. What a method wrote is on disk when it returns; it raises StoreError only.

    Methods are plain `def` on purpose: a commit that hangs stops the heartbeat, and the guardian takes over.
    """

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the operator should know about where the state lies; sentences."""
        ...

    # --- a run -----------------------------------------------------------------------------------------------

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
        """Makes the run durable and returns its epoch, 1. Raises Busy when `runs_at_once` are under way there."""
        ...

    def take_over(self, run_id: str, owner: Owner, seen: int | None = None) -> int:
        """Makes `owner` the owner for recovering and returns the new epoch: the old owner can write nothing more.

        Raises Fenced when the epoch is no longer `seen`: somebody else took it over first.
        """
        ...

    def end_run(
        self,
        run_id: str,
        epoch: int,
        headline: str,
        *,
        record: Stamped | None = None,
        figures: Mapping[str, float] | None = None,
    ) -> None:
        """Ends the run; the outcome in `record` (RunEnded) and `figures` go into its summary. Raises Fenced."""
        ...

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
        """Makes a run that nobody owns, with faults that were found on their targets, all of it or nothing.

        Recovery takes it for any other dead run. Raises Busy when an open fault has one of the places.
        """
        ...

    # --- faults ----------------------------------------------------------------------------------------------

    def commit_intent(self, row: FaultRow, record: Stamped) -> None:
        """Puts the undo on disk; only after this returned may the fault be sent.

        Raises Fenced when the epoch is no longer the run's or the run is not RUNNING, Busy when the target's aspect
        has an open fault, StoreError when anything else is in doubt, now or since an earlier write of this store.
        """
        ...

    def set_fault_state(self, fault_id: str, epoch: int, state: State, record: Stamped | None = None) -> None:
        """Moves a fault on and appends its record with it. Raises Fenced; a closed fault is never opened again."""
        ...

    def forget(self, fault_id: str, reason: str, who: str) -> None:
        """A person gives up on an open fault: it blocks nothing more, and every later report says so."""
        ...

    def open_faults(self, environment: str | None = None, run_id: str | None = None) -> list[FaultRow]:
        """The faults that may still be on their targets, in the order of their intents; damaged rows included."""
        ...

    def faults(self, run_id: str) -> list[FaultRow]:
        """All faults of a run, in the order of their intents."""
        ...

    # --- records and samples ---------------------------------------------------------------------------------

    def append(self, run_id: str, record: AnyRecord, at: float, t: float, epoch: int | None = None) -> int:
        """Appends a record and returns its seq: 1, 2, 3 … without gaps. With an epoch it raises Fenced."""
        ...

    def add_samples(self, run_id: str, samples: Iterable[Sample]) -> None:
        """Appends the samples of a tick in one commit."""
        ...

    def records(self, run_id: str, after: int = 0) -> list[Entry]:
        """The records with a seq above `after`, in order. Raises StoreError naming run and seq of a damaged one."""
        ...

    def samples(self, run_id: str, after: int = 0) -> list[Sample]:
        """The samples that came after the first `after`, in order. Raises StoreError naming the first damaged one."""
        ...

    # --- finding runs ----------------------------------------------------------------------------------------

    def run(self, run_id: str) -> RunRow | None:
        """The run, or None."""
        ...

    def unfinished_runs(self, environment: str | None = None) -> list[RunRow]:
        """The runs that have not ended or still have an open fault, oldest first."""
        ...

    def runs(self, limit: int = 50, environment: str | None = None, experiment: str | None = None) -> list[Summary]:
        """The history, newest first."""
        ...

    def latest_run(self) -> str | None:
        """The id of the run that began last."""
        ...

    def find_run(self, prefix: str) -> list[str]:
        """The ids that begin with `prefix`, newest first, at most 20: one is a match, several are ambiguous."""
        ...

    # --- schedules -------------------------------------------------------------------------------------------

    def hold_lease(self, holder: str, ttl_s: float, decided_until: float | None = None) -> Lease:
        """Takes or renews the scheduler's lease where that is free, lapsed or ours; as it is now, whoever holds it.

        Expiry is by the boot clock. A change of hands raises the epoch. The holder says up to when it has decided.
        """
        ...

    def lease(self) -> Lease | None:
        """Who leads."""
        ...

    def release_lease(self, holder: str, epoch: int) -> None:
        """Lets another one lead at once."""
        ...

    def claim_slot(self, row: SlotRow, epoch: int) -> bool:
        """Claims a due instant for one run, for all time; False where it was decided before.

        Raises Fenced where the lease has lapsed or another epoch holds it.
        """
        ...

    def add_skips(self, rows: Sequence[SlotRow], epoch: int) -> int:
        """Writes decisions not to run, in one commit; how many were new. Raises Fenced."""
        ...

    def attach_slot(self, run_id: str, owner: Owner) -> SlotRow:
        """Makes `owner` the one process that runs a claimed slot. Raises Fenced where the claim is used or too old."""
        ...

    def end_slot(
        self,
        run_id: str,
        state: Literal["REFUSED", "LOST"],
        reason: str,
        readings: tuple[Reading, ...] = (),
        only: Literal["", "CLAIMED"] = "",
    ) -> bool:
        """Says that a claim came to no run, and why; False where it had come to something, or is not `only` that."""
        ...

    def settle_slots(self) -> list[SlotRow]:
        """Ends the slots whose run has ended, or whose process died before it began; blocks after failures."""
        ...

    def slot_of(self, run_id: str) -> SlotRow | None:
        """The slot that was claimed for this run."""
        ...

    def going_slots(self) -> list[SlotRow]:
        """The slots whose run is claimed or under way, the oldest first."""
        ...

    def slots(
        self,
        schedule: str | None = None,
        decision: Literal["RUN", "SKIP"] | None = None,
        limit: int = 50,
        *,
        readings: bool = True,
    ) -> list[SlotRow]:
        """Decisions, newest first; without what the gates read where nobody asks for that."""
        ...

    def slot_counts(self) -> dict[str, int]:
        """How many decisions of each kind there are."""
        ...

    def last_conclusive(self) -> dict[str, float]:
        """Schedule -> when its last run ended that came to HELD or DEVIATED."""
        ...

    def blocked(self, *, acknowledged: bool = False) -> list[Block]:
        """What waits for an acknowledgement; with `acknowledged` also what was."""
        ...

    def acknowledge(self, schedule: str, who: str, why: str, ticket: str = "") -> None:
        """Lets a blocked schedule run again; takes a name and a reason. Raises StoreError."""
        ...

    def arm(self, environment: str, who: str, until: float) -> None:
        """Lets schedules run in an environment until then."""
        ...

    def disarm(self, environment: str) -> bool:
        """Takes it back; False where it was not armed."""
        ...

    def armed(self) -> dict[str, Armed]:
        """Environment -> who armed it and until when, lapsed ones included."""
        ...

    def pause(self, schedule: str, who: str, reason: str) -> None:
        """Puts a schedule aside."""
        ...

    def unpause(self, schedule: str) -> bool:
        """Takes it up again; False where it was not put aside."""
        ...

    def paused(self) -> dict[str, Paused]:
        """Schedule -> who put it aside and why."""
        ...

    # --- game days -------------------------------------------------------------------------------------------

    def begin_day(self, day_id: str, *, scenario: str, environment: str, owner: Owner, fact: DayStarted) -> int:
        """Makes a game day durable and returns its epoch, 1. Raises Busy while another one is open."""
        ...

    def take_day(self, day_id: str, owner: Owner, seen: int) -> int:
        """Makes `owner` the conductor; the new epoch. Raises Fenced where it is over or the epoch is not `seen`."""
        ...

    def say(self, day_id: str, fact: AnyFact, epoch: int | None = None) -> int:
        """Appends a fact and returns its seq: 1, 2, 3 … without gaps. With an epoch it raises Fenced."""
        ...

    def end_day(self, day_id: str, epoch: int, fact: DayEnded) -> int:
        """Ends the day. Raises Fenced."""
        ...

    def day(self, day_id: str) -> DayRow | None:
        """The day, or None."""
        ...

    def days(self, limit: int = 50) -> list[DayRow]:
        """Newest first."""
        ...

    def open_day(self) -> DayRow | None:
        """The one that is not over."""
        ...

    def find_day(self, prefix: str) -> list[str]:
        """The ids that begin with `prefix`, newest first, at most 20."""
        ...

    def facts(self, day_id: str, after: int = 0) -> list[FactEntry]:
        """The facts after the seq `after`, in order. Raises StoreError naming a damaged or missing one."""
        ...

    def undigested(self, version: int, limit: int = 1000) -> list[str]:
        """The ended runs without a digest of this version, or with records that are newer than it; oldest first."""
        ...

    def add_digests(self, rows: Sequence[Digest]) -> None:
        """Keeps digests of runs in one commit."""
        ...

    def digests(self, version: int) -> list[Digest]:
        """All digests of this version, in the order in which their runs began."""
        ...

    def close(self) -> None:
        """Gives the files free; safe to repeat."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
