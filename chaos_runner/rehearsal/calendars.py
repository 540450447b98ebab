"""Whether the calendars of an environment's schedules leave room for a whole day, up to its hard end. Reads files."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from chaos_runner import timetable
from chaos_runner.configure import Configuration
from chaos_runner.expect import written
from chaos_runner.gameday.readiness import Finding
from chaos_runner.load import Invalid
from chaos_runner.schedule import calendar, zones
from chaos_runner.schedule.calendar import Almanac
from chaos_runner.when import ALWAYS

AHEAD_S = 30 * 86400  # so far it is looked for a time that fits


def look(configuration: Configuration, environment: str, hard_end_s: float, now: int, at: int | None) -> list[Finding]:
    """A finding for each calendar, or one where there is none."""
    where = f"calendars of the schedules of '{environment}' in {configuration.path or 'the built-in configuration'}"
    try:
        found = _almanacs(configuration, environment)
    except Invalid as invalid:
        said = f"the schedules cannot be read: {invalid.problems[0]}"
        return [Finding("unknown", "calendar", where, said, "chaos-runner validate")]
    length = math.ceil(hard_end_s)
    if not found:
        return [Finding("ok", "calendar", where, "there is none that says no")]
    if at is not None:
        return [_at(almanac, where, at, length) for almanac in found]
    return [_sometime(found, where, now, length)]


def _almanacs(configuration: Configuration, environment: str) -> list[Almanac]:
    """The calendars by which anything runs in this environment; `always` never says no."""
    read = timetable.read(configuration)
    names = {one.calendar for one in read.schedules.values() if one.environment == environment}
    return [read.almanacs[name] for name in sorted(names - {ALWAYS})]


def _at(almanac: Almanac, where: str, at: int, length: int) -> Finding:
    what, begins = f"calendar {almanac.name}", shown(almanac.zone, at)
    if why := shut(almanac, at, length):
        return Finding("no", what, where, f"from {begins} for {_hours(length)}: {why}", "choose another time")
    return Finding("ok", what, where, f"open from {begins} until the hard end, {_hours(length)} later")


def _sometime(found: Sequence[Almanac], where: str, now: int, length: int) -> Finding:
    names = ", ".join(almanac.name for almanac in found)
    for begin in _beginnings(found, now):
        if not any(shut(almanac, begin, length) for almanac in found):
            said = f"the next {_hours(length)} begin {shown(found[0].zone, begin)}; for another time: --at TIME"
            return Finding("ok", f"calendar {names}", where, said)
    closed = next((one.unreadable[0] for one in found if one.unreadable), "")
    said = f"{_hours(length)} fit nowhere in the next {AHEAD_S // 86400} days" + (f": {closed}" if closed else "")
    return Finding("no", f"calendar {names}", where, said, "an earlier hard end, or another calendar")


def _beginnings(found: Sequence[Almanac], now: int) -> Iterator[int]:
    """When a day could begin at the earliest: now, whenever something opens, and whenever something closed ends."""
    until = now + AHEAD_S
    opens = [one.start for almanac in found for one in calendar.windows(almanac, now, until)]
    ends = [one.end for almanac in found for one in calendar.closures(almanac, now, until)]
    yield from sorted({now, *(begin for begin in (*opens, *ends) if begin > now)})


def shut(almanac: Almanac, at: int, length: int) -> str:
    """Why a calendar does not leave open so much time from then on; empty where it does."""
    if almanac.unreadable:
        return f"closed: {almanac.unreadable[0]}"
    end = calendar.open_until(almanac, at, at + length)
    if end < at + length:
        return "closed then" if end == at else f"closes {shown(almanac.zone, end)}"
    met = calendar.closures(almanac, at, at + length)
    return f"closed from {shown(almanac.zone, met[0].start)}: {met[0].why or 'a closure'}" if met else ""


def shown(zone: str, at: int) -> str:
    """A moment by the clocks of a zone."""
    return f"{zones.local(zone, at):%a %Y-%m-%d %H:%M} ({zone})"


def _hours(length: int) -> str:
    return written("duration", float(length))
