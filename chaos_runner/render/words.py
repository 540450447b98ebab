"""Every record as one past-tense sentence: the terminal, the timeline and the summaries say the same. No IO.

The sentence names faults by their target; `Words` remembers which fault is on which, so give it records in order.
"""

from __future__ import annotations

from typing import Any

from chaos_runner import records
from chaos_runner.records import Entry
from chaos_runner.render import text

STOPPED = {
    "nothing": "nothing",
    "criterion": "an abort criterion",
    "blind": "blindness: a check had no valid sample",
    "lever": "a halt lever",
    "person": "a person",
    "deadline": "the deadline",
    "guardian": "the loss of its guardian",
    "doubt": "doubt whether a request took effect",
    "bug": "an error in the program",
    "died": "the death of its runner",
}
PHASES = {
    "preparing": "Preparing",
    "baseline": "Baseline",
    "fault": "Fault window",
    "pause": "Pause",
    "recovery": "Recovery",
    "ended": "End",
}
HOW = {
    "confirm": "by the step's own measurement",
    "counters": "by the proxy's counters",
    "exchange": "by a measured exchange",
    "read-back": "read back only, no effect measured",
    "none": "not shown",
}
SECTIONS: dict[records.Section, str] = {
    "before": "Before, the hypothesis' probe",
    "during": "Meanwhile, the hypothesis' probe",
    "method": "The method's",
    "after": "After, the hypothesis' probe",
    "rollbacks": "The rollback",
}
ALERTS = {"firing": "fired", "suppressed": "fired and was suppressed", "pending": "was pending"}


class Words:
    """Tells records one after the other."""

    def __init__(self) -> None:
        self._targets: dict[str, str] = {}

    def sentence(self, entry: Entry) -> str:
        """One line about one record."""
        record = entry.record
        if isinstance(record, records.IntentCommitted):
            self._targets[record.fault] = f"{record.kind} on {record.target.key}"
        name = getattr(record, "fault", "")
        return text.one_line(_tell(entry, self._targets.get(name, f"fault {name}")), 600)


def sentence(entry: Entry) -> str:
    """One line about one record, without what came before: faults go by their id."""
    return Words().sentence(entry)


def sentences(entries: list[Entry]) -> list[str]:
    """One line for each record."""
    words = Words()
    return [words.sentence(entry) for entry in entries]


def moment(entry: Entry) -> float:
    """When it happened, in seconds since the run's start: a decision is written down only after its undo was sent."""
    match entry.record:
        case records.AbortTripped(decided_t=t) | records.UndoBegan(sent_t=t) | records.FaultReverted(gone_t=t):
            return t
        case _:
            return entry.t


def _tell(entry: Entry, fault: str) -> str:
    return (
        _tell_run(entry)
        or _tell_alert(entry)
        or _tell_deed(entry, fault)
        or _tell_undo(entry, fault)
        or type(entry.record).__name__
    )


def _tell_run(entry: Entry) -> str:  # noqa: C901 -- one flat table of records
    match entry.record:
        case records.RunStarted(actor=actor):
            return f"Run {entry.run} started by {actor or 'an unrecorded actor'}"
        case records.GuardianReady(pid, reads):
            return f"Guardian ready (pid {pid})" + (f": it can read {text.listed(list(reads))}" if reads else "")
        case records.GuardianLost(why):
            return f"Guardian lost: {why}"
        case records.PhaseBegan(phase, step):
            return PHASES.get(phase, phase) + (" reached" if phase == "ended" else " began") + _step(step)
        case records.BaselineHeld(clauses):
            return f"Baseline held: {text.counted(len(clauses), 'clause')} ok"
        case records.NotStarted(reason):
            return f"Nothing was injected: {reason.removeprefix('not started: ')}"
        case records.AbortTripped(stopped_by, why, decided_t):
            return f"Stop decided at {text.clock(decided_t, 3)} by {STOPPED.get(stopped_by, stopped_by)}: {why}"
        case records.RecoveryMeasured(recovered, seconds, _, why):
            return _recovery(recovered, seconds, why)
        case records.Noted(who, said):
            return f"{who} noted: {said}"
        case records.ActivityBegan(section, _, name, background):
            return f"{SECTIONS[section]} {name} began{' in the background' if background else ''}"
        case records.ActivityEnded(section, _, item):
            return f"{SECTIONS[section]} {_activity(item)}"
        case records.RunEnded(outcome, by=by):
            return _ending(outcome, by)
        case _:
            return ""


