"""By how much p95 moved, and within which range. No IO.

The range of each quantile is that of its order statistics (normal approximation of the binomial); the two are put
together by the distances of their ends (MOVER), which asks no shape of the latencies. Exact to the buckets' 2 %.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate

import msgspec

from chaos_runner.histogram import Histogram, middle
from chaos_runner.review.digest import Shift

Z_95 = 1.959963984540054


class Quantiles(msgspec.Struct, frozen=True):
    """How many replies, their median, a higher quantile, and the 95 % interval of that where there are enough."""

    total: int = 0
    median: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None


def measured(before: Histogram, during: Histogram, share: float = 0.95) -> tuple[Quantiles, Quantiles, Shift | None]:
    """Both sides, and the quantile during the fault minus that before it; None when one is empty.

    The shift has no range when one side is too small for one.
    """
    old, new = _side(before, share), _side(during, share)
    if old.value is None or new.value is None:
        return old, new, None
    moved = round(new.value - old.value, 9)
    if old.low is None or old.high is None or new.low is None or new.high is None:
        return old, new, Shift(moved)
    down = math.hypot(new.value - new.low, old.high - old.value)
    up = math.hypot(new.high - new.value, old.value - old.low)
    return old, new, Shift(moved, round(moved - down, 9), round(moved + up, 9))


def _side(histogram: Histogram, share: float) -> Quantiles:
    total = sum([count for _, count in histogram])
    if not total:
        return Quantiles()
    reach = Z_95 * math.sqrt(total * share * (1 - share))
    low, high = math.floor(total * share - reach), math.ceil(total * share + reach) + 1
    ranks = [_rank(total, 0.5), _rank(total, share)]
    known = low >= 1 and high <= total
    found = _ranked(histogram, [*ranks, low, high] if known else ranks)
    return Quantiles(total, *found)


def _rank(total: int, share: float) -> int:
    return max(1, math.ceil(share * total - 1e-9))


def _ranked(histogram: Histogram, ranks: list[int]) -> list[float]:
    """The values of these ranks, in the order asked for."""
    sums = list(accumulate([count for _, count in histogram]))
    return [round(middle(histogram[bisect_left(sums, rank)][0]), 9) for rank in ranks]
