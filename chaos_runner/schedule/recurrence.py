"""Holidays and freezes as local times, once or again and again, as RFC 5545 counts them. No IO."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Literal

import msgspec

from chaos_runner.schedule import zones

Frequency = Literal["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]
COUNT_MAX = 10_000


class Rule(msgspec.Struct, frozen=True):
    """When something comes again. `weekdays` are (which one of the month or 0 for each, Monday is 0)."""

    frequency: Frequency
    interval: int = 1
    count: int = 0
    until: datetime | None = None
    months: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    weekdays: tuple[tuple[int, int], ...] = ()


class Closing(msgspec.Struct, frozen=True):
    """A holiday or freeze by the clocks of a zone (empty: the calendar's own), and when it comes again.

    `exact` says that its length is counted in seconds: then a change of clocks does not shorten it.
    """

    start: datetime
    end: datetime
    why: str
    zone: str = ""
    exact: bool = False
    rule: Rule | None = None
    extra: tuple[datetime, ...] = ()
    without: tuple[datetime, ...] = ()

    def span(self, begins: datetime, zone: str) -> tuple[int, int]:
        """The occurrence that begins then, as instants; whatever the clocks do, never shorter than meant."""
        length = self.end - self.start
        start = zones.instant(zone, begins)
        end = zones.last_instant(zone, begins + length)
        return start, max(end, start + round(length.total_seconds())) if self.exact else end


def beginnings(closing: Closing, first: date, last: date) -> Iterator[datetime]:
    """When it begins on these days, in no special order. The first one counts even where its own rule forgets it."""
    found = {closing.start, *closing.extra, *(_again(closing, closing.rule, last) if closing.rule else ())}
    return (one for one in found - set(closing.without) if first <= one.date() <= last)


def _again(closing: Closing, rule: Rule, last: date) -> Iterator[datetime]:
    counted = 1
    for day in _days(rule, closing.start.date(), last):
        again = datetime.combine(day, closing.start.time())
        if rule.until is not None and again > rule.until:
            return
        yield again
        counted += 1
        if rule.count and counted >= rule.count:
            return


def _days(rule: Rule, start: date, last: date) -> Iterator[date]:
    """The days after the first one."""
    by_month = rule.frequency in ("MONTHLY", "YEARLY")
    days = _of_months(rule, start, last) if by_month else _each(start, last)
    return (day for day in days if start < day <= last and _fits(rule, start, day))


def _each(start: date, last: date) -> Iterator[date]:
    return (start + timedelta(days=n) for n in range(1, (last - start).days + 1))


def _of_months(rule: Rule, start: date, last: date) -> Iterator[date]:
    """All days of the months in question."""
    first = start.year * 12 + start.month - 1
    for month in range(first, last.year * 12 + last.month):
        if rule.frequency == "YEARLY":
            months = rule.months or (start.month,)
            asked = (month // 12 - start.year) % rule.interval == 0 and month % 12 + 1 in months
        else:
            asked = (month - first) % rule.interval == 0
        if asked:
            yield from _month(month // 12, month % 12 + 1)


def _month(year: int, month: int) -> list[date]:
    first = date(year, month, 1)
    return [day for n in range(31) if (day := first + timedelta(days=n)).month == month]


def _fits(rule: Rule, start: date, day: date) -> bool:
    if rule.months and day.month not in rule.months:
        return False
    if rule.month_days and not {day.day, day.day - 1 - len(_month(day.year, day.month))} & set(rule.month_days):
        return False
    if rule.frequency == "DAILY":
        return (day - start).days % rule.interval == 0 and _weekday(rule, day)
    if rule.frequency == "WEEKLY":
        weeks = ((day - timedelta(days=day.weekday())) - (start - timedelta(days=start.weekday()))).days // 7
        named = rule.weekdays or ((0, start.weekday()),)
        return weeks % rule.interval == 0 and (0, day.weekday()) in named
    return _weekday(rule, day) if rule.weekdays else bool(rule.month_days) or day.day == start.day


def _weekday(rule: Rule, day: date) -> bool:
    """Whether it is one of the named weekdays; all are when none is named."""
    if not rule.weekdays:
        return True
    length = len(_month(day.year, day.month))
    which = {0, (day.day + 6) // 7, -((length - day.day) // 7 + 1)}
    return any(weekday == day.weekday() and nth in which for nth, weekday in rule.weekdays)
