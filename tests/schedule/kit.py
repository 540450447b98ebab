"""Schedules of all sorts, what the walker says of them, and a daemon of forty lines that crashes and misreads time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import numpy as np

from chaos_runner.schedule import ical, pace, slots
from chaos_runner.schedule.calendar import Almanac
from chaos_runner.schedule.recurrence import Closing
from chaos_runner.schedule.slots import Slot, Terms
from chaos_runner.when import Cron, Every, Hours, Schedule
from tests.schedule import walker

ZONES = (
    "Europe/Berlin", "Europe/London", "America/New_York", "America/Los_Angeles", "America/Santiago",
    "America/St_Johns", "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Chatham", "Asia/Kolkata",
    "Asia/Beirut", "UTC",
)  # fmt: skip
LINES = (
    "30 10 * * mon-fri", "0 9 13 * 5", "30 2 * * *", "0 0 * * *", "*/20 9-11,22-23 * * *", "15 */3 * * *", "0 12 * * 7",
    "5,35 1-3 * * *", "0 14 1-7 * *", "45 23 * * 0,6", "*/30 0-3 * * *", "10 3 */2 * *", "0 0 * * 6", "59 1 * 3,9-11 *",
)  # fmt: skip
START, END = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2026, 2027))
EDGE = 5 * 86400
SECRET = b"of the tests"


class Case(NamedTuple):
    """A schedule as the product has it, and the same as the walker is told it."""

    schedule: Schedule
    almanac: Almanac
    terms: Terms
    line: str
    zone: str
    days: set[int]  # Sunday is 0
    start: int
    end: int
    closed: tuple[tuple[datetime, datetime], ...]  # local times


def cases(number: int, seed: int) -> list[Case]:
    drawn = random.Random(seed)
    return [_case(n, drawn) for n in range(number)]


def _case(n: int, drawn: random.Random) -> Case:
    zone, line = ZONES[n % len(ZONES)], LINES[n // len(ZONES) % len(LINES)]
    days = set(drawn.sample(range(7), drawn.choice((5, 6, 7))))
    start, end = drawn.choice(((600, 900), (540, 1020), (1320, 240), (0, 1440), (60, 200), (1350, 1349)))
    closed = tuple(_closed(drawn) for _ in range(drawn.randrange(4)))
    schedule = Schedule(
        name=f"s{n}", experiment="x.yaml", environment="staging", calendar="c", cron=Cron(text=line),
        jitter=drawn.choice((0.0, 0.0, 600.0)), min_gap=drawn.choice((0.0, 900.0, 86400.0)),
        cooldown=drawn.choice((0.0, 900.0)), max_runs=drawn.choice((None, 1, 2)),
    )  # fmt: skip
    almanac = Almanac(
        "c", tuple(sorted((day - 1) % 7 for day in days)), Hours(start=start, end=end), zone, _closings(closed, drawn)
    )
    terms = Terms("staging/shop", SECRET, 60.0 * drawn.randrange(1, 40))
    return Case(schedule, almanac, terms, line, zone, days, start, end, closed)


def _closed(drawn: random.Random) -> tuple[datetime, datetime]:
    first = datetime(2026, 1, 1) + timedelta(days=drawn.randrange(365))
    if drawn.random() < 0.5:
        return first, first + timedelta(days=drawn.randrange(1, 15))
    first += timedelta(minutes=drawn.randrange(1440))
    return first, first + timedelta(minutes=drawn.randrange(1, 3000))


def _closings(closed: tuple[tuple[datetime, datetime], ...], drawn: random.Random) -> tuple[Closing, ...]:
    """Half of them by way of an iCalendar file."""
    if drawn.random() < 0.5:
        return tuple(Closing(start, end, "freeze") for start, end in closed)
    events = "".join(
        f"BEGIN:VEVENT\r\nDTSTART:{start:%Y%m%dT%H%M%S}\r\nDTEND:{end:%Y%m%dT%H%M%S}\r\nSUMMARY:freeze\r\nEND:VEVENT\r\n"
        for start, end in closed
    )
    return ical.closings(f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n")


def one(line: str, zone: str, hours: tuple[int, int] = (0, 1440), days: str = "0123456", worst_s: float = 60.0) -> Case:
    """A case of one's own; days as the walker counts them, Sunday is 0."""
    numbers = {int(day) for day in days}
    schedule = Schedule(name="one", experiment="x.yaml", environment="staging", calendar="c", cron=Cron(text=line))
    almanac = Almanac("c", tuple(sorted((n - 1) % 7 for n in numbers)), Hours(start=hours[0], end=hours[1]), zone)
    return Case(schedule, almanac, Terms("staging/shop", SECRET, worst_s), line, zone, numbers, *hours, ())


def every(mean: float, hours: tuple[int, int] = (600, 900), zone: str = "Europe/Berlin", group: str = "g") -> Case:
    schedule = Schedule(
        name="coin", experiment="x.yaml", environment="staging", calendar="c", every=Every(workdays=mean)
    )
    almanac = Almanac("c", (0, 1, 2, 3, 4), Hours(start=hours[0], end=hours[1]), zone)
    return Case(schedule, almanac, Terms(group, SECRET, 600.0), "", zone, {1, 2, 3, 4, 5}, *hours, ())


