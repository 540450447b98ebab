"""The record types of a run, and its samples. No IO, no clock.

A record is one past-tense fact, append-only. Reports, recovery and tests read records; logs are for people and may
be lost. Every duration the product prints comes from two records' times.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from chaos_runner.wire import Exemplar

Phase = Literal["preparing", "baseline", "fault", "pause", "recovery", "ended"]
Finding = Literal["HELD", "UNKNOWN", "DEVIATED"]
StoppedBy = Literal["nothing", "criterion", "blind", "lever", "person", "deadline", "guardian", "doubt", "bug", "died"]
Cleanup = Literal["CLEAN", "WATCHING", "UNVERIFIED", "LEFT"]
Headline = Literal["HELD", "UNKNOWN", "DEVIATED", "ABORTED", "NOT_REVERTED"]
ClauseState = Literal["ok", "violated", "unknown"]
By = Literal["runner", "guardian", "recovery"]  # which of our processes did it


class Target(msgspec.Struct, frozen=True, order=True):
    """One thing that a fault acts on; `key` is what people read: proxy/payments. `uid` freezes its identity."""

    key: str
    uid: str = ""

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rsplit("/", 1)[-1]


class Outcome(msgspec.Struct, frozen=True):
    """The three axes of a run's end; `judge.headline` folds them into one word."""

    finding: Finding
    stopped_by: StoppedBy
    cleanup: Cleanup
    why: str = ""


