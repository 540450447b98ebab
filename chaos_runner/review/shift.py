"""By how much p95 moved, and within which range. No IO.

The range of each quantile is that of its order statistics (normal approximation of the binomial); the two are put
together by the distances of their ends (MOVER), which asks no shape of the latencies. Exact to the buckets' 2 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from chaos_runner.histogram import Histogram, middle
from chaos_runner.review.digest import Shift

Z_95 = 1.959963984540054


def quantiles(histogram: Histogram, *shares: float) -> tuple[float | None, ...]:
    """The latencies at or below which these shares lie, the shares rising; None for an empty histogram."""
    total = sum(count for _, count in histogram)
    ranks = [max(1, math.ceil(share * total - 1e-9)) for share in shares]
    return tuple(_ranked(histogram, ranks)) if total else (None,) * len(shares)


def shift(before: Histogram, during: Histogram, share: float = 0.95) -> Shift | None:
    """The quantile during the fault minus that before it; None when one is empty, no range when one is too small."""
    (old,), (new,) = quantiles(before, share), quantiles(during, share)
    if old is None or new is None:
        return None
    ends = [_ends(before, share), _ends(during, share)]
    if ends[0] is None or ends[1] is None:
        return Shift(new - old)
    (old_low, old_high), (new_low, new_high) = ends[0], ends[1]
    return Shift(
        new - old,
        new - old - math.hypot(new - new_low, old_high - old),
        new - old + math.hypot(new_high - new, old - old_low),
    )


def _ends(histogram: Histogram, share: float) -> tuple[float, float] | None:
    total = sum(count for _, count in histogram)
    reach = Z_95 * math.sqrt(total * share * (1 - share))
    low, high = math.floor(total * share - reach), math.ceil(total * share + reach) + 1
    if low < 1 or high > total:
        return None
    ends = tuple(_ranked(histogram, [low, high]))
    return ends[0], ends[1]


def _ranked(histogram: Histogram, ranks: list[int]) -> Iterator[float]:
    """The values of these ranks, which rise; the histogram is in order of bucket."""
    passed, n = 0, 0
    for place, count in histogram:
        passed += count
        while n < len(ranks) and passed >= ranks[n]:
            yield round(middle(place), 9)
            n += 1
