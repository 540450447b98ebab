"""Whether the expected alerts fired in time and the forbidden ones did not: readings of a source, and a verdict. No IO.

An alert that is not there says something only while the always-on alert is heard. An expected alert counts when it was
absent before the fault, began after it, and fired within its time for somebody to see: a suppressed one tells nobody.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec

from chaos_runner.alerts import Alert, Heard, meant, unheard
from chaos_runner.environment import AlwaysOn
from chaos_runner.model import Alerts, ExpectedAlert
from chaos_runner.records import AlertGone, AlertSeen, AlertsHeard, AlertsUnheard, ClauseJudged, ClauseState
from chaos_runner.rule import TICKS_VALID, seconds

SIGHTINGS_MAX = 200  # beyond that an alert's labels are too many to keep; that it fired is known by then
COVERS_S = 3.0  # what fires is there for longer: a reading tells of so much time before it
BASELINE_HEARD = 0.5  # before the fault it is enough to have heard half of the time, and the end of it
CLOCKS_S = 1.0  # the source's clock is compared with ours by whole seconds
Said = AlertSeen | AlertGone | AlertsHeard | AlertsUnheard


class Sighting(msgspec.Struct):
    """One alert from its first reading to its last. Times are seconds since the run's start."""

    ref: str
    alert: Alert
    starts_t: float
    first_t: float
    fired_t: float | None = None  # when it fired for somebody to see
    bad_t: float | None = None  # when it was first there, be it suppressed
    there: bool = True


class Times(msgspec.Struct, frozen=True):
    """What the verdict goes by: the first fault, and the end of listening."""

    injected_t: float | None
    confirmed_t: float | None
    ended_t: float


