"""Time zones as stretches of one offset, so that local times become instants by plain arithmetic.

What a clock shows twice or never is then no special case: a stretch ends, and the next one begins.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from chaos_runner import spelling

DAY_S = 86400
_EPOCH = datetime(1970, 1, 1)
_FIRST, _LAST = 1, 253_000_000_000  # until some day of the year 9987


class Stretch(msgspec.Struct, frozen=True):
    """From `start` until before `end` local clocks show UTC plus `offset` seconds."""

    start: int
    end: int
    offset: int


@functools.lru_cache(maxsize=700)
def zone(name: str) -> ZoneInfo:
    """The zone of that name. Raises ValueError naming the nearest."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    import zoneinfo

    try:
        known = zoneinfo.available_timezones()
    except OSError:
        known = set()
    raise ValueError(spelling.unknown("time zone", name, sorted(known) or ["UTC"]))


def offset(name: str, at: int) -> int:
    """Seconds that local clocks are ahead of UTC then."""
    found = 0
    for start, ahead in _year(name, naive(min(max(at, _FIRST), _LAST)).year):
        if start > at:
            break
        found = ahead
    return found


def local(name: str, at: int) -> datetime:
    """What a clock there shows, without a zone."""
    return naive(at + offset(name, at))


def naive(seconds: int) -> datetime:
    """Seconds of a local count as a date and time without a zone."""
    return _EPOCH + timedelta(seconds=seconds)


def count(moment: datetime) -> int:
    """A date and time without a zone as seconds of a local count."""
    since = moment - _EPOCH
    return since.days * DAY_S + since.seconds


def stretches(name: str, after: int, before: int) -> Iterator[Stretch]:
    """The stretches that meet [after, before), in order, cut to it."""
    after, before = max(after, _FIRST), min(before, _LAST)
    if after >= before:
        return
    start, known = after, offset(name, after)
    for year in range(naive(after).year, naive(before).year + 1):
        for at, ahead in _year(name, year):
            if start < at < before and ahead != known:
                yield Stretch(start, at, known)
                start, known = at, ahead
    yield Stretch(start, before, known)


def instant(name: str, moment: datetime) -> int:
    """When clocks there show this; the first time of two. What they never show is the moment after the gap."""
    wanted = count(moment)
    ahead = offset(name, wanted - 2 * DAY_S)
    if ahead == offset(name, wanted + 2 * DAY_S):
        return wanted - ahead
    for stretch in stretches(name, wanted - 2 * DAY_S, wanted + 2 * DAY_S):
        if wanted < stretch.end + stretch.offset:
            return max(wanted - stretch.offset, stretch.start)
    return wanted


def last_instant(name: str, moment: datetime) -> int:
    """The same, but the second time of two."""
    wanted = count(moment)
    found = instant(name, moment)
    for stretch in stretches(name, found, found + DAY_S):
        if stretch.start + stretch.offset <= wanted < stretch.end + stretch.offset:
            found = wanted - stretch.offset
    return found


@functools.lru_cache(maxsize=4096)
def _year(name: str, year: int) -> tuple[tuple[int, int], ...]:
    """The offset at the beginning of a year of UTC and each change of it: since when, and what.

    No zone changes it twice within two days.
    """
    start, end = count(datetime(year, 1, 1)), count(datetime(year, 12, 31)) + DAY_S
    found = [(start, _looked_up(name, start))]
    for day in range(start, end, DAY_S):
        known, there = found[-1][1], _looked_up(name, day + DAY_S - 1)
        if there != known:
            found.append((_change(name, max(day - 1, start), day + DAY_S - 1, known), there))
    return tuple(found)


def _change(name: str, low: int, high: int, known: int) -> int:
    """The first second with another offset; `low` still has the known one, `high` does not."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _looked_up(name, middle) == known else (low, middle)
    return high


def _looked_up(name: str, at: int) -> int:
    there = datetime.fromtimestamp(at, UTC).astimezone(zone(name)).utcoffset()
    assert there is not None
    return round(there.total_seconds())
