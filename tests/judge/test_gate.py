"""The gate: nothing is injected into a system that is not steady, or not seen."""

from __future__ import annotations

import random

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from chaos_runner import histogram
from chaos_runner.gate import breach_chance, over_chance
from chaos_runner.judge import Closed, Opened, gate, stuttered
from chaos_runner.model import ErrorBudget
from chaos_runner.records import ClauseCount, Sample
from tests.judge import given

BASELINE = range(30)


def spread(bad: int, rate: int = 20, ticks: int = 30, n: int = 0) -> list[Sample]:
    """That many bad events, one a tick at most as long as that is possible, spread evenly."""
    at = [k * ticks // bad for k in range(bad)] if bad else []
    return given.row([(rate - at.count(t), at.count(t)) for t in range(ticks)], n=n)


@pytest.mark.parametrize(("bad", "opens"), [(0, True), (1, True), (3, True), (4, False), (6, False), (7, False)])
def test_the_gate_opens_while_chance_would_breach_less_than_one_run_in_twenty(bad: int, opens: bool) -> None:
    answer = gate([given.one()], spread(bad), BASELINE)

    assert isinstance(answer, Opened) is opens
    if isinstance(answer, Opened):
        assert answer.clauses == (("shoppers", "success >= 99%", 600 - bad, bad, 0),)


def test_a_closed_gate_names_what_would_work() -> None:
    chance = gate([given.one()], spread(4), BASELINE)
    broken = gate([given.one()], spread(12), BASELINE)

    assert chance == Closed(
        "shoppers: success >= 99% would be violated by chance in 11 % of healthy runs: 4 of 600 requests failed"
        " (0.7 %, limit 1 %) in the baseline; `for: 75s` or `success >= 98.6%` would work"
    )
    assert broken == Closed(
        "shoppers: success >= 99% does not hold in the baseline: 12 of 600 requests failed (2 %, limit 1 %);"
        " `success >= 97%` would work"
    )


def test_the_advice_works() -> None:
    samples = spread(4)

    assert isinstance(gate([given.one(hold=75.0)], samples, BASELINE), Opened)
    assert isinstance(gate([given.one(hold=70.0)], samples, BASELINE), Closed)
    assert isinstance(gate([given.one("success >= 98.6%")], samples, BASELINE), Opened)
    assert isinstance(gate([given.one("success >= 98.7%")], samples, BASELINE), Closed)
    assert isinstance(gate([given.one("success >= 97%")], spread(12), BASELINE), Opened)


def test_a_latency_limit_that_would_work_comes_from_the_histogram() -> None:
    rng = random.Random(1)
    latencies = [[rng.uniform(0.2, 1.2) for _ in range(20)] for _ in BASELINE]
    samples = [
        Sample(
            "shoppers",
            tick,
            (ClauseCount(0, sum(x <= 1 for x in own), sum(x > 1 for x in own), 0),),
            histogram=histogram.merge([((histogram.bucket(x), 1),) for x in own]),
        )
        for tick, own in enumerate(latencies)
    ]

    answer = gate([given.one("p95 <= 1s")], samples, BASELINE)

    assert isinstance(answer, Closed)
    assert answer.why.endswith("`p95 <= 1.2s` would work")


def test_the_abort_rules_are_replayed() -> None:
    """Fine on average, but a burst of three seconds would have stopped the run."""
    made = given.experiment({"shoppers": given.load("success >= 95%")}, violated_for=3.0, holds=(120.0,))
    burst = given.row([(20, 0)] * 60 + [(14, 6)] * 3 + [(20, 0)] * 57)

    answer = gate(given.rules(made), burst, range(120))

    assert isinstance(answer, Closed)
    assert answer.why == (
        "the abort rules would have fired in the baseline: shoppers: success >= 95% violated for 3s"
        " (18 of 60 requests failed; limit 5 %)"
    )


def test_the_error_budget_is_replayed() -> None:
    made = given.experiment({"shoppers": given.load("p50 <= 1s")}, violated_for=1000.0)
    slow = spread(200)

    assert isinstance(gate(given.rules(made), slow, BASELINE), Opened)
    budget = ErrorBudget("shoppers", slo=0.999, over=86400.0, spend=0.1)  # 8.64 s; 10 s are spent
    answer = gate(given.rules(made), slow, BASELINE, budget)
    assert isinstance(answer, Closed)
    assert "of bad service" in answer.why


@pytest.mark.parametrize(
    ("readings", "against"),
    [
        ("g" * 30, ""),
        ("ggb" + "g" * 27, ""),
        ("bggggbggggbggggb" + "g" * 14, "4 of 30 readings bad, at most 10 % may be"),
        ("g" * 29 + "b", "violated right now, at the end of the baseline"),
        ("g" * 26 + "????", "measured in 26 of 30 ticks, 27 are needed"),
        ("g" * 20 + "bbbbb" + "g" * 25, "does not hold"),
    ],
)
def test_a_gauge_must_be_steady(readings: str, against: str) -> None:
    words = {"g": (1, 0, 0), "b": (0, 1, 0), "?": (0, 0, 1)}

    answer = gate([given.one("ready >= 2", violated_for=5.0)], given.row(words[r] for r in readings), BASELINE)

    assert isinstance(answer, Closed) is bool(against)
    assert against in getattr(answer, "why", "")


@for_all(st.sets(st.integers(0, 29), min_size=4), st.booleans())
def test_the_gate_never_opens_on_missing_data(lost: set[int], silent: bool) -> None:
    seen = [s for s in spread(0) if s.tick not in lost]
    unknown = [] if silent else [given.sample(tick, 0, 0, 20) for tick in lost]

    assert isinstance(gate([given.one()], seen + unknown, BASELINE), Closed)


def test_the_gate_never_opens_without_a_clause_or_a_sample() -> None:
    assert isinstance(gate([], [], BASELINE), Closed)
    assert isinstance(gate([given.one()], [], BASELINE), Closed)
    assert isinstance(gate([given.one("ready >= 1")], [], BASELINE), Closed)


def test_half_known_events_in_every_tick_are_missing_data() -> None:
    answer = gate([given.one(rate=40)], given.row([(30, 0, 10)] * 30), BASELINE)

    assert answer == Closed(
        "shoppers: success >= 99% is unknown in the baseline: 300 of 1200 results are unknown, at most 10 % may be"
    )


def test_a_short_baseline_is_named() -> None:
    answer = gate([given.one()], spread(0, ticks=10), range(10))

    assert answer == Closed(
        "shoppers: success >= 99% is unknown in the baseline: 200 of the 300 requests that a verdict needs"
        " (0 of 200 requests failed); `baseline: 15s` would be enough"
    )


def test_the_gate_judges_expect_and_not_during() -> None:
    made = given.experiment({"replicas": given.load("ready >= 2", during=["ready >= 1"])})
    one_is_down = [given.sample(t, int(t % 3 > 0), int(t % 3 == 0), n=0, check="replicas") for t in BASELINE]
    one_is_down += [given.sample(t, 1, 0, n=1, check="replicas") for t in BASELINE]

    assert isinstance(gate(given.rules(made), one_is_down, BASELINE), Closed)


def test_everything_that_speaks_against_is_named_at_once() -> None:
    answer = gate(given.rules(given.experiment()), spread(30) + spread(100, n=1), BASELINE)

    assert isinstance(answer, Closed)
    assert "success >= 99% does not hold" in answer.why
    assert "p95 <= 1s does not hold" in answer.why


@for_all(st.integers(1, 5000), st.floats(0.0001, 0.9999), st.floats(0.0, 1.0))
def test_the_chance_is_the_binomial_tail(n: int, p: float, allowed: float) -> None:
    from scipy import stats  # takes a second, and every process collects this file

    assert over_chance(n, p, allowed) == pytest.approx(stats.binom.sf(int(allowed * n + 1e-9), n, p), abs=1e-9)


@pytest.mark.parametrize(("n", "p", "allowed"), [(200_000, 0.0099, 0.01), (1_000_000, 0.04, 0.05), (600, 1e-9, 0.0)])
def test_the_chance_is_stable_for_large_and_rare(n: int, p: float, allowed: float) -> None:
    from scipy import stats  # takes a second, and every process collects this file

    assert over_chance(n, p, allowed) == pytest.approx(
        stats.binom.sf(int(allowed * n + 1e-9), n, p), rel=1e-6, abs=1e-9
    )


def test_more_windows_give_chance_more_turns() -> None:
    once = given.rules(given.experiment(holds=(30.0,)))[0]
    thrice = given.rules(given.experiment(holds=(30.0, 30.0, 30.0)))[0]

    assert breach_chance(thrice, 0.004) == pytest.approx(1 - (1 - breach_chance(once, 0.004)) ** 3)


@pytest.mark.parametrize(
    ("known", "answer"),
    [
        ([20] * 30, False),
        ([20] * 27 + [0] * 3, False),
        ([20] * 26 + [0] * 4, True),
        ([20] * 16 + [0] * 14, True),
        ([20] * 15 + [0] * 15, False),
        ([0] * 30, False),
        ([17] * 30, True),
    ],
)
def test_a_baseline_stuttered_when_most_of_it_was_measured_and_not_enough(known: list[int], answer: bool) -> None:
    samples = [
        Sample(check="shoppers", tick=tick, counts=(ClauseCount(0, n, 0, 20 - n),)) for tick, n in enumerate(known)
    ]

    assert stuttered([given.one()], samples, BASELINE) is answer


def test_what_no_clause_expects_is_no_stutter() -> None:
    assert not stuttered([], spread(0), BASELINE)
