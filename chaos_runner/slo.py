"""Service level objectives: error budgets and burn rates as arithmetic, and the queries they need. No IO, no clock.

A budget is what may be bad: 1 - objective. A burn rate of 1 spends it evenly over the period; 14.4 spends 2 % of a
budget of 30 days in an hour.
"""

from __future__ import annotations

import math
import re

import msgspec

from chaos_runner import promql
from chaos_runner.environment import Burn, Slo

_HOUR, _DAY = 3600.0, 86400.0
SHORT = 12  # a burn counts only if it also shows in the last twelfth of its window: then it goes on now
MONTH_S = 30 * _DAY


class Known(msgspec.Struct, frozen=True):
    """An error budget that was measured. `left` and `spent` are shares of it; overspent, `left` is negative."""

    left: float
    spent: float
    bad: float  # the share of all events, or of the time, that was bad
    why: str  # the same in a sentence


class Unknown(msgspec.Struct, frozen=True):
    """An error budget that could not be measured, and why: never a full one."""

    why: str


class Queries(msgspec.Struct, frozen=True):
    """What to ask for: two figures whose ratio is the good or the bad share, and the series that must be fresh."""

    part: str
    whole: str  # empty where `part` is the share itself
    part_is_good: bool
    series: tuple[str, ...]


# The multi-window alerts of a month's budget: 2 % in an hour, 5 % in six, 10 % in a day, 10 % in three days.
PRESETS = {
    "14.4": Burn("14.4", 14.4, _HOUR, _HOUR / SHORT),
    "6": Burn("6", 6.0, 6 * _HOUR, 6 * _HOUR / SHORT),
    "3": Burn("3", 3.0, _DAY, _DAY / SHORT),
    "1": Burn("1", 1.0, 3 * _DAY, 3 * _DAY / SHORT),
}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*%\s*/\s*(\d*)\s*([hd])")


def burn(text: str, period_s: float = MONTH_S) -> Burn:
    """`14.4`, `6`, `3`, `1`, or a share of the budget in a time: `2 %/h`, `5 %/d`. Raises ValueError in a sentence."""
    known = PRESETS.get(text.strip().removesuffix("x"))
    if known is not None:
        return known
    found = _RATE.fullmatch(text.strip())
    number = float(found[2] or 1) if found else 0.0
    if found is None or not number or not float(found[1]):
        msg = (
            f"{text!r:.40} is no burn rate; write {', '.join(PRESETS)}, or a share of the budget such as 2 %/h or 5 %/d"
        )
        raise ValueError(msg)
    window_s = number * (_HOUR if found[3] == "h" else _DAY)
    rate = float(found[1]) / 100 * period_s / window_s
    return Burn(" ".join(text.split()), rate, window_s, window_s / SHORT)


def burn_as_written(value: object) -> Burn:
    """As a file has it: `14.4` or `2 %/h`, for a period of a month. Raises ValueError."""
    return burn(f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value))


def burn_rate(slo: Slo, bad: float) -> float:
    """How many times faster than evenly the budget burns when this share is bad."""
    return bad / (1 - slo.objective)


def burning(limit: Burn, long_rate: float, short_rate: float) -> bool:
    """Whether the budget burns too fast: in the long window, and still in the short one."""
    return min(long_rate, short_rate) >= limit.rate


def budget(slo: Slo, bad: float) -> Known | Unknown:
    """What is left when this share of the whole period was bad."""
    if not math.isfinite(bad) or not -1e-9 <= bad <= 1 + 1e-9:
        return Unknown(f"a bad share of {bad:g} is no share between 0 and 1")
    bad = min(1.0, max(0.0, bad))
    spent = burn_rate(slo, bad)
    why = (
        f"{_percent(bad)} bad over {slo.over / _DAY:g}d, {_percent(1 - slo.objective)} may be:"
        f" {_percent(1 - spent)} of the error budget is left"
    )
    return Known(1 - spent, spent, bad, why)


def bad_share(part: float, whole: float, part_is_good: bool) -> float:
    """The bad share of `whole`; NaN where there is nothing to be bad."""
    if not whole > 0:
        return math.nan
    return 1 - part / whole if part_is_good else part / whole


def queries(slo: Slo, window_s: float) -> Queries:
    """What to ask Prometheus for. Raises ValueError in a sentence where the SLO does not say it."""
    if slo.ratio is not None:
        part = slo.ratio.good or slo.ratio.bad
        texts = [_counted(query, window_s, slo.ratio.counter) for query in (part, slo.ratio.total)]
        return Queries(texts[0], texts[1], bool(slo.ratio.good), promql.selectors(slo.ratio.total))
    if slo.threshold is None:
        msg = "the SLO's OpenSLO file was not read"
        raise ValueError(msg)
    limit = slo.threshold
    kept = f"(({limit.query}) {limit.op} bool {limit.value!r})[{window_s:.0f}s:{limit.slice:.0f}s]"
    return Queries(f"avg_over_time({kept})", "", True, promql.selectors(limit.query))


def _counted(query: str, window_s: float, counter: bool) -> str:
    """How many events a query stands for in this window."""
    if promql.windowed(query):
        return promql.over(query, window_s)
    if not promql.plain(query):
        msg = f"'{query:.120}' says no window: write [$window] where it goes, or a plain selector of a counter"
        raise ValueError(msg)
    how = "increase" if counter else "sum_over_time"
    return f"sum({how}({query.strip()}[{window_s:.0f}s]))"


def _percent(share: float) -> str:
    return f"{share * 100:.4g} %"
