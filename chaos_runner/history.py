"""What happened in a run: the fold over its records. No IO, no clock."""

from __future__ import annotations

from typing import Any

import msgspec

from chaos_runner.records import (
    AbortTripped,
    AlertGone,
    AlertSeen,
    ClauseJudged,
    Entry,
    Evidence,
    FaultAbsent,
    FaultClosed,
    FaultConfirmed,
    FaultForgotten,
    FaultInjected,
    FaultRefused,
    FaultReverted,
    FaultSpent,
    FaultStuck,
    FaultUncertain,
    FaultUnconfirmed,
    FaultWatched,
    IntentCommitted,
    Noted,
    NotStarted,
    Outcome,
    Phase,
    PhaseBegan,
    RecoveryMeasured,
    RunEnded,
    RunStarted,
    Target,
    UndoBegan,
    UndoFailed,
)


class FaultView(msgspec.Struct):
    """One fault as the records tell it."""

    id: str
    target: Target
    kind: str
    step: int
    aspect: str
    reversible: bool
    undo: dict[str, Any]
    state: str = "INTENT"
    intent_t: float = 0.0
    injected_t: float | None = None
    confirmed_t: float | None = None
    confirmed_how: str = ""
    evidence: str = ""
    undo_t: float | None = None
    gone_t: float | None = None
    verified: bool = False
    undone_by: str = ""
    trouble: list[str] = msgspec.field(default_factory=list)
    drift: str = ""
    replaced: str = ""
    replaced_s: float = 0.0


class AlertView(msgspec.Struct):
    """One alert that the experiment names, as the records tell it."""

    ref: str
    name: str
    labels: dict[str, str]
    state: str
    starts_t: float
    seen_t: float
    fired_t: float | None = None  # when it was first read as firing
    gone_t: float | None = None
    why: str = ""


class Run(msgspec.Struct):
    """One run: the fold over its records."""

    id: str
    started_at: float = 0.0
    ended_at: float | None = None
    ended_t: float | None = None
    plan: dict[str, Any] = msgspec.field(default_factory=dict)
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    actor: str = ""
    command: tuple[str, ...] = ()
    phases: list[tuple[float, Phase, int]] = msgspec.field(default_factory=list)
    faults: dict[str, FaultView] = msgspec.field(default_factory=dict)
    tripped: AbortTripped | None = None
    recoveries: list[RecoveryMeasured] = msgspec.field(default_factory=list)
    not_started: str = ""
    notes: list[tuple[float, Noted]] = msgspec.field(default_factory=list)
    evidence: list[Evidence] = msgspec.field(default_factory=list)
    alerts: list[AlertView] = msgspec.field(default_factory=list)
    outcome: Outcome | None = None
    clauses: tuple[ClauseJudged, ...] = ()


def fold(entries: list[Entry]) -> Run:
    """What happened, from the records in order. Unknown or half a history folds as far as it goes."""
    run = Run(id=entries[0].run if entries else "")
    for entry in entries:
        _fold_run(run, entry)
        _fold_fault(run, entry)
        _fold_alert(run, entry)
    return run


def _fold_alert(run: Run, entry: Entry) -> None:
    match entry.record:
        case AlertSeen(ref, name, labels, state, starts_t, why):
            view = _alert(run, ref, labels)
            if view is None or view.gone_t is not None or view.starts_t != starts_t:
                view = AlertView(ref, name, labels, state, starts_t, entry.t)
                run.alerts.append(view)
            view.state, view.why = state, why
            if state == "firing" and view.fired_t is None:
                view.fired_t = entry.t
        case AlertGone(ref, _name, labels):
            gone = _alert(run, ref, labels)
            if gone is not None:
                gone.gone_t = entry.t
        case _:
            pass


def _alert(run: Run, ref: str, labels: dict[str, str]) -> AlertView | None:
    return next((one for one in reversed(run.alerts) if (one.ref, one.labels) == (ref, labels)), None)


def _fold_run(run: Run, entry: Entry) -> None:
    match entry.record:
        case RunStarted(plan, versions, actor, command):
            run.started_at = entry.at
            run.plan, run.versions, run.actor, run.command = plan, versions, actor, command
        case PhaseBegan(phase, step):
            run.phases.append((entry.t, phase, step))
        case NotStarted(reason):
            run.not_started = reason
        case AbortTripped() as tripped if run.tripped is None:
            run.tripped = tripped
        case RecoveryMeasured() as measured:
            run.recoveries.append(measured)
        case Noted() as note:
            run.notes.append((entry.t, note))
        case Evidence() as evidence:
            run.evidence.append(evidence)
        case RunEnded(outcome, clauses):
            run.outcome, run.clauses, run.ended_at, run.ended_t = outcome, clauses, entry.at, entry.t
        case _:
            pass


def _fold_fault(run: Run, entry: Entry) -> None:
    record = entry.record
    if isinstance(record, IntentCommitted):
        run.faults[record.fault] = FaultView(
            id=record.fault,
            target=record.target,
            kind=record.kind,
            step=record.step,
            aspect=record.aspect,
            reversible=record.reversible,
            undo=record.undo,
            intent_t=entry.t,
        )
        return
    view = run.faults.get(getattr(record, "fault", ""))
    if view is not None:
        _fold_life(view, entry)


def _fold_life(view: FaultView, entry: Entry) -> None:  # noqa: C901 -- one flat table of records
    match entry.record:
        case FaultInjected():
            view.state, view.injected_t = "INJECTED", entry.t
        case FaultUncertain(why=why):
            view.state = "UNKNOWN"
            view.trouble.append(why)
        case FaultRefused(why=why):
            view.state = "CLOSED"
            view.trouble.append(why)
        case FaultConfirmed(how=how, evidence=evidence):
            view.confirmed_t, view.confirmed_how, view.evidence = entry.t, how, evidence
        case FaultUnconfirmed(why=why) | FaultAbsent(why=why) | UndoFailed(why=why):
            view.trouble.append(why)
        case UndoBegan(sent_t=sent_t, by=by):
            view.state, view.undo_t, view.undone_by = "UNDOING", sent_t, by
        case FaultReverted(gone_t=gone_t, verified=verified, drift=drift, by=by):
            view.state, view.gone_t, view.verified = "UNDONE", gone_t, verified
            view.drift, view.undone_by = drift, by
        case FaultWatched():
            view.state = "WATCHING"
        case FaultClosed():
            view.state = "CLOSED"
        case FaultSpent(replaced=replaced, seconds=seconds):
            view.state, view.replaced, view.replaced_s = "SPENT", replaced, seconds
        case FaultStuck(why=why):
            view.state = "STUCK"
            view.trouble.append(why)
        case FaultForgotten(reason=reason, who=who):
            view.state = "FORGOTTEN"
            view.trouble.append(f"forgotten by {who}: {reason}")
        case _:
            pass
