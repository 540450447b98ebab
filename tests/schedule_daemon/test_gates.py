"""Laws of the gates: each says no by itself, what cannot be told is a no, and every value is kept with the decision."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chaos_runner.environment import Environment, Signal
from chaos_runner.scheduler import decide, gates
from chaos_runner.scheduler.decide import Slot
from chaos_runner.scheduler.gates import Asked, Facts
from chaos_runner.store import Armed, Block, Paused, Reading

NOW = 1_800_000_000.0
KEY = ("demo", "shop", "slow-payments")
ASKED = Asked("slow", "slow-payments", "demo", "shop", NOW)
ARMED = {"demo": Armed("demo", "ann", NOW - 60, NOW + 60)}
WELL = Facts(at=NOW, lever={KEY: ""}, armed=ARMED)


def facts(**changed: Any) -> Facts:
    return Facts(**{"at": NOW, "lever": {KEY: ""}, "armed": ARMED} | changed)


def test_all_gates_together_can_say_yes() -> None:
    readings = gates.local(ASKED, WELL, "")

    assert gates.reason(readings) == ""
    assert len(readings) == 8
    assert all(one.ok and one.asked_at == NOW for one in readings)


@pytest.mark.parametrize(
    ("asked", "known", "calendar", "gate"),
    [
        (Asked("slow", "slow-payments", "demo", "shop", NOW, criticality=-1), WELL, "", "enabled"),
        (ASKED, facts(paused={"slow": Paused("slow", "ben", "holidays", NOW)}), "", "paused"),
        (ASKED, facts(lever={KEY: "ann pulled global: no reason given"}), "", "levers"),
        (ASKED, facts(lever={}), "", "levers"),
        (ASKED, WELL, "closed by work: Christmas", "calendar"),
        (ASKED, facts(armed={}), "", "armed"),
        (ASKED, facts(armed={"staging": Armed("staging", "ann", NOW, NOW + 60)}), "", "armed"),
        (ASKED, facts(armed={"demo": Armed("demo", "ann", NOW - 60, NOW)}), "", "armed"),
        (ASKED, facts(blocked={"slow": Block("slow", "r1", "run r1 ended ABORTED", NOW)}), "", "blocked"),
        (ASKED, facts(open_faults={"demo": 1}), "", "open faults"),
        (ASKED, facts(busy_environments={"demo": "r1"}), "", "concurrency"),
        (ASKED, facts(busy_services={"shop": "r1"}), "", "concurrency"),
        (ASKED, facts(trouble="the ledger is locked"), "", "store"),
    ],
)
def test_each_gate_alone_says_no(asked: Asked, known: Facts, calendar: str, gate: str) -> None:
    readings = gates.local(asked, known, calendar)

    assert [one.gate for one in readings if not one.ok] == [gate]
    assert gates.reason(readings).startswith(f"{gate}: ")


def test_what_concerns_others_says_nothing() -> None:
    elsewhere = facts(
        paused={"other": Paused("other", "ben", "x", NOW)},
        blocked={"other": Block("other", "r1", "x", NOW)},
        open_faults={"staging": 3},
        busy_environments={"staging": "r1"},
        busy_services={"search": "r1"},
    )

    assert gates.reason(gates.local(ASKED, elsewhere, "")) == ""


class Says:
    """Signals that answer as told, and count."""

    def __init__(self, ok: bool = True) -> None:
        self.ok, self.asked = ok, 0

    async def read(self, asked: Asked, environment: Environment) -> tuple[Reading, ...]:
        self.asked += 1
        return (Reading("healthy", self.ok, "" if self.ok else "503", "503", NOW),)


def decided(slots: list[Slot], signals: Says | None = None, known: Facts = WELL, **conclusive: float) -> list[Any]:
    return asyncio.run(
        decide.decide(slots, known, signals or Says(), {"demo": Environment(), "other": Environment()}, conclusive)
    )


def asked(name: str, *, service: str = "shop", criticality: float = 1.0, environment: str = "demo") -> Slot:
    return Slot(Asked(name, "slow-payments", environment, service, NOW, criticality))


def test_a_local_no_asks_nobody() -> None:
    signals = Says()
    [one] = decided([Slot(ASKED)], signals, facts(armed={}))

    assert one.reason.startswith("armed: ")
    assert signals.asked == 0


def test_a_signal_s_no_is_the_decision_with_its_value() -> None:
    [one] = decided([Slot(ASKED)], Says(ok=False))

    assert one.reason == "healthy: 503"
    row = decide.row(one, NOW)
    assert (row.decision, row.readings[-1].value, len(row.readings)) == ("SKIP", "503", 10)


def test_of_one_environment_only_one_runs_the_critical_one_first() -> None:
    first, second = decided([asked("a"), asked("b", criticality=5)])

    assert (first.slot.asked.schedule, first.reason) == ("b", "")
    assert second.reason == "concurrency: the environment demo goes to b in this slot"
    assert [one.gate for one in second.readings if not one.ok] == ["concurrency"]


def test_of_equals_the_stale_one_goes_first() -> None:
    first, *_ = decided([asked("a"), asked("b"), asked("c")], a=NOW - 9 * 86400, b=NOW - 86400, c=NOW)

    assert first.slot.asked.schedule == "a"


def test_of_one_service_only_one_runs_in_all_environments() -> None:
    known = facts(
        lever={KEY: "", ("other", "shop", "slow-payments"): ""},
        armed=ARMED | {"other": Armed("other", "ann", NOW, NOW + 60)},
    )
    _, second = decided([asked("a"), asked("b", environment="other")], known=known)

    assert second.reason == "concurrency: the service shop goes to a in this slot"


def test_an_unreadable_calendar_and_a_run_that_is_too_late_are_skipped_with_their_reason() -> None:
    [closed] = decided([Slot(ASKED, calendar="the calendar work: freeze.ics cannot be read")])
    [late] = decided([Slot(ASKED, pace="20m late; at most 15m are tolerated")])

    assert closed.reason == "calendar: the calendar work: freeze.ics cannot be read"
    assert late.reason == "pace: 20m late; at most 15m are tolerated"


def test_missed_slots_are_one_row() -> None:
    row = decide.missed(ASKED, NOW - 300, NOW, 6, NOW)

    assert (row.decision, row.missed, row.instant) == ("SKIP", 6, NOW)
    assert (
        row.reason == "missed: 6 slots from 2027-01-15T07:55:00Z to 2027-01-15T08:00:00Z passed while no daemon looked"
    )


@pytest.mark.parametrize(
    ("signal", "valid"),
    [
        (Signal(url="http://x"), True),
        (Signal(answers="https://x/{service}"), True),
        (Signal(not_used="a demo"), True),
        (Signal(), False),
        (Signal(url="http://x", not_used="a demo"), False),
        (Signal(url="ftp://x"), False),
    ],
)
def test_a_signal_says_one_thing(signal: Signal, valid: bool) -> None:
    assert (not list(signal.problems())) is valid
