"""The comparison, with scipy as the oracle."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from chaos_runner.compare import Comparison, compare_histograms, compare_values
from chaos_runner.histogram import bucket, merge, middle, quantile

SMALL = st.lists(st.integers(0, 12).map(float), min_size=2, max_size=40)


def compared(a: list[float], b: list[float]) -> Comparison:
    answer = compare_values(a, b)
    assert answer is not None
    return answer


@for_all(SMALL, SMALL)
def test_p_and_effect_are_mann_whitney_with_ties(a: list[float], b: list[float]) -> None:
    from scipy import stats  # takes a second, and every process collects this file

    answer = compared(a, b)

    if len({*a, *b}) > 1:
        oracle = stats.mannwhitneyu(b, a, alternative="two-sided", method="asymptotic", use_continuity=True)
        assert answer.p == pytest.approx(oracle.pvalue, abs=1e-12)
        assert answer.effect == pytest.approx(oracle.statistic / (len(a) * len(b)))
    else:
        assert (answer.p, answer.effect) == (1.0, 0.5)


@for_all(SMALL, SMALL)
def test_the_shift_is_the_median_of_all_differences(a: list[float], b: list[float]) -> None:
    answer = compared(a, b)
    differences = np.subtract.outer(np.array(b), np.array(a)).ravel()

    assert answer.shift == pytest.approx(float(np.median(differences)))
    assert answer.low <= answer.shift <= answer.high
    assert {answer.low, answer.high} <= set(differences)


def test_the_interval_covers_the_true_shift_in_95_percent() -> None:
    rng = random.Random(7)
    hits = 0
    for _ in range(300):
        answer = compared([rng.gauss(0, 1) for _ in range(25)], [rng.gauss(0.5, 1) for _ in range(30)])
        hits += answer.low <= 0.5 <= answer.high

    assert 0.91 <= hits / 300 <= 0.99


def test_medians_and_p95_stand_side_by_side() -> None:
    answer = compared([float(n) for n in range(1, 101)], [float(n) for n in range(101, 301)])

    assert (answer.n, answer.median, answer.p95) == ((100, 200), (50.0, 200.0), (95.0, 290.0))
    assert (answer.effect, answer.p < 1e-9) == (1.0, True)


def test_histograms_say_the_same_as_values_to_two_percent() -> None:
    rng = random.Random(3)
    a = [rng.lognormvariate(-3, 0.5) for _ in range(800)]
    b = [rng.lognormvariate(-2.6, 0.6) for _ in range(700)]

    coarse = compare_histograms(merge([((bucket(x), 1),) for x in a]), merge([((bucket(x), 1),) for x in b]))
    fine = compared(a, b)

    assert coarse is not None
    assert coarse.n == fine.n
    assert coarse.effect == pytest.approx(fine.effect, abs=0.01)
    for one, other in zip((*coarse.median, *coarse.p95), (*fine.median, *fine.p95), strict=True):
        assert one == pytest.approx(other, rel=0.02)
    for one, other in ((coarse.shift, fine.shift), (coarse.low, fine.low), (coarse.high, fine.high)):
        assert one == pytest.approx(other, rel=0.02, abs=0.001)


def test_two_hundred_thousand_events_a_side_are_compared_at_once() -> None:
    rng = random.Random(5)
    sides = [merge([((bucket(rng.lognormvariate(mu, 0.7)), 1),) for _ in range(200_000)]) for mu in (-3.0, -2.9)]

    began = time.process_time()
    answer = compare_histograms(*sides)
    took = time.process_time() - began

    assert answer is not None
    assert answer.n == (200_000, 200_000)
    assert answer.low < answer.shift < answer.high
    assert took < 0.5  # some 30 ms; the rest is for a busy machine


def test_many_distinct_values_are_put_together_without_losing_the_answer() -> None:
    rng = random.Random(9)
    answer = compared([rng.random() for _ in range(3000)], [rng.random() + 0.1 for _ in range(3000)])

    assert answer.shift == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(("a", "b"), [([], [1.0]), ([1.0], []), ([], [])])
def test_nothing_compares_to_nothing(a: list[float], b: list[float]) -> None:
    assert compare_values(a, b) is None
    assert compare_histograms([(1, len(a))], [(1, len(b))]) is None


def test_one_against_one_says_little() -> None:
    answer = compared([1.0], [3.0])

    assert (answer.shift, answer.low, answer.high) == (2.0, 2.0, 2.0)
    assert answer.p == 1.0


def test_merging_adds_counts_in_order_of_bucket() -> None:
    assert merge([[(5, 1), (3, 2)], [], [(5, 4)]]) == ((3, 2), (5, 5))


@pytest.mark.parametrize(("q", "place"), [(0.0, 10), (0.5, 10), (0.51, 20), (0.9, 20), (0.95, 30), (1.0, 30)])
def test_a_quantile_is_the_middle_of_its_bucket(q: float, place: int) -> None:
    assert quantile([(30, 10), (10, 50), (20, 40)], q) == middle(place)


def test_an_empty_histogram_has_no_quantile() -> None:
    assert quantile([], 0.95) is None


@for_all(st.floats(1e-6, 1000))
def test_a_bucket_stands_for_its_latencies_to_one_percent(seconds: float) -> None:
    assert middle(bucket(seconds)) == pytest.approx(seconds, rel=0.0101)
