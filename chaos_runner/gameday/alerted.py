"""Which alerts a day expected and forbade, and what became of them. No IO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from chaos_runner import alerts
from chaos_runner.gameday import stamps
from chaos_runner.gameday.day import Day
from chaos_runner.gameday.facts import AlertEnded, AlertFired, AlertsUnread, Entry
from chaos_runner.gameday.figures import Metric
from chaos_runner.gameday.stamps import Executed
from chaos_runner.model import ExpectedAlert

Fate = Literal["on time", "late", "missing", "silent", "fired", "unknown"]


class AlertRow(msgspec.Struct, frozen=True):
    """One alert that the day (step -1) or one of its experiments names."""

    name: str
    wanted: Literal["expected", "forbidden"]
    fate: Fate
    step: int = -1
    within: float | None = None
    took_s: float | None = None
    why: str = ""

    @property
    def well(self) -> bool:
        """Whether it did what it should."""
        return self.fate in ("on time", "silent")


def judged(day: Day, entries: Sequence[Entry], runs: Sequence[Executed]) -> tuple[AlertRow, ...]:
    """The alerts that the scenario names, then those of the experiments as their runs judged them."""
    rows = []
    if day.scenario is not None:
        rows += [_expected(one, day, entries, runs) for one in day.scenario.alerts.expect]
        rows += [_forbidden(ref, day, entries) for ref in day.scenario.alerts.forbid]
    return (*rows, *(row for ran in runs for row in _own(ran)))


def _expected(one: ExpectedAlert, day: Day, entries: Sequence[Entry], runs: Sequence[Executed]) -> AlertRow:
    """In time if it fired within its time after the confirmed fault of any step."""
    faults = [ran.at(t) for ran in runs for t in [stamps.injected_t(ran.run)] if t is not None]
    row = AlertRow(one.name, "expected", "missing", within=one.within, why="it did not fire")
    if not faults:
        return msgspec.structs.replace(row, fate="unknown", why="no fault was shown to take effect")
    fired = [at for at, fact in stamps.fired(entries) if alerts.meant(one.name, stamps.alert(fact))]
    took = [at - max(since) for at in fired for since in [[f for f in faults if f <= at + stamps.CLOCKS_S]] if since]
    if took:
        first = max(0.0, min(took))
        return msgspec.structs.replace(row, fate="on time" if first <= one.within else "late", took_s=first, why="")
    if fired:
        return msgspec.structs.replace(
            row, why="it fired before the first fault: it cannot tell this fault from others"
        )
    if gap := _unread(day, entries, min(faults)):
        return msgspec.structs.replace(row, fate="unknown", why=f"nobody can tell: {gap}")
    return row


def _forbidden(ref: str, day: Day, entries: Sequence[Entry]) -> AlertRow:
    there = [one.fact for one in entries if isinstance(one.fact, AlertFired) and one.fact.state != "pending"]
    row = AlertRow(ref, "forbidden", "silent")
    if any(alerts.meant(ref, stamps.alert(fact)) for fact in there):
        return msgspec.structs.replace(row, fate="fired")
    gap = _unread(day, entries, day.started_at)
    return msgspec.structs.replace(row, fate="unknown", why=f"nobody can tell: {gap}") if gap else row


def _unread(day: Day, entries: Sequence[Entry], since: float) -> str:
    """Why the absence of an alert proves nothing: for a while nobody could read which fire."""
    why, gap = "", ""
    for entry in entries:
        fact = entry.fact
        if isinstance(fact, AlertsUnread) and not fact.readable:
            why = fact.why or "alerts could not be read"
        elif isinstance(fact, AlertsUnread | AlertFired | AlertEnded):
            gap = why if why and entry.at > since else gap
            why = ""
    return why or gap


def _own(ran: Executed) -> list[AlertRow]:
    found = []
    for one in ran.run.clauses:
        name = one.check.removeprefix("alert ")
        if one.check == name:
            continue
        wanted: Literal["expected", "forbidden"] = "forbidden" if one.clause == "does not fire" else "expected"
        good: Fate = "silent" if wanted == "forbidden" else "on time"
        bad: Fate = "fired" if wanted == "forbidden" else "late" if "later than" in one.why else "missing"
        fate: Fate = {"ok": good, "violated": bad}.get(one.state, "unknown")
        found.append(AlertRow(name, wanted, fate, ran.step, why=one.why))
    return found


def precision(rows: Sequence[AlertRow]) -> Metric:
    """Expected alerts that fired in time, of those expected; one that nobody could read is in neither number."""
    wanted = [one for one in rows if one.wanted == "expected"]
    known = [one for one in wanted if one.fate != "unknown"]
    blank = Metric("precision", "Expected alerts that fired in time", unit="share")
    if not known:
        why = "no alert was expected" if not wanted else wanted[0].why
        return msgspec.structs.replace(blank, why=why)
    good = sum(one.fate == "on time" for one in known)
    why = f"{good} of {len(known)}" + (f", {len(wanted) - len(known)} unknown" if len(known) < len(wanted) else "")
    return msgspec.structs.replace(blank, value=good / len(known), state="measured", why=why)
