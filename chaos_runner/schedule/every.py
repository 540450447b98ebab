"""Chaos Monkey's coin: each workday it is thrown once for a group, and heads means one minute of that day's hours.

The coin and the minute belong to the group, an environment and a service: its schedules come up together, and the
engine picks one of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import date

from chaos_runner.schedule import calendar, draw, zones
from chaos_runner.schedule.calendar import Almanac, Window
from chaos_runner.when import Every


def days(almanac: Almanac, after: int, before: int) -> Iterator[tuple[Window, ...]]:
    """The workdays that begin in (after, before], each with all of its windows."""
    first, last = zones.naive(after).toordinal() - 2, zones.naive(before).toordinal() + 1
    for day in range(first, last + 1):
        windows = calendar.of_day(almanac, day)
        if windows and after < windows[0].start <= before:
            yield windows


def heads(every: Every, day: date, group: str, secret: bytes) -> bool:
    """Whether this group is hit on this day."""
    return draw.share(secret, "coin", group, day.isoformat()) < 1 / every.workdays


def minute(almanac: Almanac, windows: tuple[Window, ...], group: str, secret: bytes, worst_case_s: int) -> int:
    """The moment that was drawn among the minutes from which a whole run fits; the first one where none does."""
    starts = [_starts(almanac, window, worst_case_s) for window in windows]
    minutes = sum(len(some) for some in starts)
    if not minutes:
        return windows[0].start
    drawn = draw.below(minutes, secret, "minute", group, windows[0].day.isoformat())
    return next(itertools.islice(itertools.chain(*starts), drawn, None))


def _starts(almanac: Almanac, window: Window, worst_case_s: int) -> range:
    """The whole minutes of a window from which a run fits."""
    until = calendar.open_until(almanac, window.start, window.end + worst_case_s)
    return range(-(-window.start // 60) * 60, min(window.end, until - worst_case_s + 1), 60)
