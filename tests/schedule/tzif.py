"""What clocks show, read from another copy of the tz database (the tzdata package) by code of the tests' own."""

from __future__ import annotations

import importlib.resources
import re
import struct
from bisect import bisect_right
from datetime import date, timedelta

EPOCH = date(1970, 1, 1)


class Clocks:
    """The offset of a zone at each instant, by TZif (RFC 8536) and the rule in its last line."""

    def __init__(self, zone: str) -> None:
        content = importlib.resources.files("tzdata").joinpath("zoneinfo", *zone.split("/")).read_bytes()
        self.times, self.offsets, self.first, rule = _parsed(content)
        if rule:
            for at, ahead in _ruled(rule, 2020, 2040):
                if not self.times or at > self.times[-1]:
                    self.times.append(at)
                    self.offsets.append(ahead)

    def offset(self, at: int) -> int:
        n = bisect_right(self.times, at)
        return self.offsets[n - 1] if n else self.first


def _parsed(content: bytes) -> tuple[list[int], list[int], int, str]:
    start = 0
    for size in (4, 8):
        assert content[start : start + 4] == b"TZif"
        isut, isstd, leaps, times, types, chars = struct.unpack(">6l", content[start + 20 : start + 44])
        body = start + 44
        end = body + times * (size + 1) + types * 6 + chars + leaps * (size + 4) + isstd + isut
        if size == 8:
            break
        start = end
    whens = [struct.unpack(">q", content[body + n * 8 : body + n * 8 + 8])[0] for n in range(times)]
    kinds = content[body + times * 8 : body + times * 9]
    table = body + times * 9
    ahead = [struct.unpack(">l", content[table + n * 6 : table + n * 6 + 4])[0] for n in range(types)]
    return whens, [ahead[kind] for kind in kinds], ahead[0], content[end:].decode().strip()


_NAME = r"(?:<[^>]+>|[A-Za-z]+)"
_TIME = r"([+-]?\d+(?::\d+)?)"


def _ruled(rule: str, first: int, last: int) -> list[tuple[int, int]]:
    head = re.match(rf"{_NAME}{_TIME}(?:{_NAME}{_TIME}?)?", rule)
    assert head is not None
    winter = -_seconds(head[1])
    if "," not in rule:
        return [(0, winter)]
    summer = -_seconds(head[2]) if head[2] else winter + 3600
    begins, ends = rule.split(",")[1:]
    changes = []
    for year in range(first, last):
        changes += [(_day_time(begins, year) - winter, summer), (_day_time(ends, year) - summer, winter)]
    return sorted(changes)


def _seconds(text: str) -> int:
    hours, _, minutes = text.lstrip("+-").partition(":")
    return (-1 if text.startswith("-") else 1) * (int(hours) * 3600 + int(minutes or 0) * 60)


def _day_time(text: str, year: int) -> int:
    """`M10.5.0/3` as seconds of local time since 1970."""
    found = re.fullmatch(rf"M(\d+)\.(\d)\.(\d)(?:/{_TIME})?", text)
    assert found is not None, text
    month, week, weekday = int(found[1]), int(found[2]), int(found[3])
    days = [date(year, month, 1) + timedelta(days=n) for n in range(31)]
    fitting = [day for day in days if day.month == month and day.isoweekday() % 7 == weekday]
    day = fitting[min(week, len(fitting)) - 1]
    return (day - EPOCH).days * 86400 + (_seconds(found[4]) if found[4] else 7200)
