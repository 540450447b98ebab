"""What stands in files about times, as an author writes it: days, hours, closed days, cron lines, means. No IO."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from chaos_runner import spelling
from chaos_runner.when import Closed, Cron, Days, Every, Hours, ScheduleFile, Zone

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WHY_MAX = 200
_HOURS = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})")
_MOMENT = r"([0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2})?)"
_CLOSED = re.compile(rf"{_MOMENT}(?:\s*\.\.\s*{_MOMENT})?(?:\s+(.*))?", re.DOTALL)
_EVERY = re.compile(r"([0-9]+(?:\.[0-9]+)?)?\s*workdays?")
_FILE_MAX = 4096


def days(value: object) -> Days:
    """`mon-fri`, `sat,sun`, `fri-mon`. Raises ValueError."""
    text = _text(value, Days.written).lower()
    numbers = {number for part in text.split(",") for number in _span(part.strip())}
    return Days(text=text, numbers=tuple(sorted(numbers)))


def _span(text: str) -> list[int]:
    first, dash, last = text.partition("-")
    start, end = _day(first), _day(last if dash else first)
    return [(start + n) % 7 for n in range((end - start) % 7 + 1)]


def _day(text: str) -> int:
    if text not in DAYS:
        raise ValueError(spelling.unknown("day", text, DAYS))
    return DAYS.index(text)


def hours(value: object) -> Hours:
    """`10:00-15:00`; `22:00-04:00` ends on the next day. Raises ValueError."""
    text = _text(value, Hours.written)
    found = _HOURS.fullmatch(text)
    if found is None:
        msg = f"{spelling.shown(text)} are no hours; write {Hours.written}"
        raise ValueError(msg)
    first, first_minute, last, last_minute = (int(part) for part in found.groups())
    start, end = first * 60 + first_minute, last * 60 + last_minute
    if first_minute > 59 or last_minute > 59 or start >= 1440 or end > 1440:
        msg = f"{spelling.shown(text)}: there is no such time of day"
        raise ValueError(msg)
    if start == end:
        msg = f"{spelling.shown(text)} is empty; the whole day is 00:00-24:00"
        raise ValueError(msg)
    return Hours(start=start, end=end)


def zone(value: object) -> Zone:
    """A zone that this machine knows. Raises ValueError naming the nearest."""
    from chaos_runner.schedule import zones

    text = _text(value, Zone.written)
    zones.zone(text)
    return Zone(name=text)


def closed(value: object) -> Closed:
    """`2026-12-25`, `2026-12-24..2027-01-01 freeze`, `2026-12-31T18:00..2027-01-01T06:00`, `file:x.ics`.

    Raises ValueError.
    """
    text = _text(value, Closed.written)
    if text.startswith("file:"):
        return Closed(text=text, file=_path(text))
    found = _CLOSED.fullmatch(text)
    if found is None:
        msg = f"{spelling.shown(text)} is no time; write {Closed.written}"
        raise ValueError(msg)
    start, end = _moment(found[1], last=False), _moment(found[2] or found[1], last=True)
    if end <= start:
        msg = f"{spelling.shown(text)} ends before it begins"
        raise ValueError(msg)
    start_text, end_text = (one.isoformat(timespec="minutes") for one in (start, end))
    return Closed(text=text, start=start_text, end=end_text, why=" ".join((found[3] or "").split())[:WHY_MAX])


def _moment(text: str, last: bool) -> datetime:
    """A day's beginning, or its end when it is the last one; a time is itself."""
    try:
        if "T" in text:
            return datetime.fromisoformat(text)
        day = date.fromisoformat(text) + timedelta(days=int(last))
    except (ValueError, OverflowError):
        msg = f"there is no {text}"
        raise ValueError(msg) from None
    return datetime(day.year, day.month, day.day)


def every(value: object) -> Every:
    """`2 workdays`, `1 workday`. Raises ValueError."""
    text = _text(value, Every.written)
    found = _EVERY.fullmatch(text)
    workdays = float(found[1] or 1) if found else 0.0
    if found is None or not 1 <= workdays <= 366:
        msg = f"{spelling.shown(text)} is no mean from 1 to 366 workdays; write {Every.written}"
        raise ValueError(msg)
    return Every(workdays=workdays)


def cron(value: object) -> Cron:
    """A cron line that comes up at least once in five years. Raises ValueError."""
    from chaos_runner.schedule import cron as lines

    text = " ".join(_text(value, Cron.written).split())
    lines.check(text)
    return Cron(text=text)


def schedule_file(value: object) -> ScheduleFile:
    """`file:schedules`. Raises ValueError."""
    text = _text(value, ScheduleFile.written)
    if not text.startswith("file:"):
        msg = f"{spelling.shown(text)} is neither {ScheduleFile.written} nor a mapping"
        raise ValueError(msg)
    return ScheduleFile(path=_path(text))


def _path(text: str) -> str:
    path = text.removeprefix("file:").strip()
    if not path or len(path) > _FILE_MAX:
        msg = "write the path of a file behind `file:`"
        raise ValueError(msg)
    return path


def _text(value: object, wanted: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _FILE_MAX:
        msg = f"{spelling.shown(value)} is not allowed here; write {wanted}"
        raise ValueError(msg)
    return value.strip()


PARSERS: dict[Any, Callable[[Any], object]] = {
    Closed: closed,
    Cron: cron,
    Days: days,
    Every: every,
    Hours: hours,
    ScheduleFile: schedule_file,
    Zone: zone,
}
