"""When a cron line comes up, as Debian's cron has it.

A line whose minute and hour are fixed comes up once a day whatever the clocks do: at the end of a gap when its time is
in it, the first time when its time comes twice. Any other line goes by what the clocks show: never in a gap, and twice
in what is shown twice. If neither day field begins with a star, either is enough.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import NamedTuple

from chaos_runner.schedule import zones

FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
YEARS_MAX = 5
_SAMPLE = datetime(2024, 1, 1)


@functools.lru_cache(maxsize=4096)
def check(text: str) -> None:
    """Raises ValueError with a sentence, also for a line that never comes up."""
    from cronsim import CronSim, CronSimError

    fields = text.split()
    if len(fields) not in (5, 6):
        hint = " (words such as @daily are not known here)" if text.startswith("@") else ""
        msg = f"'{text}' has {len(fields)} fields; a cron line has five: {', '.join(FIELDS)}{hint}"
        raise ValueError(msg)
    try:
        first = next(CronSim(text, _SAMPLE), None)
    except CronSimError as why:
        msg = f"'{text}' is no cron line: {str(why).lower()}; the fields are {', '.join(FIELDS)}"
        raise ValueError(msg) from None
    if first is None or first.year > _SAMPLE.year + YEARS_MAX:
        msg = f"'{text}' never comes up within {YEARS_MAX} years"
        raise ValueError(msg)


def instants(text: str, zone: str, after: int, before: int) -> Iterator[int]:
    """When the line comes up in (after, before], in order, each instant once."""
    seconds = _by_date(text, zone, after, before) if fixed(text) else _by_clock(text, zone, after, before)
    last = after
    for at in seconds:
        if at > before:
            return
        if at > last:
            yield at
            last = at


def fixed(text: str) -> bool:
    """Whether minute and hour are fixed, so that the line comes up a few times a day at most, whatever clocks do."""
    fields = text.split()
    return len(fields) == 5 and not fields[0].startswith("*") and not fields[1].startswith("*")


def _by_date(text: str, zone: str, after: int, before: int) -> Iterator[int]:
    # Clocks that are set back may show an earlier time at the end than they showed before.
    for moment in _local(text, zones.local(zone, after), zones.local(zone, before) + timedelta(days=1)):
        yield zones.instant(zone, moment)


def _by_clock(text: str, zone: str, after: int, before: int) -> Iterator[int]:
    for stretch in zones.stretches(zone, after + 1, before + 1):
        first = zones.naive(stretch.start + stretch.offset - 1)
        last = zones.naive(stretch.end + stretch.offset - 1)
        for moment in _local(text, first, last):
            yield zones.count(moment) - stretch.offset


def _local(text: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """What the line says about a clock that never changes, in (after, until]: its days by cronsim, then their times."""
    line = _line(text)
    day, last = after.date(), until.date()
    while day <= last:
        if day.month not in line.months:
            day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            continue
        if line.on(day):
            for moment in _times(line, datetime(day.year, day.month, day.day), after):
                if moment > until:
                    return
                yield moment
        day += timedelta(days=1)


def _times(line: Line, midnight: datetime, after: datetime) -> Iterator[datetime]:
    """The times of a day after a moment."""
    for hour in line.hours:
        if midnight + timedelta(hours=hour + 1) <= after:
            continue
        for minute in line.minutes:
            for second in line.seconds:
                moment = midnight + timedelta(seconds=hour * 3600 + minute * 60 + second)
                if moment > after:
                    yield moment


class Line(NamedTuple):
    """A cron line as cronsim read it: its fields in order, and its rule for days."""

    months: frozenset[int]
    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]
    on: Callable[[date], bool]


@functools.lru_cache(maxsize=4096)
def _line(text: str) -> Line:
    from cronsim import CronSim

    read = CronSim(text, _SAMPLE)
    hours, minutes, seconds = (tuple(sorted(field)) for field in (read.hours, read.minutes, read.seconds))
    return Line(frozenset(read.months), hours, minutes, seconds, read.match_day)
