"""The brute force: every minute of a year, looked at one by one (all at once, as arrays), and what is due in it.

Nothing of chaos_runner is imported here; zones are those of `tzif`.
"""

from __future__ import annotations

import functools
import itertools
from datetime import date

import numpy as np

from tests.schedule.tzif import Clocks

MINUTE = 60
DAY = 1440
NAMES = {name: n for n, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}


class Minutes:
    """All minutes of [start, end) in a zone: what a clock shows in each."""

    def __init__(self, zone: str, start: int, end: int) -> None:
        clocks = Clocks(zone)
        self.start = start
        self.at = np.arange(start, end, MINUTE, dtype=np.int64)
        changes = [at for at in clocks.times if start < at < end]
        marks = [start, *changes, end]
        self.wall = (
            np.concatenate(
                [np.arange(a, b, MINUTE, dtype=np.int64) + clocks.offset(a) for a, b in itertools.pairwise(marks)]
            )
            // MINUTE
        )  # minutes since 1970 as the clock shows them
        self.changes = [(at - start) // MINUTE for at in changes]
        self.day = self.wall // DAY
        self.minute = self.wall % DAY
        self.weekday = (self.day + 4) % 7  # Sunday is 0
        months = self.day.astype("datetime64[D]").astype("datetime64[M]")
        self.month = months.astype(int) % 12 + 1
        self.month_day = (self.day.astype("datetime64[D]") - months.astype("datetime64[D]")).astype(int) + 1

    def index(self, at: int) -> int:
        return (at - self.start) // MINUTE


@functools.cache
def minutes(zone: str, start: int, end: int) -> Minutes:
    return Minutes(zone, start, end)


def field(text: str, least: int, most: int) -> set[int]:
    found: set[int] = set()
    for part in text.lower().split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = least, most
        else:
            ends = [NAMES[one] if one in NAMES else int(one) for one in span.split("-")]
            first, last = ends[0], ends[-1] if len(ends) > 1 or not step else most
        found |= set(range(first, last + 1, int(step or 1)))
    return found


def among(shown: np.ndarray, named: set[int]) -> np.ndarray:
    """Whether each is one of the named."""
    table = np.zeros(1500, dtype=bool)
    table[list(named)] = True
    found: np.ndarray = table[shown]
    return found


def matches(line: str, year: Minutes) -> np.ndarray:
    """Whether the clock shows something that the line names."""
    texts = line.split()
    shown_minute = among(year.minute % 60, field(texts[0], 0, 59))
    shown_hour = among(year.minute // 60, field(texts[1], 0, 23))
    month = among(year.month, field(texts[3], 1, 12))
    month_day = among(year.month_day, field(texts[2], 1, 31))
    weekday = among(year.weekday, {one % 7 for one in field(texts[4], 0, 7)})
    both = texts[2].startswith("*") or texts[4].startswith("*")
    return shown_minute & shown_hour & month & ((month_day & weekday) if both else (month_day | weekday))


def due(line: str, year: Minutes) -> np.ndarray:
    """Debian's cron: fixed times once a day, anything with a star as the clock goes."""
    found = matches(line, year)
    texts = line.split()
    if texts[0].startswith("*") or texts[1].startswith("*"):
        return found
    for n in year.changes:
        before, after = int(year.wall[n - 1]), int(year.wall[n])
        if after <= before:  # shown again: not again
            again = np.zeros_like(found)
            again[n : n + before - after + 1] = True
            found &= ~(again & (year.wall <= before))
        elif _named(line, range(before + 1, after)):
            found[n] = True
    return found


def _named(line: str, walls: range) -> bool:
    """Whether the line names one of these minutes, which no clock showed."""

    class Shown:
        wall = np.array(walls, dtype=np.int64)
        day, minute = wall // DAY, wall % DAY
        weekday = (day + 4) % 7
        month = np.array([date.fromordinal(719163 + int(one)).month for one in day])
        month_day = np.array([date.fromordinal(719163 + int(one)).day for one in day])

    return bool(len(walls)) and bool(matches(line, Shown).any())  # type: ignore[arg-type]


def is_open(days: set[int], start: int, end: int, year: Minutes) -> np.ndarray:
    """By days (Sunday is 0) and minutes of the day; an end that is not after the start is on the next day."""
    named = among(year.weekday, days)
    if end > start:
        return named & (year.minute >= start) & (year.minute < end)
    named_before = among(year.weekday, {(day + 1) % 7 for day in days})
    return (named & (year.minute >= start)) | (named_before & (year.minute < end))


def stays(open_: np.ndarray, length: int) -> np.ndarray:
    """Whether this minute and so many after it are all open."""
    gone = np.concatenate([[0], np.cumsum(~open_)])
    n = np.arange(len(open_))
    return gone[np.minimum(n + length, len(open_))] == gone[n]
