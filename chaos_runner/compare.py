"""Baseline against fault window: how far latencies shifted, and how sure that is. No IO, no clock.

Mann-Whitney by the normal approximation with ties and continuity correction; Hodges-Lehmann by counting pairs of
distinct values instead of listing them. Only answered requests are compared: the unanswered have no latency, and
the clauses count them as bad.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate

import msgspec

from chaos_runner.histogram import Histogram, merge, middle

Weighted = list[tuple[float, int]]  # distinct values in rising order, with counts
Z_95 = 1.959963984540054
DISTINCT_MAX = 1000  # above this, values are put together in steps of a 1000th of their range
ROUNDS = 200


class Comparison(msgspec.Struct, frozen=True):
    """Two samples side by side; values are seconds for histograms, else the unit of the values given.

    `shift` is the Hodges-Lehmann estimate of fault minus baseline with its 95 % interval; `p` is two-sided
    Mann-Whitney; `effect` is the chance that one from the fault window is above one from the baseline (ties half).
    """

    n: tuple[int, int]
    median: tuple[float, float]
    p95: tuple[float, float]
    p: float
    shift: float
    low: float
    high: float
    effect: float


def compare_histograms(baseline: Histogram, fault: Histogram) -> Comparison | None:
    """The comparison of two log histograms, exact to the buckets' 2 %; None when one is empty."""
    return _compare(*([(middle(b), n) for b, n in merge([side]) if n > 0] for side in (baseline, fault)))


def compare_values(baseline: Sequence[float], fault: Sequence[float]) -> Comparison | None:
    """The comparison of two lists of finite values; None when one is empty."""
    if not baseline or not fault:
        return None
    low, high = min(*baseline, *fault), max(*baseline, *fault)
    return _compare(_weigh(baseline, low, high), _weigh(fault, low, high))


def _weigh(values: Sequence[float], low: float, high: float) -> Weighted:
    counts: dict[float, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    if len(counts) <= DISTINCT_MAX:
        return sorted(counts.items())
    step, coarse = (high - low) / DISTINCT_MAX, dict[float, int]()
    for value, n in counts.items():
        place = low + round((value - low) / step) * step
        coarse[place] = coarse.get(place, 0) + n
    return sorted(coarse.items())


def _compare(a: Weighted, b: Weighted) -> Comparison | None:
    if not a or not b:
        return None
    n, m = (sum(count for _, count in side) for side in (a, b))
    above, ties = _above(a, b)
    spread = math.sqrt(n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1)))) if n + m > 1 else 0.0
    middle_rank = n * m / 2
    edge = max(1, round(middle_rank - Z_95 * spread))
    pair = _pairs(a, b)
    return Comparison(
        n=(n, m),
        median=(_ranked(a, 0.5), _ranked(b, 0.5)),
        p95=(_ranked(a, 0.95), _ranked(b, 0.95)),
        p=_two_sided(above - middle_rank, spread),
        shift=(pair(math.ceil(middle_rank)) + pair(math.floor(middle_rank) + 1)) / 2,
        low=pair(edge),
        high=pair(n * m - edge + 1),
        effect=above / (n * m),
    )


def _two_sided(distance: float, spread: float) -> float:
    if spread <= 0:
        return 1.0
    return min(1.0, math.erfc(max(0.0, abs(distance) - 0.5) / spread / math.sqrt(2)))


def _ranked(side: Weighted, q: float) -> float:
    total = sum(count for _, count in side)
    passed = 0
    for value, count in side:
        passed += count
        if passed >= q * total - 1e-9:
            return value
    return side[-1][0]


def _above(a: Weighted, b: Weighted) -> tuple[float, float]:
    """How many pairs have b above a (ties half), and the sum of t³ − t over groups of equal values."""
    at_a, at_b = dict(a), dict(b)
    above, ties, below = 0.0, 0.0, 0
    for value in sorted(at_a.keys() | at_b.keys()):
        here, there = at_a.get(value, 0), at_b.get(value, 0)
        above += there * (below + here / 2)
        below += here
        ties += (here + there) ** 3 - (here + there)
    return above, ties


def _pairs(a: Weighted, b: Weighted) -> Callable[[int], float]:
    """The k-th smallest difference b − a over all pairs, found by bisection on the value and then exactly."""
    values, sums = [value for value, _ in a], [0, *accumulate(count for _, count in a)]

    def reach(shift: float) -> tuple[int, float]:
        """How many pairs differ by at most `shift`, and the largest such difference."""
        count, largest, i = 0, -math.inf, len(values)
        for value, weight in reversed(b):
            while i > 0 and value - values[i - 1] <= shift:
                i -= 1
            if i < len(values):
                largest = max(largest, value - values[i])
            count += weight * (sums[-1] - sums[i])
        return count, largest

    def ranked(k: int) -> float:
        low, high = b[0][0] - a[-1][0], b[-1][0] - a[0][0]
        low = math.nextafter(low, -math.inf)  # the smallest difference itself is above it
        for _ in range(ROUNDS):
            half = (low + high) / 2
            if not low < half < high:
                break
            count, largest = reach(half)
            low, high = (low, largest) if count >= k else (half, high)
        return high

    return ranked
