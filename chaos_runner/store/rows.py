"""The rows of the ledger as values. No IO."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from chaos_runner import lifecycle
from chaos_runner.records import AnyRecord, Target
from chaos_runner.store.owner import Owner

RunState = Literal["RUNNING", "RECOVERING", "ENDED"]
FAULT_STATES: tuple[str, ...] = get_args(lifecycle.State)


class Stamped(msgspec.Struct, frozen=True):
    """A record with its two times (see `Entry`), before the store gives it its place."""

    record: AnyRecord
    at: float
    t: float


class RunRow(msgspec.Struct, frozen=True):
    """One run as the ledger knows it. `connections` holds references to secrets, never the secrets.

    `unusable` is a sentence when the row is damaged; its connections are then empty.
    """

    id: str
    environment: str
    experiment: str
    state: RunState
    epoch: int
    owner: Owner
    deadline_at: float
    connections: dict[str, Any]
    started_at: float
    headline: str = ""
    unusable: str = ""


class FaultRow(msgspec.Struct, frozen=True):
    """One fault on one target and all it takes to undo it. `environment` and `updated_at` are the store's to fill.

    `unusable` is a sentence when the row is damaged; its undo is then empty, so that nobody acts on it. While it is
    WATCHING, `outcome` is when that began by the boot clock.
    """

    id: str
    run: str
    n: int
    epoch: int
    step: int
    kind: str
    version: int
    target: Target
    aspect: str
    undo: dict[str, Any]
    reversible: bool = True
    state: lifecycle.State = "INTENT"
    outcome: str = ""
    expires_at: float = 0.0
    updated_at: float = 0.0
    environment: str = ""
    unusable: str = ""

    @property
    def open(self) -> bool:
        """Whether something may still be on the target; a state nobody knows counts as open."""
        return self.state != "PLANNED" and self.state not in lifecycle.OVER


class Summary(msgspec.Struct, frozen=True):
    """One line of the history. What is not known yet is empty; `figures` are the caller's, such as latencies."""

    run: str
    environment: str
    experiment: str
    started_at: float
    ended_at: float | None = None
    headline: str = ""
    finding: str = ""
    stopped_by: str = ""
    cleanup: str = ""
    figures: dict[str, float] = {}


# --- schedules ---------------------------------------------------------------------------------------------------

FAILURES = ("DEVIATED", "ABORTED", "NOT_REVERTED")  # the headlines after which somebody has to look
PEOPLE = ("lever", "person")  # who ends a run for no reason of the system's; `--on-stop abort` is a person's word
SlotState = Literal["", "CLAIMED", "ATTACHED", "ENDED", "REFUSED", "LOST"]


class Reading(msgspec.Struct, frozen=True):
    """What one gate said of one slot, with the value it went by; `asked_at` is when that value was read."""

    gate: str
    ok: bool
    why: str = ""
    value: str = ""
    asked_at: float = 0.0


class SlotRow(msgspec.Struct, frozen=True):
    """One decision on one due instant of a schedule: a run under a reserved id, or a skip with its reason.

    `state` is of a run: CLAIMED, ATTACHED by its process, then ENDED, REFUSED by the process, or LOST where that died
    before the run began. `missed` counts the instants that one skip row stands for. `headline`, `finding`,
    `ended_at` and `stopped_by` are the run's, once it has ended.
    """

    schedule: str
    instant: float
    decision: Literal["RUN", "SKIP"]
    reason: str = ""
    run: str = ""
    owner: str = ""
    decided_at: float = 0.0
    state: SlotState = ""
    stamp: str = ""
    environment: str = ""
    service: str = ""
    level: int = 0
    missed: int = 0
    readings: tuple[Reading, ...] = ()
    headline: str = ""
    finding: str = ""
    ended_at: float | None = None
    stopped_by: str = ""

    @property
    def halted(self) -> bool:
        """Whether people ended its run and nothing was violated: that says nothing about the system."""
        return self.headline == "ABORTED" and self.stopped_by in PEOPLE and self.finding != "DEVIATED"

    @property
    def failed(self) -> bool:
        """Whether somebody has to look before it may run again."""
        return self.headline in FAILURES and not self.halted

    @property
    def going(self) -> bool:
        """Whether its run takes up its environment and service."""
        return self.state in {"CLAIMED", "ATTACHED"}


class Lease(msgspec.Struct, frozen=True):
    """Who leads; `epoch` rises with every change of hands. `decided_until` is how far the slots are decided."""

    holder: str
    epoch: int
    decided_until: float
    left_s: float


class Block(msgspec.Struct, frozen=True):
    """A schedule that does not run before somebody acknowledged its last failure."""

    schedule: str
    run: str
    reason: str
    blocked_at: float
    acknowledged_by: str = ""
    acknowledged_at: float | None = None
    acknowledged_why: str = ""
    ticket: str = ""


class Armed(msgspec.Struct, frozen=True):
    """An environment in which schedules may run until then, and who said so."""

    environment: str
    who: str
    armed_at: float
    armed_until: float


class Paused(msgspec.Struct, frozen=True):
    """A schedule that somebody put aside."""

    schedule: str
    who: str
    reason: str
    paused_at: float


# --- game days ---------------------------------------------------------------------------------------------------


class DayRow(msgspec.Struct, frozen=True):
    """One game day as the ledger knows it; `owner` is its conductor, `facts` how many there are."""

    id: str
    scenario: str
    environment: str
    owner: Owner
    state: Literal["OPEN", "ENDED"] = "OPEN"
    epoch: int = 1
    started_at: float = 0.0
    ended_at: float | None = None
    facts: int = 0
    stamp: str = ""


class Digest(msgspec.Struct, frozen=True):
    """What reports over many runs need of one, made from its first `records` records by renderer `version`."""

    run: str
    version: int
    records: int
    payload: bytes