def _activity(item: dict[str, Any]) -> str:
    name = item.get("activity", {}).get("name", "without a name")
    met = item.get("tolerance_met")
    judged = "" if met is None else ", as tolerated" if met else ", NOT as tolerated"
    return f"{name}: {item.get('status', 'not ended')}{judged}"


def _tell_alert(entry: Entry) -> str:
    match entry.record:
        case records.AlertSeen(_, name, labels, state, starts_t, why):
            by = f" by {why}" if why else ""
            return f"Alert {name} {ALERTS.get(state, state)}{by}, since {text.clock(starts_t)}: {labelled(labels)}"
        case records.AlertGone(_, name, labels):
            return f"Alert {name} was no longer there: {labelled(labels)}"
        case records.AlertsUnheard(why):
            return f"From here on nobody could tell that an alert does not fire: {why}"
        case records.AlertsHeard():
            return "Alerts heard: the always-on alert was there"
        case _:
            return ""


def labelled(labels: dict[str, str]) -> str:
    """An alert's labels but its name."""
    return ", ".join(f"{key}={labels[key]}" for key in sorted(labels) if key != "alertname") or "no other labels"


def _tell_deed(entry: Entry, fault: str) -> str:
    match entry.record:
        case records.IntentCommitted():
            return f"Undo of {fault} written to the ledger; nothing sent yet"
        case records.FaultInjected(seconds=seconds):
            return f"Injected {fault}, read back after {text.duration(seconds)}"
        case records.FaultUncertain(why=why):
            return f"Uncertain whether {fault} landed, so it counts as injected: {why}"
        case records.FaultRefused(why=why):
            return f"Target refused {fault}, and a read showed nothing there: {why}"
        case records.FaultConfirmed(how=how, evidence=evidence):
            return f"Effect of {fault} confirmed ({HOW.get(how, how)}): {evidence}"
        case records.FaultUnconfirmed(why=why):
            return f"Effect of {fault} not confirmed: {why}"
        case records.FaultAbsent(why=why):
            return f"Found {fault} gone or changed in the middle of its window: {why}"
        case records.Evidence(title=title, figures=figures):
            shown = ", ".join(f"{name} {text.number(figures[name])}" for name in sorted(figures))
            return f"Measured beside the checks, {title}: {shown or 'no figures'}"
        case _:
            return ""


def _tell_undo(entry: Entry, fault: str) -> str:
    match entry.record:
        case records.UndoBegan(sent_t=sent_t, by=by):
            return f"Undo of {fault} sent at {text.clock(sent_t, 3)} by the {by}"
        case records.UndoFailed(why=why, attempt=attempt):
            return f"Undo of {fault} failed, attempt {attempt}: {why}"
        case records.FaultReverted(gone_t=gone_t, verified=verified, drift=drift, by=by):
            seen = "read back as gone" if verified else "gone by the target's word, not verified"
            other = f"; changes by others left alone: {drift}" if drift else ""
            return f"Reverted {fault}, {seen} at {text.clock(gone_t, 3)}, by the {by}{other}"
        case records.FaultWatched(seconds=seconds):
            return f"Watching {fault} for {text.duration(seconds)}: a late request may still land"
        case records.FaultClosed():
            return f"Closed {fault}: nothing of it is left"
        case records.FaultSpent(replaced=replaced, seconds=seconds):
            took = f"{replaced} took its place after {text.duration(seconds)}" if replaced else "nothing took its place"
            return f"Over: {fault}; {took}"
        case records.FaultStuck(why=why):
            return f"NOT REVERTED: {fault}: {why}"
        case records.FaultForgotten(reason=reason, who=who):
            return f"{who} gave up on {fault}: {reason}"
        case _:
            return ""


def _step(step: int) -> str:
    return f" (step {step + 1})" if step >= 0 else ""


def _recovery(recovered: bool, seconds: float, why: str) -> str:
    end = f": {why}" if why else ""
    if recovered:
        return f"Steady again {text.duration(seconds)} after the fault{end}"
    return f"Not steady again within {text.duration(seconds)}{end}"


def _ending(outcome: records.Outcome, by: str) -> str:
    parts = [f"finding {outcome.finding}", f"stopped by {outcome.stopped_by}", f"clean-up {outcome.cleanup}"]
    end = f": {outcome.why}" if outcome.why else ""
    return f"Run ended by the {by}: {', '.join(parts)}{end}"
