"""Limits in numbers: allowance, p1, h, and how many events a verdict needs."""

from __future__ import annotations

import math

import pytest

from chaos_runner import judge
from chaos_runner.expect import allowance, clause
from chaos_runner.model import CheckAbort
from chaos_runner.rule import Counts, by_clause, percent
from tests.judge import given


@pytest.mark.parametrize(
    ("text", "allowed", "breached", "needed"),
    [
        ("success >= 99%", 0.01, 0.10, 300),
        ("success > 99.9%", 0.001, 0.10, 3000),
        ("success >= 95%", 0.05, 0.15, 60),
        ("success >= 100%", 0.0, 0.10, 30),
        ("p95 <= 1s", 0.05, 0.15, 60),
        ("p99.9 < 1s", 0.001, 0.10, 3000),
        ("p90 <= 1s", 0.10, 0.30, 30),
        ("p50 <= 100ms", 0.50, 0.75, 6),
    ],
)
def test_a_clause_in_numbers(text: str, allowed: float, breached: float, needed: int) -> None:
    rule = given.one(text)

    assert (rule.allowed, rule.breached) == pytest.approx((allowed, breached))
    assert judge.min_events(rule.allowed) == needed
    assert rule.good_weight < 0 < rule.bad_weight


@pytest.mark.parametrize("text", ["p95 >= 1s", "success <= 99%", "success == 1", "success >= 0%", "p0 <= 1s"])
def test_a_clause_that_cannot_be_counted_in_events_is_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be counted in events; write one such as"):
        allowance(clause(text))


def test_h_is_shared_by_the_clauses_that_decide_during_the_fault() -> None:
    made = given.experiment(
        {"shoppers": given.load(), "replicas": given.load("ready >= 2", during=["ready >= 1"])}, holds=(10.0, 20.0)
    )

    success, p95, ready2, ready1 = given.rules(made)

    assert success.threshold == p95.threshold == pytest.approx(math.log(600 * 2 / 0.001))
    assert (success.planned, success.shortest, success.windows) == (600, 200, 2)
    assert (ready2.expected, ready2.during) == (True, False)
    assert (ready1.expected, ready1.during) == (False, True)


def test_each_check_has_its_own_patience_and_pace() -> None:
    made = given.experiment(
        {"shoppers": given.load(), "replicas": given.load("ready >= 2", interval=5.0)},
        per_check=(CheckAbort("replicas", 20.0),),
    )

    success, _, ready = given.rules(made, lag_s=2.0)

    assert (success.violated_for, ready.violated_for) == (5.0, 20.0)
    assert (success.blind_after, ready.blind_after) == (12.0, 15.0)


def test_counts_of_a_tick_add_up_whatever_order_they_come_in() -> None:
    parts = [given.sample(1, 3), given.sample(0, 1), given.sample(1, 0, 2, 1)]

    assert by_clause(parts) == by_clause(parts[::-1]) == {("shoppers", 0): {0: (1, 0, 0), 1: (3, 2, 1)}}


@pytest.mark.parametrize(
    ("counts", "valid"), [((20, 0, 0), True), ((5, 5, 10), True), ((4, 5, 10), False), ((0, 0, 1), False), ((), False)]
)
def test_a_tick_is_valid_when_half_of_its_events_are_known(counts: tuple[int, ...], valid: bool) -> None:
    assert Counts(*counts).valid is valid


@pytest.mark.parametrize(
    ("share", "beside", "text"),
    [
        (0.0, None, "0 %"),
        (1.0, None, "100 %"),
        (3 / 612, 0.01, "0.5 %"),
        (0.01004, 0.01, "1.004 %"),
        (0.01, 0.01, "1 %"),
        (0.00001, 0.01, "0.001 %"),
        (0.97, 0.05, "97 %"),
        (0.9999, None, "99.99 %"),
    ],
)
def test_a_share_is_printed_so_that_it_differs_from_its_limit(share: float, beside: float | None, text: str) -> None:
    assert percent(share, beside) == text