class Detection:
    """What was heard of the alerts that one experiment names."""

    def __init__(self, alerts: Alerts, always_on: AlwaysOn) -> None:
        self.alerts = alerts
        self.always_on = always_on
        self.sightings: dict[tuple[Any, ...], Sighting] = {}
        self.began_t = 0.0
        self._heard: list[float] = []
        self._missed = 0  # readings in a row that did not tell
        self._trouble = "its source was not read"

    def observe(self, t: float, heard: Heard | str) -> list[Said]:
        """One reading, or why there is none; what is new in it."""
        why = heard if isinstance(heard, str) else unheard(self.always_on.alert, self.always_on.heard_within, heard)
        news = self._listened(t, why)
        # What is there counts also where what is not there would not.
        return news if isinstance(heard, str) else news + self._seen(t, heard, believed=not why)

    def _listened(self, t: float, why: str) -> list[Said]:
        missed = self._missed
        if why:
            self._missed, self._trouble = missed + 1, why
            return [] if missed else [AlertsUnheard(why)]
        self._missed = 0
        self._heard.append(t)
        return [AlertsHeard(missed)] if missed or len(self._heard) == 1 else []

    def _seen(self, t: float, heard: Heard, *, believed: bool) -> list[Said]:
        news: list[Said] = []
        here = set()
        for ref in self.alerts.wanted():
            for alert in (one for one in heard.alerts if meant(ref, one)):
                key = (ref, alert.identity, round(alert.starts_at))
                here.add(key)
                news += self._one(key, ref, alert, t, heard.at)
        gone = [one for key, one in self.sightings.items() if one.there and key not in here] if believed else []
        for one in gone:
            one.there = False
        return news + [AlertGone(one.ref, one.alert.name, one.alert.labels) for one in gone]

    def _one(self, key: tuple[Any, ...], ref: str, alert: Alert, t: float, at: float) -> list[Said]:
        known = self.sightings.get(key)
        if known is None and len(self.sightings) >= SIGHTINGS_MAX:
            return []
        one = known or Sighting(ref, alert, starts_t=t - (at - alert.starts_at), first_t=t)
        told = known is not None and known.alert.state == alert.state and known.there
        one.alert, one.there = alert, True
        self.sightings[key] = one
        if alert.state != "pending":
            fired_t = t if alert.fired_at is None else t - (at - alert.fired_at)
            if alert.state == "firing" and one.fired_t is None:
                one.fired_t = fired_t if one.bad_t is None else t  # what was suppressed is seen from now on
            one.bad_t = fired_t if one.bad_t is None else one.bad_t
        if told:
            return []
        return [AlertSeen(ref, alert.name, alert.labels, alert.state, round(one.starts_t, 3), alert.why)]

    def against(self, until_t: float) -> str:
        """What speaks against injecting now, in a sentence: a forbidden alert, or nobody who could tell."""
        for one in self.sightings.values():
            if one.ref in self.alerts.forbid and one.bad_t is not None:
                return f"the forbidden alert {_shown(one)} is firing"
        if gap := self._gap_before(until_t):
            return f"`alerts` cannot be judged: {gap}"
        return ""

    def outstanding_s(self, times: Times) -> float:
        """How long it is still worth listening: until the last expected alert that is due has fired, or is late."""
        if times.confirmed_t is None:
            return 0.0
        waiting = [
            one for one in self.alerts.expect if not self._fired(one.name, times) and not self._before(one.name, times)
        ]
        return max((times.confirmed_t + one.within - times.ended_t for one in waiting), default=0.0)

    def judged(self, times: Times) -> tuple[ClauseJudged, ...]:
        """Each expected and each forbidden alert as a clause of its own."""
        found = []
        for expected in self.alerts.expect:
            state, why = self._expected(expected, times)
            found.append(_clause(fires(expected), state, why))
        for ref in self.alerts.forbid:
            state, why = self._forbidden(ref, times)
            found.append(_clause(silent(ref), state, why))
        return tuple(found)

    def _expected(self, expected: ExpectedAlert, times: Times) -> tuple[ClauseState, str]:
        injected_t, confirmed_t = times.injected_t, times.confirmed_t
        mine = [one for one in self.sightings.values() if one.ref == expected.name]
        if injected_t is None or confirmed_t is None:
            return "unknown", "no fault was shown to take effect"
        if before := self._before(expected.name, times):
            return "violated", f"{_shown(before[0])} was firing before the fault: it cannot tell this fault from others"
        if gap := self._gap_before(injected_t):
            return "unknown", f"nobody can tell that it was not firing before the fault: {gap}"
        fired = self._fired(expected.name, times)
        if fired:
            first = min(fired, key=lambda one: one.fired_t or 0.0)
            return _in_time(first, (first.fired_t or 0.0) - confirmed_t, expected.within)
        return self._silent(expected, mine, injected_t, confirmed_t, times)

    def _before(self, ref: str, times: Times) -> list[Sighting]:
        """The alerts that were there when the fault was not."""
        since = math.inf if times.injected_t is None else times.injected_t
        mine = [one for one in self.sightings.values() if one.ref == ref and one.bad_t is not None]
        return [one for one in mine if max(one.bad_t or 0.0, one.first_t) <= since]

    def _fired(self, ref: str, times: Times) -> list[Sighting]:
        """The alerts that began after the fault, and that somebody could see."""
        if times.injected_t is None:
            return []
        since = times.injected_t - CLOCKS_S
        return [
            one
            for one in self.sightings.values()
            if one.ref == ref and one.fired_t is not None and one.starts_t >= since
        ]

    def _silent(
        self, expected: ExpectedAlert, mine: Sequence[Sighting], injected_t: float, confirmed_t: float, times: Times
    ) -> tuple[ClauseState, str]:
        """Why no alert counts: it came too early or for nobody, the time is not over, nobody heard, or it is silent."""
        early = [one for one in mine if one.fired_t is not None]
        if early:
            ago = injected_t - early[0].starts_t
            return "violated", f"{_shown(early[0])} began {seconds(round(ago, 1))} before the fault"
        hidden = [one for one in mine if one.bad_t is not None]
        if hidden:
            by = hidden[0].alert.why or "somebody"
            return "violated", f"{_shown(hidden[0])} fired, but was suppressed by {by}: nobody was told"
        deadline_t = confirmed_t + expected.within
        if times.ended_t < deadline_t:
            left = seconds(round(deadline_t - times.ended_t, 1))
            return "unknown", f"it had not fired when the run ended, {left} before its time was over"
        if gap := self._gap(injected_t, deadline_t):
            return "unknown", f"nobody can tell that it did not fire: {gap}"
        pending = "; it was pending" if mine else ""
        return "violated", f"it did not fire within {seconds(expected.within)} of the confirmed fault{pending}"

    def _forbidden(self, ref: str, times: Times) -> tuple[ClauseState, str]:
        mine = [one for one in self.sightings.values() if one.ref == ref and one.bad_t is not None]
        if mine:
            return "violated", f"{_shown(mine[0])} fired{_after(mine[0].bad_t, times.injected_t)}"
        if gap := self._gap(self.began_t, times.ended_t):
            return "unknown", gap
        return "ok", f"it was in none of {len(self._heard)} readings"

    def _gap_before(self, until_t: float) -> str:
        """What is missing for believing that an alert was not there when the fault began."""
        last_t = max((t for t in self._heard if t <= until_t), default=-math.inf)
        if last_t < until_t - 2 * COVERS_S:
            return f"alerts were not heard right before it: {self._trouble}"
        return self._gap(self.began_t, until_t, BASELINE_HEARD)

    def _gap(self, since_t: float, until_t: float, share: float = TICKS_VALID) -> str:
        """What is missing for believing in absence over a time; empty when readings tell of nearly all of it."""
        ends = [since_t, *(t for t in self._heard if since_t < t < until_t + COVERS_S), until_t + COVERS_S]
        blind_s = sum(max(0.0, later - earlier - COVERS_S) for earlier, later in pairwise(ends))
        if len(ends) > 2 and blind_s <= (1 - share) * (until_t - since_t) + 1e-9:
            return ""
        whole = max(0.0, until_t - since_t)
        return f"alerts were not heard for {seconds(min(blind_s, whole))} of {seconds(whole)}: {self._trouble}"


def _in_time(one: Sighting, took_s: float, within: float) -> tuple[ClauseState, str]:
    took = seconds(round(max(0.0, took_s), 1))
    told = f"{_shown(one)} fired {took} after the fault was confirmed"
    return ("ok", told) if took_s <= within else ("violated", f"{told}, later than {seconds(within)}")


def _after(t: float | None, injected_t: float | None) -> str:
    if t is None or injected_t is None:
        return ""
    away = seconds(round(abs(t - injected_t), 1))
    return f" {away} after the fault began" if t >= injected_t else f" {away} before the fault"


def _shown(one: Sighting) -> str:
    """The alert with the labels that tell it from its like."""
    others = sorted(f"{label}={value}" for label, value in one.alert.labels.items() if label != "alertname")
    return one.alert.name + (f" ({', '.join(others)[:120]})" if others else "")


def fires(expected: ExpectedAlert) -> tuple[str, str]:
    """How an expected alert is written where clauses are: its check, and its clause."""
    return f"alert {expected.name}", f"fires within {seconds(expected.within)}"


def silent(ref: str) -> tuple[str, str]:
    """How a forbidden alert is written where clauses are."""
    return f"alert {ref}", "does not fire"


def _clause(named: tuple[str, str], state: ClauseState, why: str) -> ClauseJudged:
    good, bad, unknown = (int(state == one) for one in ("ok", "violated", "unknown"))
    return ClauseJudged(*named, state, why, good, bad, unknown)
