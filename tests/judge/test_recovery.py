"""When it is well again: Wald's bound for events, five ok readings for gauges, and nothing stale."""

from __future__ import annotations

import math

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from chaos_runner.judge import RecoveryWatch
from chaos_runner.recovery import ACCEPTED
from tests.judge import given


@pytest.mark.parametrize(
    ("text", "good_in_a_row"),
    [("success >= 99%", 49), ("p95 <= 1s", 42), ("success >= 99.9%", 45), ("success >= 100%", 44), ("p50 <= 1s", 7)],
)
def test_that_many_good_events_in_a_row_are_enough(text: str, good_in_a_row: int) -> None:
    rule = given.one(text, rate=1)
    watch = RecoveryWatch([rule], 100)

    watch.observe(given.row([(1, 0)] * (good_in_a_row - 1), start=100))
    assert watch.recovered_at() is None
    watch.observe([given.sample(99 + good_in_a_row, 1)])

    assert watch.recovered_at() == 99 + good_in_a_row
    assert math.ceil(ACCEPTED / rule.good_weight) == good_in_a_row
    assert watch.state() == "ok"
    assert watch.missing() == ""


@for_all(st.integers(0, 50))
def test_a_bad_start_does_not_have_to_be_made_up_for(bad_ticks: int) -> None:
    watch = RecoveryWatch([given.one()], 0)

    watch.observe(given.row([(0, 20)] * bad_ticks + [(20, 0)] * 3))

    assert watch.recovered_at() == bad_ticks + 2


def test_what_is_allowed_is_well() -> None:
    watch = RecoveryWatch([given.one()], 0)
    watch.observe(given.row([(20, 0), (20, 0), (19, 1)] + [(20, 0)] * 3))

    assert watch.recovered_at() == 3  # 59 good and 1 bad


@pytest.mark.parametrize(
    ("readings", "at"),
    [
        ("ggggg", 4),
        ("bbggggg", 6),
        ("ggggbggggg", 9),
        ("gggg?ggggg", 9),
        ("gggghggggg", 9),
        ("gggg", None),
        ("?????", None),
        ("", None),
    ],
)
def test_a_gauge_is_well_after_five_ok_readings_in_a_row(readings: str, at: int | None) -> None:
    words = {"g": (1, 0, 0), "b": (0, 1, 0), "?": (0, 0, 1), "h": (1, 0, 1)}
    watch = RecoveryWatch([given.one("ready >= 2")], 0)

    watch.observe(given.row(words[r] for r in readings))

    assert watch.recovered_at() == at


def test_all_clauses_must_be_well_at_the_same_time() -> None:
    watch = RecoveryWatch(given.rules(given.experiment()), 0)
    watch.observe(given.row([(20, 0)] * 3 + [(10, 10)] * 5, n=0) + given.row([(0, 20)] * 5 + [(20, 0)] * 3, n=1))
    assert watch.recovered_at() is None

    watch.observe(given.row([(20, 0)] * 3, start=8, n=0) + given.row([(20, 0)] * 3, start=8, n=1))

    assert watch.recovered_at() == 10


def test_well_by_stale_measurements_is_not_well() -> None:
    watch = RecoveryWatch(given.rules(given.experiment()), 0)
    watch.observe(given.row([(20, 0)] * 5, n=0))
    for tick in range(20):
        watch.observe([given.sample(tick, 0, 20, n=1)])
    watch.observe(given.row([(20, 0)] * 5, start=20, n=1))

    assert watch.recovered_at() is None
    assert "success >= 99%: no valid sample for 20s" in watch.missing()


def test_samples_from_before_do_not_count() -> None:
    watch = RecoveryWatch([given.one()], 10)
    watch.observe(given.row([(20, 0)] * 10))

    assert watch.recovered_at() is None


def test_missing_says_what_is_not_well_yet() -> None:
    watch = RecoveryWatch([given.one()], 0)
    assert (watch.state(), watch.missing()) == ("unknown", "shoppers: success >= 99%: no valid sample for 1s")

    watch.observe(given.row([(15, 5)] * 4))

    assert watch.state() == "violated"
    assert watch.missing() == "shoppers: success >= 99%: 20 of 80 requests failed since the faults were gone"


@for_all(st.permutations(range(10)), st.lists(st.integers(0, 4), min_size=10, max_size=10))
def test_late_samples_give_the_same_answer(order: list[int], bad: list[int]) -> None:
    samples = given.row([(20 - n, n) for n in bad])
    in_order, shuffled = RecoveryWatch([given.one()], 0), RecoveryWatch([given.one()], 0)

    in_order.observe(samples)
    shuffled.observe(samples[n] for n in order)

    assert shuffled.recovered_at() == in_order.recovered_at()


def test_recovery_is_judged_by_expect() -> None:
    made = given.experiment({"replicas": given.load("ready >= 2", during=["ready >= 1"])})
    watch = RecoveryWatch(given.rules(made), 0)

    watch.observe(given.sample(t, 1, 0, n=1, check="replicas") for t in range(9))
    assert watch.recovered_at() is None
    watch.observe(given.sample(t, 1, 0, n=0, check="replicas") for t in range(9))

    assert watch.recovered_at() == 4
