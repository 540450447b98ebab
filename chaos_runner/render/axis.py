"""Scales and tick marks: from a value to a place on paper. No IO."""

from __future__ import annotations

import math

import msgspec

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


class Scale(msgspec.Struct, frozen=True):
    """A straight or logarithmic way from [low, high] to [start, end]; values outside stop at the edge."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Where a value lies."""
        held = min(max(value, self.low), self.high)
        low, high, here = (math.log(one) for one in (self.low, self.high, held)) if self.log else (
            self.low, self.high, held,
        )  # fmt: skip
        return self.start + (self.end - self.start) * ((here - low) / (high - low) if high > low else 0.0)

    def marks(self) -> list[float]:
        """Round values to write at the axis."""
        return _decades(self.low, self.high) if self.log else _even(self.low, self.high)


def over(
    values: list[float],
    start: float,
    end: float,
    may_log: bool = False,
    floor: float = 0.0,
    ceiling: float = math.inf,
) -> Scale:
    """A scale that holds all values, with a little room; logarithmic where they differ by more than 20 times.

    It reaches up to `floor` at least, and past `ceiling` only as far as the values do.
    """
    known = [value for value in values if math.isfinite(value)]
    high = max([*known, floor])
    positive = [value for value in known if value > 0]
    if may_log and positive and high / min(positive) > 20:
        return Scale(min(positive) / 1.15, high * 1.25, start, end, log=True)
    low = min([*known, 0.0])
    top = _rounded_up(high - low) + low if high > low else low + 1.0
    return Scale(low, max(high, ceiling) if top > ceiling else top, start, end)


def seconds(end: float, most: int = 10) -> list[float]:
    """Round times between 0 and `end` for the time axis."""
    step = next((one for one in _STEPS_S if end / one <= most), _STEPS_S[-1])
    step *= max(1, math.ceil(end / step / most))
    return [float(t) for t in range(0, math.floor(end) + 1, step)]


def _rounded_up(high: float) -> float:
    unit = 10.0 ** math.floor(math.log10(high))
    return next(unit * one for one in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12) if unit * one >= high * 1.04)


def _even(low: float, high: float) -> list[float]:
    unit = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(unit * one for one in (1, 2, 2.5, 5, 10) if (high - low) / (unit * one) <= 5)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def _decades(low: float, high: float) -> list[float]:
    found = []
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        found += [round(one * 10.0**power, 12) for one in (1, 2, 5)]
    inside = [value for value in found if low <= value <= high]
    return inside if len(inside) <= 7 else [one for one in inside if math.isclose(math.log10(one) % 1, 0, abs_tol=1e-6)]
