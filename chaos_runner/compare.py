"""Baseline against fault window: how far latencies shifted, and how sure that is. No IO, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

Histogram = Sequence[tuple[int, int]]


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
    raise NotImplementedError


def compare_values(baseline: Sequence[float], fault: Sequence[float]) -> Comparison | None:
    """The comparison of two lists of values; None when one is empty."""
    raise NotImplementedError


def merge(histograms: Iterable[Histogram]) -> tuple[tuple[int, int], ...]:
    """All counts in one histogram, in order of bucket."""
    raise NotImplementedError


def quantile(histogram: Histogram, q: float) -> float | None:
    """The latency in seconds below which a share `q` lies; None when empty."""
    raise NotImplementedError
