"""The schedules in force, as the operator's files say: read all or nothing, and looked at again when a file changes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from chaos_runner import configure, timetable
from chaos_runner.environment import Environment
from chaos_runner.schedule import pace, slots
from chaos_runner.schedule.calendar import Almanac
from chaos_runner.schedule.slots import Slot, Terms
from chaos_runner.scheduler.gates import Asked
from chaos_runner.timetable import Stamp, Told, stamp
from chaos_runner.when import Schedule

DRAWN_FROM = "schedule.secret"


class Item(msgspec.Struct, frozen=True, eq=False):
    """One schedule with all that its slots and runs need."""

    schedule: Schedule
    almanac: Almanac
    terms: Terms
    file: Path
    experiment: str
    service: str

    @property
    def label(self) -> str:
        """What it is known by."""
        return self.schedule.label

    def due(self, after: float, before: float) -> Iterator[Slot]:
        """Its slots that are due in (after, before]."""
        return slots.due(self.schedule, self.almanac, int(after), int(before), self.terms)

    def asked(self, slot: Slot) -> Asked:
        """What the gates are asked about."""
        return Asked(
            schedule=self.label,
            experiment=self.experiment,
            environment=self.schedule.environment,
            service=self.service,
            instant=float(slot.instant),
            criticality=self.schedule.criticality,
        )

    def forbidden(self, slot: Slot, now: float) -> str:
        """Why the calendar says no, for its slot or for a start right now; empty for yes."""
        reasons = slot.refused or slots.forbidden(self.almanac, int(now), self.terms.worst_case_s)
        return "; ".join(reason.said for reason in reasons)

    def held_back(self, slot: Slot, past: pace.Past, now: float) -> str:
        """Why its own past says no."""
        return "; ".join(reason.said for reason in pace.held_back(self.schedule, slot, past, now))


class Book(msgspec.Struct, frozen=True):
    """All schedules of a configuration, and the files that they came from."""

    items: tuple[Item, ...]
    environments: Mapping[str, Environment]
    stamps: dict[Path, Stamp]

    def stale(self) -> bool:
        """Whether one of the files has changed."""
        return any(stamp(path) != seen for path, seen in self.stamps.items())

    def seen(self) -> Book:
        """The same, for files as they are now: what cannot be read is not read again before it changes."""
        return msgspec.structs.replace(self, stamps={path: stamp(path) for path in self.stamps})


def read(config: Path, state_dir: Path) -> Book:
    """The book of this configuration. Raises load.Invalid, and OSError where the secret cannot be kept."""
    table = timetable.read(configure.read(config))
    secret = secret_of(state_dir)
    known: dict[tuple[str, str], tuple[Terms, Told]] = {}
    items = []
    for one in table.schedules.values():
        key = (one.experiment, one.environment)
        if key not in known:
            known[key] = (table.terms(one, secret), table.told(one))
        terms, told = known[key]
        items.append(Item(one, table.almanac(one), terms, told.file, told.name, told.service))
    paths = {config, *table.read_from, *(item.file for item in items)}
    return Book(tuple(items), table.config.environments, {path: stamp(path) for path in paths})


def secret_of(state_dir: Path) -> bytes:
    """What coins and minutes are drawn with; made once. Raises OSError."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = state_dir / DRAWN_FROM
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(fd, "wb") as file:
        file.write(secrets.token_bytes(32))
    return path.read_bytes()
