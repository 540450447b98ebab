"""A schedule's own past holds it back: gaps, rest that doubles, runs in a window, lateness."""

from __future__ import annotations

from datetime import date

import pytest

from chaos_runner.schedule import pace
from chaos_runner.schedule.calendar import Window
from chaos_runner.schedule.pace import Past
from chaos_runner.schedule.slots import Slot
from chaos_runner.when import Cron, Schedule

NOW = 1_800_000_000.0
SLOT = Slot("s", int(NOW), int(NOW), Window(int(NOW) - 3600, int(NOW) + 3600, date(2027, 1, 15)))


def codes(past: Past, now: float = NOW, **own: object) -> list[str]:
    words: dict[str, object] = {"min_gap": 900.0, "cooldown": 600.0, "tolerance": 60.0} | own
    schedule = Schedule(experiment="x", environment="e", calendar="c", cron=Cron(text="* * * * *"), **words)  # type: ignore[arg-type]
    return [reason.code for reason in pace.held_back(schedule, SLOT, past, now)]


@pytest.mark.parametrize(
    ("past", "expected"),
    [
        (Past(), []),
        (Past(started=NOW - 900, ended=NOW - 600), []),
        (Past(started=NOW - 899, ended=NOW - 600), ["min_gap"]),
        (Past(started=NOW - 5000, ended=NOW - 599), ["cooldown"]),
        (Past(started=NOW - 5000, ended=NOW - 1199, failures=1), ["cooldown"]),
        (Past(started=NOW - 5000, ended=NOW - 1200, failures=1), []),
        (Past(started=NOW - 9000, ended=NOW - 4799, failures=3), ["cooldown"]),
        (Past(started=NOW - 9000, ended=NOW - 4800, failures=3), []),
        (Past(started=NOW - 30 * 86400, ended=NOW - 30 * 86400, failures=1000), ["cooldown"]),
        (Past(started=NOW - 32 * 86400, ended=NOW - 32 * 86400, failures=1000), []),
        (Past(in_window=2), ["max_runs"]),
        (Past(in_window=1), []),
    ],
)
def test_the_past_decides_to_the_second(past: Past, expected: list[str]) -> None:
    assert codes(past, max_runs=2) == expected


def test_a_slot_is_missed_only_after_its_tolerance() -> None:
    assert codes(Past(), NOW + 60) == []
    assert codes(Past(), NOW + 61) == ["missed"]


def test_a_negative_criticality_never_runs() -> None:
    assert codes(Past(), criticality=-1) == ["never"]
