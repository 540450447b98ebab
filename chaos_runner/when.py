"""When experiments may run on their own: the types of `calendars:` and `schedules:`. No IO."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from chaos_runner.expect import Duration
from chaos_runner.model import Count, Name, Pick, Value, Where

ALWAYS = "always"  # the calendar that everybody has: every day, every hour, UTC


class Days(msgspec.Struct, frozen=True):
    """Days of the week, such as mon-fri; Monday is 0."""

    written: ClassVar[str] = "days such as mon-fri or mon,wed,sat"

    text: str
    numbers: tuple[int, ...]

    def __str__(self) -> str:
        return self.text


class Hours(msgspec.Struct, frozen=True):
    """Hours of the day in minutes; an end that is not after the start is on the next day."""

    written: ClassVar[str] = "hours such as 10:00-15:00"

    start: int
    end: int

    @property
    def until(self) -> int:
        """The end in minutes after the midnight before the start."""
        return self.end if self.end > self.start else self.end + 1440

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (self.start, self.end))


class Zone(msgspec.Struct, frozen=True):
    """A time zone by its name in the tz database."""

    written: ClassVar[str] = "a zone such as Europe/Berlin, or UTC"

    name: str

    def __str__(self) -> str:
        return self.name


class Closed(msgspec.Struct, frozen=True):
    """When nothing may run: days or times of the calendar's own clock, or a file that says so."""

    written: ClassVar[str] = "a day such as 2026-12-25, 2026-12-24..2027-01-01 year's end, or file:freeze.ics"

    text: str
    file: str = ""
    start: str = ""  # local times, YYYY-MM-DDTHH:MM
    end: str = ""  # the first minute that is not closed any more
    why: str = ""


class Calendar(Value, frozen=True):
    """When experiments may run: days, hours, a time zone, and exceptions. The whole run must fit, recovery included."""

    days: Annotated[Days, Meta(description="days such as mon-fri or mon,wed,sat")]
    between: Annotated[Hours, Meta(description="hours such as 10:00-15:00; 22:00-04:00 ends on the next day")]
    timezone: Annotated[Zone, Meta(description="a zone such as Europe/Berlin, or UTC")]
    except_: Annotated[
        tuple[Closed, ...],
        Meta(
            description="holidays and freezes: days, times, or file:PATH of an iCalendar file or of YAML"
            " (`kind: closed/v1`); a file that cannot be read closes the calendar",
            max_length=1000,
        ),
    ] = msgspec.field(name="except", default=())


class ClosedDays(Value, frozen=True):
    """Holidays and freezes in a file of their own, for a calendar's `except:`."""

    kind: Literal["closed/v1"]
    closed: Annotated[tuple[Closed, ...], Meta(max_length=10_000)]


class Cron(msgspec.Struct, frozen=True):
    """When, as Debian's cron reads it; six fields begin with seconds."""

    written: ClassVar[str] = "a cron line such as '30 10 * * mon-fri'"

    text: str

    def __str__(self) -> str:
        return self.text


class Every(msgspec.Struct, frozen=True):
    """A mean time between runs in workdays: each workday a coin is thrown, then a minute is drawn."""

    written: ClassVar[str] = "a mean such as '2 workdays'"

    workdays: float

    def __str__(self) -> str:
        return f"{self.workdays:g} workday{'' if self.workdays == 1 else 's'}"


class Growth(Value, frozen=True):
    """How the blast radius grows: one step further after clean runs, one back after a failure."""

    steps: Annotated[
        tuple[Pick, ...], Meta(description="targets or shares, smallest first; then the file's own", max_length=10)
    ] = (Pick(number=1), Pick(share=0.05), Pick(share=0.25))
    clean: Annotated[Count, Meta(description="clean runs in a row before the next step")] = 3


class Schedule(Value, frozen=True):
    """When an experiment runs on its own: `cron:` or `every:`, inside a calendar."""

    experiment: Annotated[
        str, Meta(description="the experiment's file, from the folder of chaos-runner.yaml", min_length=1)
    ]
    environment: Annotated[Name, Meta(description="where; it must be armed")]
    calendar: Annotated[str, Meta(description="one of `calendars:`, or always", min_length=1, max_length=63)]
    name: Annotated[
        str,
        Meta(
            description="a short name, by default the experiment's file and the environment: a-z, 0-9 and -",
            pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$",
            max_length=127,
        ),
    ] = ""
    cron: Annotated[
        Cron | None, Meta(description="a cron line such as '30 10 * * mon-fri', in the calendar's zone")
    ] = None
    every: Annotated[Every | None, Meta(description="a mean such as '2 workdays'")] = None
    jitter: Annotated[Duration, Meta(description="at most so much later, drawn for each slot", le=43200)] = 0.0
    max_runs: Annotated[Count | None, Meta(description="runs in one window of the calendar")] = None
    min_gap: Annotated[Duration, Meta(description="between the starts of two runs", le=31 * 86400)] = 900.0
    cooldown: Annotated[
        Duration,
        Meta(description="rest after a run's end; twice as long after each failure in a row", le=31 * 86400),
    ] = 900.0
    tolerance: Annotated[Duration, Meta(description="how late a run may still start", le=86400)] = 900.0
    criticality: Annotated[
        int, Meta(description="which goes first when several could; a negative one never runs", ge=-1, le=10)
    ] = 1
    growth: Growth | None = None

    @property
    def label(self) -> str:
        """Its name, or the one made of file and environment."""
        return self.name or f"{_stem(self.experiment)}-{self.environment}"[:127].strip("-")

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        if self.cron is None and self.every is None:
            yield (), "say when: `cron: '30 10 * * mon-fri'` or `every: 2 workdays`"
        if self.cron is not None and self.every is not None:
            yield ("every",), "`cron:` and `every:` do not go together; keep one of them"
        if self.every is not None and self.jitter:
            yield ("jitter",), "`every:` draws a minute by itself; remove `jitter:`"


def _stem(path: str) -> str:
    """`experiments/slow_Payments.yaml` -> `slow-payments`."""
    stem = path.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower()
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in stem).strip("-") or "schedule"


class ScheduleFile(msgspec.Struct, frozen=True):
    """A file of schedules, or a folder of such files."""

    written: ClassVar[str] = "file:PATH of a file or folder of schedules"

    path: str


class Schedules(Value, frozen=True):
    """Schedules in a file of their own."""

    kind: Literal["schedules/v1"]
    schedules: Annotated[tuple[Schedule, ...], Meta(min_length=1, max_length=10_000)]
