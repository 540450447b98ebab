"""Latency histograms in buckets of 2 %: bucket = floor(log(seconds / 1e-6) / log(1.02)). No IO."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

Histogram = Sequence[tuple[int, int]]
STEP = 1.02
SMALLEST_S = 1e-6


def bucket(seconds: float) -> int:
    """Where a latency is counted; everything below a microsecond is in bucket 0."""
    return max(0, math.floor(math.log(max(seconds, SMALLEST_S) / SMALLEST_S) / math.log(STEP)))


def of(latencies: Iterable[float]) -> tuple[tuple[int, int], ...]:
    """The histogram of these latencies, in seconds."""
    return merge([[(bucket(seconds), 1)] for seconds in latencies])


def middle(bucket: int) -> float:
    """The latency that stands for a bucket: off by 1 % at most."""
    return float(SMALLEST_S * STEP ** (bucket + 0.5))


def merge(histograms: Iterable[Histogram]) -> tuple[tuple[int, int], ...]:
    """All counts in one histogram, in order of bucket."""
    total: dict[int, int] = {}
    for histogram in histograms:
        for place, count in histogram:
            total[place] = total.get(place, 0) + count
    return tuple(sorted(total.items()))


def quantile(histogram: Histogram, q: float) -> float | None:
    """The latency in seconds at or below which a share `q` lies; None when empty."""
    total = sum(count for _, count in histogram)
    rank, passed = max(1, math.ceil(q * total - 1e-9)), 0
    for place, count in sorted(histogram):
        passed += count
        if passed >= rank:
            return middle(place)
    return None