class Walked(NamedTuple):
    """What the walker knows of a case: the instants that are slots, and the minutes in which a run may begin."""

    year: walker.Minutes
    slots: np.ndarray
    free: np.ndarray

    def instants(self) -> set[int]:
        return {at for at in self.year.at[self.slots].tolist() if START <= at < END}

    def may_begin(self, at: int) -> bool:
        """Whether a run fits that begins in this minute or, where it is not whole, ends in the next."""
        n = self.year.index(at)
        return bool(self.free[n]) and (at % 60 == 0 or bool(self.free[n + 1]))


def walked(case: Case) -> Walked:
    year = walker.minutes(case.zone, START - EDGE, END + EDGE)
    open_ = walker.is_open(case.days, case.start, case.end, year)
    closed = np.zeros_like(open_)
    for start, end in case.closed:
        a, b = ((one - datetime(1970, 1, 1)) // timedelta(minutes=1) for one in (start, end))
        closed |= (year.wall >= a) & (year.wall < b)
    free = walker.stays(open_ & ~closed, int(case.terms.worst_case_s) // 60)
    return Walked(year, walker.due(case.line, year) & open_, free)


def complaints(case: Case, made: list[Slot], sure: Walked | None = None) -> list[str]:
    """What the walker has against the slots of a year."""
    sure = sure or walked(case)
    given = [one.instant for one in made]
    wrong = [f"{at} twice" for at, count in Counter(given).items() if count > 1]
    wrong += [f"{at} is no slot" for at in sorted(set(given) - sure.instants())]
    wrong += [f"{at} is missing" for at in sorted(sure.instants() - set(given))]
    for one in made:
        if one.refused and sure.may_begin(one.due):
            wrong.append(f"{one.instant} could run at {one.due}: {one.refused[0].said}")
        if not one.refused and not sure.may_begin(one.due):
            wrong.append(f"{one.instant} must not run at {one.due}")
        if not 0 <= one.due - one.instant <= case.schedule.jitter:
            wrong.append(f"{one.instant} is due at {one.due}")
    return wrong


def year_of(case: Case) -> list[Slot]:
    # Jitter may carry the last ones over the year's end.
    made = slots.due(case.schedule, case.almanac, START - 1, END + int(case.schedule.jitter), case.terms)
    return [one for one in made if START <= one.instant < END]


class Row(NamedTuple):
    """A decision that was kept."""

    decision: str
    why: str
    began: float = 0.0


class Daemon:
    """Looks at what came due, decides, and keeps it; may die at any time, and its clock may jump."""

    def __init__(self, case: Case, drawn: random.Random) -> None:
        self.case, self.drawn = case, drawn
        self.rows: dict[int, Row] = {}
        self.runs: list[tuple[int, float]] = []  # day of the window, start
        self.past = pace.Past()
        self.looked = float(START - 1)

    def look(self, now: float) -> None:
        """Everything that came due since the last look; a clock that went back shows nothing new."""
        for slot in slots.due(self.case.schedule, self.case.almanac, int(self.looked), int(now), self.case.terms):
            if slot.instant not in self.rows:  # the claim
                self.rows[slot.instant] = self._decide(slot, now)
        self.looked = max(self.looked, now)

    def _decide(self, slot: Slot, now: float) -> Row:
        case = self.case
        in_window = sum(day == slot.window.day.toordinal() for day, _at in self.runs)
        past = pace.Past(self.past.started, self.past.ended, self.past.failures, in_window)
        reasons = (
            *slot.refused,
            *slots.forbidden(case.almanac, int(now), case.terms.worst_case_s),
            *pace.held_back(case.schedule, slot, past, now),
        )
        if reasons:
            return Row("SKIP", reasons[0].code)
        ended = now + self.drawn.random() * case.terms.worst_case_s
        failures = self.past.failures + 1 if self.drawn.random() < 0.1 else 0
        self.past = pace.Past(now, ended, failures)
        self.runs.append((slot.window.day.toordinal(), now))
        return Row("RUN", "", now)


def looks(made: list[Slot], drawn: random.Random) -> Iterator[float]:
    """When the daemon looks, by its clock: mostly when something is due, with crashes and steps between."""
    dead_until, step = 0.0, 0.0
    for slot in made:
        fate = drawn.random()
        if fate < 0.01:
            dead_until = slot.due + drawn.choice((60.0, 3600.0, 3 * 86400.0))
        elif fate < 0.02:
            step = drawn.choice((-7200.0, -30.0, 0.0, 45.0, 5400.0))
        now = slot.due + drawn.random() * 0.5 + step
        if now >= dead_until:
            yield now
    yield END + 86400.0


def local_day(case: Case, at: int) -> date:
    year = walker.minutes(case.zone, START - EDGE, END + EDGE)
    return date(1970, 1, 1) + timedelta(days=int(year.day[year.index(at)]))
