"""The abort rules: never before `violated_for`, soon after when it is bad, and blind is a reason to stop."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from chaos_runner.judge import AbortWatch, Tripped
from chaos_runner.model import ErrorBudget
from chaos_runner.records import Sample
from chaos_runner.rule import Rule
from tests.judge import given

ALL_BAD, ALL_GOOD = (0, 20), (20, 0)


def stopped_at(rules: list[Rule], samples: list[Sample], until: int, start: int = 0) -> Tripped | None:
    """The engine's loop: a tick's samples come when the next is under way."""
    watch = AbortWatch(rules, start)
    for tick in range(start, until):
        watch.observe([sample for sample in samples if sample.tick == tick])
        if (tripped := watch.tripped(tick + 1)) is not None:
            return tripped
    return None


@pytest.mark.parametrize("text", ["success >= 99%", "p95 <= 1s", "success >= 100%", "p50 <= 1s"])
@pytest.mark.parametrize("patience", [1.0, 2.5, 5.0, 10.0])
def test_an_outage_stops_the_run_exactly_when_violated_for_is_over(text: str, patience: float) -> None:
    rule = given.one(text, violated_for=patience, rate=100)

    tripped = stopped_at([rule], given.row([(0, 100)] * 30), 30)

    assert tripped is not None
    assert tripped.tick + 1 == math.ceil(patience)


@for_all(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=40),
    st.sampled_from(["success >= 99%", "p95 <= 1s", "success >= 100%", "ready >= 1"]),
    st.integers(1, 12),
    st.integers(1, 7),
)
def test_nothing_stops_a_run_before_violated_for(
    counts: list[tuple[int, int, int]], text: str, patience: int, step: int
) -> None:
    rule = given.one(text, violated_for=float(patience))
    watch = AbortWatch([rule], 0)
    watch.observe(given.row(counts, step=step))

    tripped = watch.tripped(1)

    assert tripped is None or tripped.tick + 1 >= patience


@for_all(st.integers(0, 25), st.integers(1, 10), st.integers(2, 20))
def test_an_outage_stops_a_run_soon_after_any_healthy_time(healthy: int, patience: int, fast: int) -> None:
    rule = given.one(rate=float(fast), violated_for=float(patience))
    outage_alone = math.ceil(rule.threshold / (fast * rule.bad_weight))

    tripped = stopped_at([rule], given.row([(fast, 0)] * healthy + [(0, fast)] * 40), healthy + 40)

    assert tripped is not None
    assert tripped.tick + 1 - healthy == max(patience, outage_alone)


@for_all(st.permutations(range(12)), st.randoms(use_true_random=False))
def test_the_order_of_arrival_makes_no_difference(order: list[int], rng: random.Random) -> None:
    rule = given.one(violated_for=5.0)
    samples = given.row([(20 - bad, bad) for bad in (rng.choice([0, 0, 1, 2, 20]) for _ in order)])
    in_order, shuffled = AbortWatch([rule], 0), AbortWatch([rule], 0)

    in_order.observe(samples)
    shuffled.observe(samples[n] for n in order)

    assert shuffled.margin() == in_order.margin()
    assert shuffled.tripped(12) == in_order.tripped(12)


def test_the_sentence_has_the_figures() -> None:
    rules = [given.one("p95 <= 1s"), given.one("ready >= 2", violated_for=5.0)]

    slow = stopped_at(rules[:1], given.row([ALL_GOOD] * 5 + [(1, 19)] * 10), 20)
    gone = stopped_at(rules[1:], given.row([(1, 0)] * 3 + [(0, 1)] * 5), 20)

    assert slow is not None
    assert slow.why == "shoppers: p95 <= 1s violated for 10s (190 of 200 requests slower than 1s; limit 5 %)"
    assert (slow.stopped_by, slow.check, slow.clause) == ("criterion", "shoppers", "p95 <= 1s")
    assert gone is not None
    assert gone.why == "shoppers: ready >= 2 violated for 5s (5 of 5 readings bad)"


def test_the_exact_level_of_a_mild_breach() -> None:
    rule = given.one(violated_for=1.0)  # h = ln(600 / 0.001) = 13.3047
    watch = AbortWatch([rule], 0)

    watch.observe(given.row([(18, 2), (20, 0), (19, 1)]))

    per_tick = [
        2 * math.log(10) + 18 * math.log(10 / 11),
        20 * math.log(10 / 11),
        math.log(10) + 19 * math.log(10 / 11),
    ]
    level = max(0.0, sum(per_tick[:2])) + per_tick[2]
    assert watch.margin()["shoppers"] == pytest.approx(level / math.log(600 / 0.001))


@pytest.mark.parametrize(
    ("readings", "stops_at"),
    [
        ("bbbbb", 4),
        ("bbbbgbbbb", None),
        ("gbbbbb", 5),
        ("bb?bbb", 5),  # unknown adds nothing and clears nothing
        ("bbbb????????", None),
        ("bbbb?b", 5),
    ],
)
def test_a_gauge_stops_the_run_after_a_row_of_bad_readings(readings: str, stops_at: int | None) -> None:
    words = {"g": (1, 0, 0), "b": (0, 1, 0), "?": (0, 0, 1)}

    tripped = stopped_at([given.one("ready >= 2", violated_for=5.0)], given.row(words[r] for r in readings), 12)

    assert (tripped.tick if tripped is not None else None) == stops_at


@pytest.mark.parametrize(("every", "stops_at"), [(1, 9), (5, 10), (7, 14), (20, 20)])
def test_a_rarely_read_gauge_counts_the_time_between_two_bad_readings(every: int, stops_at: int) -> None:
    rule = given.one("ready >= 2", interval=float(every))

    tripped = stopped_at([rule], given.row([(0, 1)] * 20, step=every), 60)

    assert tripped is not None
    assert tripped.tick == stops_at


def test_one_bad_reading_after_a_good_one_has_not_lasted_yet() -> None:
    rule = given.one("ready >= 2", interval=10.0, violated_for=5.0)

    assert stopped_at([rule], given.row([(1, 0), (0, 1), (1, 0)], step=10), 30) is None


@pytest.mark.parametrize(("interval", "lag", "limit"), [(1.0, 0.0, 10), (1.0, 2.0, 12), (5.0, 0.0, 15)])
def test_no_valid_sample_for_too_long_is_blind(interval: float, lag: float, limit: int) -> None:
    made = given.experiment({"shoppers": given.load("success >= 99%", interval=interval)})
    watch = AbortWatch(given.rules(made, rate=20 if interval == 1 else 0, lag_s=lag), 100)
    watch.observe([given.sample(103, 20), *given.row([(0, 0, 20)] * 20, start=104)])

    assert watch.tripped(103 + limit) is None
    tripped = watch.tripped(104 + limit)

    assert tripped is not None
    assert tripped.stopped_by == "blind"
    assert tripped.why == f"shoppers: no valid sample of success >= 99% for {limit}s (limit {limit}s)"


def test_one_blind_clause_among_seeing_ones_is_blind() -> None:
    watch = AbortWatch(given.rules(given.experiment()), 0)
    watch.observe(given.row([ALL_GOOD] * 15, n=0) + given.row([ALL_GOOD] * 3, n=1))

    tripped = watch.tripped(15)

    assert tripped is not None
    assert (tripped.stopped_by, tripped.clause) == ("blind", "p95 <= 1s")


def test_samples_from_before_the_injection_do_not_count() -> None:
    watch = AbortWatch([given.one(violated_for=5.0)], 10)

    watch.observe(given.row([ALL_BAD] * 10))

    assert watch.margin() == {"shoppers": 0.0}
    assert watch.tripped(10) is None


def test_the_next_injection_begins_anew() -> None:
    watch = AbortWatch([given.one()], 0)
    watch.observe(given.row([ALL_BAD] * 9))
    watch.restart(9)
    watch.observe(given.row([ALL_BAD] * 9, start=9))

    assert watch.tripped(18) is None
    watch.observe([given.sample(18, 0, 20)])
    assert watch.tripped(19) is not None


def test_the_reason_stays_once_it_is_there() -> None:
    watch = AbortWatch([given.one(violated_for=2.0)], 0)
    watch.observe(given.row([ALL_BAD] * 2))
    first = watch.tripped(2)

    watch.observe(given.row([ALL_GOOD] * 50, start=2))

    assert first is not None
    assert watch.tripped(52) == first


def test_blindness_is_not_taken_back_by_a_late_sample() -> None:
    watch = AbortWatch([given.one()], 0)
    first = watch.tripped(10)

    watch.observe(given.row([ALL_GOOD] * 10))

    assert first is not None
    assert watch.tripped(11) == first


def test_while_a_fault_is_open_the_check_is_judged_by_during() -> None:
    made = given.experiment({"replicas": given.load("ready >= 2", during=["ready >= 1"])}, violated_for=3.0)
    dips = [given.sample(t, 0, 1, n=0, check="replicas") for t in range(9)]
    dips += [given.sample(t, 1, 0, n=1, check="replicas") for t in range(9)]

    for fault_open, stops in ((True, False), (False, True)):
        watch = AbortWatch(given.rules(made), 0, fault_open=fault_open)
        watch.observe(dips)
        assert (watch.tripped(9) is not None) is stops


def test_the_error_budget_stops_when_it_is_spent_and_not_a_tick_before() -> None:
    patient = given.experiment(violated_for=1000.0, holds=(200.0,))
    watch = AbortWatch(given.rules(patient), 0, budget=ErrorBudget(**given.BUDGET))
    stops = None
    for tick in itertools.count():
        # The second clause is as bad, later, and must not count twice.
        watch.observe([given.sample(tick, 10, 10), given.sample(tick, 10, 10, n=1)])
        if (stops := watch.tripped(tick + 1)) is not None:
            break

    assert tick == 103  # 51.84 s at half bad a second
    assert stops is not None
    assert stops.clause == "error_budget"
    assert stops.why == (
        "shoppers: 52s of bad service since the first injection, the limit is 51.8s"
        " (2 % of the error budget of 99.9 % over 30d)"
    )


def test_the_spent_budget_outlives_a_restart() -> None:
    patient = given.experiment(violated_for=1000.0, holds=(200.0,))
    watch = AbortWatch(given.rules(patient), 0, budget=ErrorBudget(**given.BUDGET))
    watch.observe(given.row([ALL_BAD] * 30))
    watch.restart(30)
    watch.observe(given.row([ALL_BAD] * 22, start=30))

    assert watch.tripped(52) is not None


def test_an_objective_of_all_is_never_spent_by_nothing() -> None:
    watch = AbortWatch(given.rules(given.experiment()), 0, budget=ErrorBudget(**given.BUDGET | {"spend": 0.0}))
    watch.observe(given.row([ALL_GOOD] * 5))

    assert watch.tripped(5) is None
