"""What a calendar leaves open: by what clocks show there, less its holidays and freezes.

A moment is open when its local day and time are: an hour that is shown twice is open twice, one in a gap never is.
Hours over midnight belong to the day they begin on. What cannot be read closes the calendar.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import msgspec

from chaos_runner.schedule import recurrence, zones
from chaos_runner.schedule.recurrence import Closing
from chaos_runner.when import Closed, Hours

DAY_S = zones.DAY_S


class Closure(msgspec.Struct, frozen=True):
    """One holiday or freeze, from `start` until before `end`."""

    start: int
    end: int
    why: str


class Almanac(msgspec.Struct, frozen=True, eq=False):
    """A calendar with its files read. `unreadable` says what could not be; then nothing is open."""

    name: str
    days: tuple[int, ...]
    hours: Hours
    zone: str
    closed: tuple[Closing, ...] = ()
    unreadable: tuple[str, ...] = ()


class Window(msgspec.Struct, frozen=True):
    """Open by days and hours from `start` until before `end`; `day` is the local day it belongs to."""

    start: int
    end: int
    day: date


def always() -> Almanac:
    """The calendar `always`: every day, every hour, UTC."""
    return _ALWAYS


_ALWAYS = Almanac("always", tuple(range(7)), Hours(start=0, end=1440), "UTC")


def closing(written: Closed) -> Closing:
    """What stands in a file as a day or time, by the calendar's own clock."""
    return Closing(datetime.fromisoformat(written.start), datetime.fromisoformat(written.end), written.why)


def windows(almanac: Almanac, after: int, before: int) -> Iterator[Window]:
    """What days and hours leave open and what meets [after, before), in order, whole; closures are another matter.

    A change of clocks cuts a window in two: both belong to the same day.
    """
    # Hours over midnight, and clocks that were set back over it, belong to the day before.
    first, last = zones.local(almanac.zone, after).toordinal() - 1, zones.local(almanac.zone, before).toordinal() + 1
    for day in range(first, last + 1):
        for window in of_day(almanac, day):
            if window.start >= before:
                return
            if window.end > after:
                yield window


@functools.lru_cache(maxsize=16_384)
def of_day(almanac: Almanac, ordinal: int) -> tuple[Window, ...]:
    """The windows that belong to a local day, told by its number."""
    day = date.fromordinal(ordinal)
    if day.weekday() not in almanac.days:
        return ()
    midnight = zones.count(datetime(day.year, day.month, day.day))
    begins, ends = midnight + almanac.hours.start * 60, midnight + almanac.hours.until * 60
    around = zones.stretches(almanac.zone, begins - 2 * DAY_S, ends + 2 * DAY_S)
    pieces = ((max(begins - one.offset, one.start), min(ends - one.offset, one.end)) for one in around)
    return tuple(Window(start, end, day) for start, end in pieces if start < end)


def window(almanac: Almanac, at: int) -> Window | None:
    """The window that a moment is in."""
    return next((one for one in windows(almanac, at, at + 1) if one.start <= at < one.end), None)


def open_until(almanac: Almanac, at: int, wanted: int) -> int:
    """Until when days and hours leave it open from this moment on; `at` if they do not. Looks as far as `wanted`."""
    end = at
    for one in windows(almanac, at, max(wanted, at + 1)):
        if one.start > end:
            break
        end = max(end, one.end)
    return end


def closures(almanac: Almanac, start: int, end: int) -> list[Closure]:
    """The holidays and freezes that meet [start, end), in order."""
    if not almanac.closed:
        return []
    years = range(zones.naive(start).year, zones.naive(max(start, end - 1)).year + 1)
    met = {one for year in years for one in _closures(almanac, year) if one.start < end and one.end > start}
    return sorted(met, key=lambda one: (one.start, one.end, one.why))


@functools.lru_cache(maxsize=2048)
def _closures(almanac: Almanac, year: int) -> tuple[Closure, ...]:
    """Those that meet a year of UTC."""
    start, end = zones.count(datetime(year, 1, 1)), zones.count(datetime(year, 12, 31)) + DAY_S
    made = (one for closing in almanac.closed for one in _spans(almanac, closing, year))
    return tuple(one for one in made if one.start < end and one.end > start)


def _spans(almanac: Almanac, closing: Closing, year: int) -> Iterator[Closure]:
    # A zone is at most a day off, and what began earlier may last.
    first = date(year, 1, 1) - timedelta(days=2) - (closing.end - closing.start)
    for begins in recurrence.beginnings(closing, first, date(year, 12, 31) + timedelta(days=2)):
        yield Closure(*closing.span(begins, closing.zone or almanac.zone), closing.why)
