"""The types of chaos-runner.yaml and of shared checks. No IO."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from chaos_runner import spelling
from chaos_runner.environment import Environment
from chaos_runner.model import Check, Name, SecretRef, Value, Where
from chaos_runner.when import ALWAYS, Calendar, Schedule, ScheduleFile


class Checks(Value, frozen=True):
    """Shared checks, for `use: FILE#NAME`."""

    kind: Literal["checks/v1"]
    checks: Annotated[dict[Name, Check], Meta(min_length=1, max_length=200)]


class Notification(Value, frozen=True):
    """Where to send word of a run's end: a kind of notifier with its one reference, and after which verdicts."""

    keyed: ClassVar[tuple[str, str]] = ("notifier", "reference")  # `webhook: env:URL`

    notifier: str
    reference: Annotated[SecretRef, Meta(description="a reference to where it goes, such as env:CHAOS_URL")]
    on: Annotated[
        tuple[Literal["before", "held", "unknown", "deviated", "aborted", "not_reverted"], ...],
        Meta(description="the verdicts; `before` is before the first injection"),
    ] = ("aborted", "not_reverted")


class Config(Value, frozen=True):
    """chaos-runner.yaml: what belongs to the operator and not to the author of an experiment."""

    kind: Literal["config/v1"]
    environments: Annotated[dict[Name, Environment], Meta(min_length=1, max_length=100)]
    notify: tuple[Notification, ...] = ()
    calendars: Annotated[dict[Name, Calendar], Meta(description="when experiments may run", max_length=1000)] = (
        msgspec.field(default_factory=dict)
    )
    schedules: Annotated[
        tuple[Schedule | ScheduleFile, ...],
        Meta(description="what runs on its own, and when; file:PATH for more of them", max_length=10_000),
    ] = ()

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        if ALWAYS in self.calendars:
            yield ("calendars", ALWAYS), f"the calendar '{ALWAYS}' is there already: every day, every hour, UTC"
        seen: dict[str, int] = {}
        for n, one in enumerate(self.schedules):
            if isinstance(one, Schedule):
                for path, why in self.misfits(one):
                    yield ("schedules", n, *path), why
                first = seen.setdefault(one.label, n)
                if first != n:
                    yield ("schedules", n), f"schedules[{first}] is named '{one.label}' too; give one a `name:`"

    def misfits(self, schedule: Schedule) -> Iterator[Where]:
        """What a schedule names that is not here."""
        if schedule.environment not in self.environments:
            yield ("environment",), spelling.unknown("environment", schedule.environment, self.environments)
        if schedule.calendar != ALWAYS and schedule.calendar not in self.calendars:
            yield ("calendar",), spelling.unknown("calendar", schedule.calendar, [*self.calendars, ALWAYS])
