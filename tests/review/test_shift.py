"""The shift of p95 and its interval."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from chaos_runner import histogram
from chaos_runner.review import shift
from chaos_runner.review.digest import Shift

LATENCIES = st.lists(st.floats(0.001, 10.0), min_size=1, max_size=300)


@given(LATENCIES, st.sampled_from([0.5, 0.9, 0.95]))
def test_quantiles_are_those_of_the_histogram(values: list[float], share: float) -> None:
    counted = histogram.of(values)
    expected = histogram.quantile(counted, share)
    found = shift.measured(counted, (), share)[0]

    assert found.value is not None
    assert expected is not None
    assert abs(found.value - expected) < 1e-8
    assert found.total == len(values)


@given(LATENCIES, LATENCIES)
def test_the_shift_lies_in_its_interval_and_turns_with_its_sides(before: list[float], during: list[float]) -> None:
    there = shift.measured(histogram.of(before), histogram.of(during))[2]
    back = shift.measured(histogram.of(during), histogram.of(before))[2]

    assert there is not None
    assert back is not None
    assert abs(there.value + back.value) < 1e-8
    if there.low is not None and there.high is not None and back.low is not None:
        assert there.low - 1e-8 <= there.value <= there.high + 1e-8
        assert abs(there.high + back.low) < 1e-8


def test_too_few_replies_have_no_interval_and_none_have_no_shift() -> None:
    few, many = histogram.of([0.1] * 60), histogram.of([0.1] * 600)

    assert shift.measured(few, many)[2] == Shift(0.0)
    assert shift.measured(many, many)[2] == Shift(0.0, 0.0, 0.0)
    assert shift.measured((), many)[2] is None
    assert shift.measured(many, ())[2] is None


def test_the_interval_holds_the_true_shift_in_95_of_100_draws() -> None:
    chance = random.Random(5)
    true = 0.2 * 1.6448536269514722  # p95 of a normal with twice the spread, minus p95 of the usual one
    held = 0
    for _ in range(400):
        before = histogram.of(5 + 0.2 * chance.gauss(0, 1) for _ in range(400))
        during = histogram.of(5 + 0.4 * chance.gauss(0, 1) for _ in range(400))
        found = shift.measured(before, during)[2]
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low - 0.05 <= true <= found.high + 0.05  # a bucket at 5 s is 0.1 s wide
    assert held / 400 >= 0.93
