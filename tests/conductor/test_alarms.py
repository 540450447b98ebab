"""Alerts of a day: told once, by their own start, gone only when somebody could tell."""

from __future__ import annotations

from typing import Any

import anyio

from chaos_runner.alerts import Alert, Heard
from chaos_runner.api import Env
from chaos_runner.conductor import alarms
from chaos_runner.conductor.alarms import Alarms
from chaos_runner.environment import AlwaysOn, Environment
from chaos_runner.gameday.facts import AlertEnded, AlertFired, AlertsUnread, AnyFact, Entry

WATCHDOG = Alert({"alertname": "Watchdog"}, "firing", 1.0, 1.0)


def alert(name: str = "Slow", state: Any = "firing", starts: float = 100.0, **labels: str) -> Alert:
    return Alert({"alertname": name, **labels}, state, starts, starts)


def heard(*alerts: Alert) -> Heard:
    return Heard((WATCHDOG, *alerts), 200.0)


def watching() -> Alarms:
    return Alarms(("Slow", "severity=page"), AlwaysOn(alert="Watchdog"))


def test_an_alert_is_told_once_by_its_own_start() -> None:
    kept = watching()

    assert kept.observe(heard(), 0) == []
    assert kept.observe(heard(alert()), 1) == [AlertFired("Slow", {"alertname": "Slow"}, 100.0, "firing", 1)]
    assert kept.observe(heard(alert()), 1) == []
    assert kept.observe(heard(), 1) == [AlertEnded("Slow", {"alertname": "Slow"})]
    assert [type(one) for one in kept.observe(heard(alert(starts=150.0)), 2)] == [AlertFired]


def test_an_alert_that_changes_its_state_is_told_again() -> None:
    kept = watching()
    states = [kept.observe(heard(alert(state=state)), 0) for state in ("pending", "firing", "suppressed")]

    assert [[one.state for one in news if isinstance(one, AlertFired)] for news in states] == [
        ["pending"], ["firing"], ["suppressed"],
    ]  # fmt: skip


def test_a_source_that_knows_only_the_condition_makes_no_alert_fire_before_anybody_could_see_it() -> None:
    kept = watching()
    told = [
        kept.observe(Heard((WATCHDOG, Alert({"alertname": "Slow"}, state, 100.0)), at), 0)
        for state, at in (("pending", 101.0), ("firing", 130.0), ("firing", 132.0))
    ]

    assert [[one.starts_at for one in news if isinstance(one, AlertFired)] for news in told] == [[100.0], [130.0], []]


def test_what_the_day_does_not_name_is_not_told() -> None:
    assert watching().observe(heard(alert("Other"), alert("Third", severity="ticket")), 0) == []
    assert len(watching().observe(heard(alert("Other", severity="page")), 0)) == 1


def test_silence_of_a_deaf_source_ends_no_alert() -> None:
    kept = watching()
    kept.observe(heard(alert()), 0)

    assert kept.observe("no answer within 4 s", 0) == [AlertsUnread("no answer within 4 s")]
    assert kept.observe("no answer within 4 s", 0) == [], "told once"
    assert kept.observe(Heard((), 200.0), 0) == [], "the always-on alert is not there"
    assert kept.observe(heard(), 0) == [AlertsUnread(readable=True), AlertEnded("Slow", {"alertname": "Slow"})]


def test_another_conductor_tells_nothing_twice() -> None:
    first, second = watching(), watching()
    facts: list[AnyFact] = [*first.observe(heard(alert()), 0), *first.observe("deaf", 0)]
    second.recall(Entry("day", n, 1.0, 1.0, fact) for n, fact in enumerate(facts))

    assert second.observe("deaf", 0) == []
    assert second.observe(heard(alert()), 0) == [AlertsUnread(readable=True)]
    assert second.observe(heard(), 0) == [AlertEnded("Slow", {"alertname": "Slow"})]


def test_what_the_store_cannot_keep_now_is_told_again() -> None:
    told: list[AnyFact] = []

    async def listen() -> None:
        with anyio.fail_after(30) as limit:

            def tell(fact: AnyFact) -> bool:
                told.append(fact)
                if len(told) > 1:
                    limit.cancel()
                return len(told) > 1

            await alarms.watch(watching(), Env("deaf", Environment(), {}), lambda: 0, tell)

    anyio.run(listen)

    assert told[0] == told[1] == AlertsUnread("environment 'deaf' " + Environment().deaf())


def test_an_alert_with_ever_new_labels_fills_no_store() -> None:
    kept = watching()
    told = sum(len(kept.observe(heard(alert(pod=str(n))), 0)) for n in range(2000))

    assert told < 1100
