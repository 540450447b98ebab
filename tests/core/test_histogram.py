"""A latency is kept to within a percent, and nothing is lost by adding histograms up."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_runner import histogram

SECONDS = st.floats(min_value=1e-6, max_value=1e4)
LISTS = st.lists(SECONDS, max_size=50)


@given(SECONDS)
def test_the_middle_of_a_bucket_is_within_a_percent_of_what_is_in_it(seconds: float) -> None:
    assert histogram.middle(histogram.bucket(seconds)) == pytest.approx(seconds, rel=0.0101)


@given(SECONDS, SECONDS)
def test_a_longer_latency_is_in_no_lower_bucket(one: float, other: float) -> None:
    low, high = sorted((one, other))

    assert histogram.bucket(low) <= histogram.bucket(high)


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 1e-12, 1e-6])
def test_what_is_too_short_to_tell_is_in_the_first_bucket(seconds: float) -> None:
    assert histogram.bucket(seconds) == 0


def test_neighbours_two_percent_apart_are_told_apart() -> None:
    assert [histogram.bucket(0.1 * 1.02**n) - histogram.bucket(0.1) for n in (2, 10, 100)] == [2, 10, 100]


@given(LISTS, LISTS, LISTS)
def test_adding_up_in_any_order_loses_nothing(a: list[float], b: list[float], c: list[float]) -> None:
    parts = [histogram.of(one) for one in (a, b, c)]
    whole = histogram.of([*a, *b, *c])

    assert histogram.merge(parts) == histogram.merge(reversed(parts)) == whole
    assert histogram.merge([histogram.merge(parts[:2]), parts[2]]) == whole
    assert sum(count for _place, count in whole) == len(a) + len(b) + len(c)
    assert list(whole) == sorted(whole)


@given(st.lists(SECONDS, min_size=1, max_size=50), st.floats(min_value=0.0, max_value=1.0))
def test_a_quantile_is_that_of_the_latencies_themselves_to_within_a_percent(latencies: list[float], q: float) -> None:
    found = histogram.quantile(histogram.of(latencies), q)
    exact = sorted(latencies)[max(1, math.ceil(q * len(latencies) - 1e-9)) - 1]

    assert found == pytest.approx(exact, rel=0.0101)


def test_the_order_of_the_buckets_makes_no_difference() -> None:
    made = histogram.of([0.1, 0.2, 0.3])

    assert histogram.quantile(made[::-1], 0.1) == histogram.quantile(made, 0.1) == pytest.approx(0.1, rel=0.0101)


@pytest.mark.parametrize(("q", "rank"), [(0.0, 1), (0.5, 10), (0.95, 19), (0.951, 20), (1.0, 20)])
def test_a_percentile_is_the_value_that_so_many_do_not_exceed(q: float, rank: int) -> None:
    found = histogram.quantile(histogram.of([n / 10 for n in range(1, 21)]), q)

    assert found == pytest.approx(rank / 10, rel=0.0101)


@pytest.mark.parametrize("q", [0.0, 0.5, 1.0])
def test_of_nothing_there_is_no_quantile(q: float) -> None:
    assert histogram.quantile((), q) is None