class Record(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """One past-tense fact of a run; the tag is the class name."""


class RunStarted(Record, frozen=True):
    """The plan is durable; `plan` is the whole Plan as JSON values, with secrets as references."""

    plan: dict[str, Any]
    versions: dict[str, str]
    actor: str
    command: tuple[str, ...] = ()


class GuardianReady(Record, frozen=True):
    """The guardian answered: from here on a dead runner is undone."""

    pid: int
    reads: tuple[str, ...] = ()


class GuardianLost(Record, frozen=True):
    """The guardian died or fell silent; the run stops."""

    why: str


class PhaseBegan(Record, frozen=True):
    """A phase began; `step` counts from 0 where there is one."""

    phase: Phase
    step: int = -1


class BaselineHeld(Record, frozen=True):
    """The steady state was steady; the gate is open. `clauses` is (check, clause text, good, bad, unknown)."""

    clauses: tuple[tuple[str, str, int, int, int], ...]


class NotStarted(Record, frozen=True):
    """Nothing was injected, and why; `reason` is a sentence."""

    reason: str


class IntentCommitted(Record, frozen=True):
    """The undo of this fault is on disk; nothing was sent yet."""

    fault: str
    target: Target
    kind: str
    step: int
    aspect: str
    undo: dict[str, Any]
    reversible: bool = True


class FaultInjected(Record, frozen=True):
    """The fault was sent and read back."""

    fault: str
    seconds: float  # from sending to reading it back


class FaultUncertain(Record, frozen=True):
    """The fault may or may not have landed; it is treated as injected and undone."""

    fault: str
    why: str


class FaultRefused(Record, frozen=True):
    """The target refused, and a read showed that nothing is there."""

    fault: str
    why: str


class FaultConfirmed(Record, frozen=True):
    """The effect was measured; `evidence` is a sentence with figures, `how` the kind of proof."""

    fault: str
    how: Literal["confirm", "counters", "exchange", "read-back", "none"]
    evidence: str


class FaultUnconfirmed(Record, frozen=True):
    """Nothing showed that the fault took effect."""

    fault: str
    why: str


class FaultAbsent(Record, frozen=True):
    """The fault was found gone (or changed) in the middle of its window."""

    fault: str
    why: str


class AbortTripped(Record, frozen=True):
    """The first reason to stop. `decided_t` is when, in seconds since the run's start; the record is written later."""

    stopped_by: StoppedBy
    why: str
    decided_t: float
    check: str = ""
    clause: str = ""


class UndoBegan(Record, frozen=True):
    """The first revert request of this fault left at `sent_t` (seconds since the run's start)."""

    fault: str
    sent_t: float
    by: By = "runner"


class UndoFailed(Record, frozen=True):
    """One attempt to revert or verify failed; it is tried again."""

    fault: str
    why: str
    attempt: int


class FaultReverted(Record, frozen=True):
    """A later read showed that the fault is gone, at `gone_t`; `drift` names changes by others, left alone."""

    fault: str
    gone_t: float
    verified: bool = True
    drift: str = ""
    by: By = "runner"


class FaultWatched(Record, frozen=True):
    """The name stays fenced for `seconds`: a late request may still land."""

    fault: str
    seconds: float


class FaultClosed(Record, frozen=True):
    """Nothing of this fault is left on the target."""

    fault: str


class FaultSpent(Record, frozen=True):
    """An irreversible fault is over; `replaced` says what took its place, empty if nothing did in time."""

    fault: str
    replaced: str
    seconds: float = 0.0


class FaultStuck(Record, frozen=True):
    """The undo does not succeed; it is retried, blocks the target, and is loud."""

    fault: str
    why: str


class FaultForgotten(Record, frozen=True):
    """A person gave up on a stuck fault; every later report of this target says so."""

    fault: str
    reason: str
    who: str


class RecoveryMeasured(Record, frozen=True):
    """After the faults: when the steady state was first ok again, and whether in time."""

    recovered: bool
    seconds: float
    step: int = -1
    why: str = ""


class Evidence(Record, frozen=True):
    """What was measured beside the checks: the proxy's counters at the end of a window, and the like."""

    fault: str
    title: str
    figures: dict[str, float]


class AlertSeen(Record, frozen=True):
    """An alert that is expected or forbidden was there. `ref` is how the file names it, `starts_t` since when.

    Times are seconds since the run's start; `why` says who suppresses it.
    """

    ref: str
    name: str
    labels: dict[str, str]
    state: Literal["firing", "suppressed", "pending"]
    starts_t: float
    why: str = ""


class AlertGone(Record, frozen=True):
    """An alert that had been there was not there any more."""

    ref: str
    name: str
    labels: dict[str, str]


class AlertsUnheard(Record, frozen=True):
    """From here on it could not be told which alerts fire, and why; `AlertsHeard` ends it."""

    why: str


class AlertsHeard(Record, frozen=True):
    """From here on it could be told which alerts fire: the always-on one was there."""

    readings: int = 0  # how many in a row had not told it before


Section = Literal["before", "during", "method", "after", "rollbacks"]
"""The parts of a Chaos Toolkit experiment, in the words of its journal."""


class ActivityBegan(Record, frozen=True):
    """An activity of a Chaos Toolkit experiment was asked for; `index` counts from 0 in its section."""

    section: Section
    index: int
    name: str
    background: bool = False


class ActivityEnded(Record, frozen=True):
    """It answered, or was ended; `item` is its entry in the journal, with secrets hidden."""

    section: Section
    index: int
    item: dict[str, Any]


class Noted(Record, frozen=True):
    """A person wrote something down."""

    who: str
    text: str


class ClauseJudged(msgspec.Struct, frozen=True):
    """The finding for one clause over all its events from confirm to revert."""

    check: str
    clause: str
    state: ClauseState
    why: str
    good: int = 0
    bad: int = 0
    unknown: int = 0


class RunEnded(Record, frozen=True):
    """The outcome. Nothing follows but notes."""

    outcome: Outcome
    clauses: tuple[ClauseJudged, ...] = ()
    by: By = "runner"


AnyRecord = (
    RunStarted
    | GuardianReady
    | GuardianLost
    | PhaseBegan
    | BaselineHeld
    | NotStarted
    | IntentCommitted
    | FaultInjected
    | FaultUncertain
    | FaultRefused
    | FaultConfirmed
    | FaultUnconfirmed
    | FaultAbsent
    | AbortTripped
    | UndoBegan
    | UndoFailed
    | FaultReverted
    | FaultWatched
    | FaultClosed
    | FaultSpent
    | FaultStuck
    | FaultForgotten
    | RecoveryMeasured
    | Evidence
    | AlertSeen
    | AlertGone
    | AlertsUnheard
    | AlertsHeard
    | ActivityBegan
    | ActivityEnded
    | Noted
    | RunEnded
)


class Entry(msgspec.Struct, frozen=True):
    """A record with its place: `at` is Unix time for people, `t` seconds since the run's start on a clock that
    ignores clock steps, for every duration; a suspended machine's sleep is not counted.
    """

    run: str
    seq: int
    at: float
    t: float
    record: AnyRecord


class ClauseCount(msgspec.Struct, frozen=True, array_like=True):
    """What one clause saw in one sample; `clause` indexes `Check.clauses()`."""

    clause: int
    good: int
    bad: int
    unknown: int


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a check measured in one tick. A load check may send two samples for a tick: each clause is final once.

    `tick` n covers [n, n+1) seconds since the run's start. `values` are gauge readings for charts; `histogram` is
    (bucket, count) of latencies with bucket = floor(log(seconds / 1e-6) / log(1.02)); `why` says why unknown.
    """

    check: str
    tick: int
    counts: tuple[ClauseCount, ...]
    values: dict[str, float] = {}
    histogram: tuple[tuple[int, int], ...] = ()
    exemplars: tuple[Exemplar, ...] = ()
    scheduled: int = 0
    errors: int = 0
    stall_s: float = 0.0
    why: str = ""
