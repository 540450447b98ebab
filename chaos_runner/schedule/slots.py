"""The slots of a schedule: each instant at which it is due, and whether time itself forbids it.

Deterministic: jitter, coins and minutes are drawn from the stored secret, so that a preview, a restarted daemon and a
second one see the same slots. A slot is known by its schedule and `instant`; it starts at `due`, never before.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import msgspec

from chaos_runner.schedule import calendar, cron, draw, every
from chaos_runner.schedule.calendar import Almanac, Window
from chaos_runner.schedule.reasons import Reason
from chaos_runner.when import Schedule

HORIZON_S = 400 * 86400


class Terms(msgspec.Struct, frozen=True):
    """What a schedule's own lines do not say: whom it would hit, how long a run can take, and the stored secret."""

    group: str  # environment/service
    secret: bytes
    worst_case_s: float = 0.0  # baseline, faults, pauses and recovery, all at their longest


class Slot(msgspec.Struct, frozen=True):
    """One due instant. `refused` are reasons of time for which it can only be skipped."""

    schedule: str
    instant: int
    due: int
    window: Window
    refused: tuple[Reason, ...] = ()


def due(schedule: Schedule, almanac: Almanac, after: int, before: int, terms: Terms) -> Iterator[Slot]:
    """The slots that are due in (after, before], in the order in which they are due.

    What a cron line names outside the calendar's days and hours is no slot; what is closed, or does not fit, is one
    that is refused.
    """
    named = _named(schedule, almanac, after - _latest(schedule), before, terms)
    return _by_due(slot for slot in named if after < slot.due <= before)


def _by_due(slots: Iterator[Slot]) -> Iterator[Slot]:
    """In the order in which they are due; they come in that of their instants, and none is due before its own."""
    waiting: list[tuple[int, int, Slot]] = []
    for slot in slots:
        while waiting and waiting[0][0] <= slot.instant:
            yield heapq.heappop(waiting)[2]
        if slot.due == slot.instant and not waiting:
            yield slot
        else:
            heapq.heappush(waiting, (slot.due, slot.instant, slot))
    while waiting:
        yield heapq.heappop(waiting)[2]


def next_due(schedule: Schedule, almanac: Almanac, after: int, terms: Terms) -> Slot | None:
    """The next slot after a moment, or None when there is none within 400 days."""
    return next(due(schedule, almanac, after, after + HORIZON_S, terms), None)


def _latest(schedule: Schedule) -> int:
    """How long after its instant a slot may be due: a drawn minute is in its day, over midnight at most in the next."""
    return int(schedule.jitter) if schedule.cron is not None else 3 * calendar.DAY_S


def _named(schedule: Schedule, almanac: Almanac, after: int, before: int, terms: Terms) -> Iterator[Slot]:
    if schedule.every is not None:
        yield from _drawn(schedule, almanac, after, before, terms)
    elif schedule.cron is not None:
        yield from _lined(schedule, almanac, after, before, terms, schedule.cron.text)


def _lined(schedule: Schedule, almanac: Almanac, after: int, before: int, terms: Terms, line: str) -> Iterator[Slot]:
    for at, window in _windowed(almanac, after, before, line):
        yield _slot(schedule, almanac, at, _jittered(schedule, almanac, at, terms), window, terms)


def _windowed(almanac: Almanac, after: int, before: int, line: str) -> Iterator[tuple[int, Window]]:
    """When the line comes up inside a window. A line of every second is not asked about the nights."""
    if cron.fixed(line):
        for at in cron.instants(line, almanac.zone, after, before):
            window = calendar.window(almanac, at)
            if window is not None:
                yield at, window
        return
    for window in calendar.windows(almanac, after + 1, before + 1):
        first, last = max(after, window.start - 1), min(before, window.end - 1)
        for at in cron.instants(line, almanac.zone, first, last):
            yield at, window


def _jittered(schedule: Schedule, almanac: Almanac, at: int, terms: Terms) -> int:
    """Later by what was drawn, but not so late that the run does not fit any more."""
    room = int(schedule.jitter)
    if not room:
        return at
    worst = int(terms.worst_case_s)
    room = max(0, min(room, calendar.open_until(almanac, at, at + room + worst) - worst - at))
    return at + draw.below(room + 1, terms.secret, "jitter", schedule.label, str(at))


def _drawn(schedule: Schedule, almanac: Almanac, after: int, before: int, terms: Terms) -> Iterator[Slot]:
    assert schedule.every is not None
    for day in every.days(almanac, after, before):
        if every.heads(schedule.every, day[0].day, terms.group, terms.secret):
            minute = every.minute(almanac, day, terms.group, terms.secret, int(terms.worst_case_s))
            window = next(one for one in day if one.start <= minute < one.end)
            yield _slot(schedule, almanac, day[0].start, minute, window, terms)


def _slot(schedule: Schedule, almanac: Almanac, instant: int, at: int, window: Window, terms: Terms) -> Slot:
    return Slot(schedule.label, instant, at, window, forbidden(almanac, at, terms.worst_case_s))


def forbidden(almanac: Almanac, at: int, worst_case_s: float) -> tuple[Reason, ...]:
    """Why a run may not start at this moment, by the calendar alone. The engine asks again when it fires."""
    if almanac.unreadable:
        return tuple(Reason("calendar_unreadable", f"the calendar {almanac.name}: {why}") for why in almanac.unreadable)
    needed = at + max(1, -int(-worst_case_s // 1))
    found = []
    until = calendar.open_until(almanac, at, needed)
    if until <= at:
        found.append(Reason("outside_hours", f"the calendar {almanac.name} is not open then"))
    elif until < needed:
        said = f"a run may take {needed - at} s; the calendar {almanac.name} closes in {until - at} s"
        found.append(Reason("does_not_fit", said))
    closures = calendar.closures(almanac, at, needed)
    said = f"closed by {almanac.name}: "
    return (*found, *(Reason("closed", said + (one.why or "a holiday or freeze")) for one in closures))
