"""DESIGN's table holds with fewer runs, and does not when p1 or h is another."""

from __future__ import annotations

import random

import pytest

from tools import calibrate

RUNS = 150


def problems(setting: calibrate.Setting, row: calibrate.Row, breached: float | None, threshold: float) -> list[str]:
    rules = calibrate.changed(setting.rules(), breached, threshold)
    return list(calibrate.verify(setting, row, *calibrate.runs(row, setting, rules, RUNS)))


@pytest.mark.parametrize(
    "setting",
    [pytest.param(calibrate.DESIGNED, marks=pytest.mark.campaign), calibrate.DEMO, calibrate.HASTY],
    ids=lambda s: s.title,
)
def test_the_table_reproduces(setting: calibrate.Setting) -> None:
    assert [why for row in setting.rows for why in problems(setting, row, None, 1.0)] == []


@pytest.mark.parametrize(
    ("setting", "breached", "threshold"),
    [
        pytest.param(calibrate.DESIGNED, 0.20, 1.0, marks=pytest.mark.campaign),
        (calibrate.DEMO, 0.05, 1.0),
        (calibrate.HASTY, None, 0.5),
        (calibrate.HASTY, None, 2.0),
    ],
)
def test_the_table_does_not_reproduce_with_another_p1_or_h(
    setting: calibrate.Setting, breached: float | None, threshold: float
) -> None:
    assert [why for row in setting.rows for why in problems(setting, row, breached, threshold)]


def test_simple_rules_fail_healthy_systems() -> None:
    background = calibrate.ROWS[2]
    wrong = [calibrate.naive(random.Random(seed), calibrate.DESIGNED, background) for seed in range(40)]

    assert sum(each["success of each tick"] for each in wrong) > 20
    assert sum(each["p95 of each tick"] for each in wrong) > 30
