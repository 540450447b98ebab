"""The schedules in force: those of chaos-runner.yaml and of the files it names, and its calendars with their files.

Reads files only. What makes a schedule wrong is a problem with its place, and nothing is in force; a holiday or freeze
file that cannot be read closes its calendar, and the schedules stay.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from chaos_runner import configure, files, load, plan
from chaos_runner.config import Config
from chaos_runner.configure import Configuration
from chaos_runner.load import Invalid, Loaded, Problem
from chaos_runner.load.nodes import Path as Below
from chaos_runner.schedule import calendar, ical
from chaos_runner.schedule.calendar import Almanac
from chaos_runner.schedule.recurrence import Closing
from chaos_runner.schedule.slots import Terms
from chaos_runner.when import ALWAYS, Calendar, Closed, ClosedDays, Schedule, ScheduleFile, Schedules

FILES_MAX = 1000
SCHEDULES_MAX = 200_000
ICAL_BYTES_MAX = 4 * 1024 * 1024

Stamp = tuple[int, int, int]


class Timetable(msgspec.Struct, frozen=True, eq=False):
    """Schedules by name, calendars by name with their files read, and every file that was read for it."""

    config: Config
    folder: Path
    schedules: dict[str, Schedule]
    almanacs: dict[str, Almanac]
    read_from: tuple[Path, ...]

    def almanac(self, schedule: Schedule) -> Almanac:
        """The calendar of a schedule."""
        return self.almanacs[schedule.calendar]

    def told(self, schedule: Schedule) -> Told:
        """What its experiment's file says. Raises load.Invalid."""
        path = (self.folder / schedule.experiment).absolute()
        return _told(path, stamp(path))

    def terms(self, schedule: Schedule, secret: bytes) -> Terms:
        """Whom it would hit and how long it can take. Raises load.Invalid."""
        told = self.told(schedule)
        return Terms(f"{schedule.environment}/{told.service or told.name}", secret, told.worst_case_s)


class Told(msgspec.Struct, frozen=True):
    """What an experiment's file says about its runs."""

    file: Path
    name: str
    service: str
    worst_case_s: float


def read(configuration: Configuration, each: Callable[[Loaded[Schedules]], None] = lambda _loaded: None) -> Timetable:
    """Everything that is in force; `each` is given every file of schedules.

    Raises load.Invalid with every problem of them all.
    """
    config = configuration.config
    folder = configuration.path.parent if configuration.path else Path.cwd()
    schedules = {one.label: one for one in config.schedules if isinstance(one, Schedule)}
    sources, problems = [configuration.path] if configuration.path else [], list[Problem]()
    texts: dict[str, str] = {}
    for path in _files(config, folder, problems):
        sources.append(path)
        try:
            each(_add(path, config, schedules))
        except Invalid as invalid:
            problems += invalid.problems
            texts |= invalid.sources
    if problems:
        raise Invalid(problems, texts)
    almanacs = {name: almanac(name, one, folder) for name, one in config.calendars.items()}
    sources += [_path(folder, one.file) for own in config.calendars.values() for one in own.except_ if one.file]
    return Timetable(config, folder, schedules, {ALWAYS: calendar.always(), **almanacs}, tuple(sources))


def _path(folder: Path, text: str) -> Path:
    return folder / Path(text).expanduser()


def _files(config: Config, folder: Path, problems: list[Problem]) -> Iterator[Path]:
    """The files of schedules; of a folder, those that end in .yaml, by name."""
    count = 0
    for one in config.schedules:
        if isinstance(one, ScheduleFile):
            path = _path(folder, one.path)
            for file in sorted(path.glob("*.yaml")) if path.is_dir() else [path]:
                count += 1
                if count > FILES_MAX:
                    problems.append(Problem(str(path), 0, 0, "", f"more than {FILES_MAX} files of schedules"))
                    return
                yield file


def _add(path: Path, config: Config, schedules: dict[str, Schedule]) -> Loaded[Schedules]:
    """The schedules of one file. Raises Invalid."""
    loaded = load.load(path, Schedules, kinds=configure.kinds(), parsers=configure.parsers())
    problems = []
    for n, one in enumerate(loaded.value.schedules):
        problems += [_at(loaded, ("schedules", n, *below), why) for below, why in config.misfits(one)]
        if schedules.setdefault(one.label, one) is not one:
            why = f"another schedule is named '{one.label}' too; give one a `name:`"
            problems.append(_at(loaded, ("schedules", n), why))
    if len(schedules) > SCHEDULES_MAX:
        problems.append(Problem(str(path), 0, 0, "", f"more than {SCHEDULES_MAX} schedules in all"))
    if problems:
        raise Invalid(problems, {loaded.document.file: loaded.document.text})
    return loaded


def check(loaded: Loaded[Config], path: Path) -> None:
    """Looks at everything that schedules need: their files, experiments, calendars.

    Raises load.Invalid with every problem, each at its place in the file that names it.
    """
    held: list[Loaded[Any]] = [loaded]
    table = read(configure.read(path), held.append)
    problems, texts = list(_unreadable(loaded, table)), dict[str, str]()
    seen: set[str] = set()
    for one in held:
        texts[one.document.file] = one.document.text
        for n, schedule in enumerate(one.value.schedules):
            if isinstance(schedule, Schedule) and schedule.experiment not in seen:
                seen.add(schedule.experiment)
                problems += _of_experiment(table, schedule, one, n, texts)
    if problems:
        raise Invalid(problems, texts)


def _unreadable(loaded: Loaded[Config], table: Timetable) -> Iterator[Problem]:
    """The files of holidays that close their calendar."""
    for name, own in loaded.value.calendars.items():
        for n, one in enumerate(own.except_):
            try:
                _closings(one, table.folder)
            except ValueError as why:
                told = f"{one.file}: {why}; until it can be read nothing runs by this calendar"
                yield _at(loaded, ("calendars", name, "except", n), told)


def _of_experiment(
    table: Timetable, schedule: Schedule, loaded: Loaded[Any], n: int, texts: dict[str, str]
) -> list[Problem]:
    """What is wrong with a schedule's experiment: at its name where there is no such file, else in that file."""
    if not (table.folder / schedule.experiment).is_file():
        return [_at(loaded, ("schedules", n, "experiment"), f"there is no file {schedule.experiment}")]
    try:
        table.told(schedule)
    except Invalid as invalid:
        texts |= invalid.sources
        return list(invalid.problems)
    return []


def _at(loaded: Loaded[Any], path: Below, why: str) -> Problem:
    line, col = loaded.position(path)
    return Problem(loaded.document.file, line, col, files.dotted(path), why)


def almanac(name: str, own: Calendar, folder: Path) -> Almanac:
    """A calendar with its files read; one that cannot be is closed, and says why."""
    closed: list[Closing] = []
    unreadable: list[str] = []
    for one in own.except_:
        try:
            closed += _closings(one, folder)
        except ValueError as why:
            unreadable.append(f"{one.file}: {why}")
    return Almanac(name, own.days.numbers, own.between, own.timezone.name, tuple(closed), tuple(unreadable))


def _closings(one: Closed, folder: Path) -> tuple[Closing, ...]:
    """Raises ValueError with a sentence."""
    if not one.file:
        return (calendar.closing(one),)
    path = _path(folder, one.file)
    if path.suffix.lower() == ".ics":
        return ical.closings(_text(path))
    try:
        return tuple(calendar.closing(inner) for inner in _closed_days(path))
    except Invalid as invalid:
        first = invalid.problems[0]
        raise ValueError(f"line {first.line}: {first.message}" if first.line else first.message) from None


def _closed_days(path: Path) -> tuple[Closed, ...]:
    found = load.load(path, ClosedDays, parsers=configure.parsers()).value.closed
    if any(one.file for one in found):
        msg = "it names another file; name that one in `except:`"
        raise ValueError(msg)
    return found


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            msg = "does not exist or is not a regular file"
            raise ValueError(msg)
        with path.open("rb") as file:
            content = file.read(ICAL_BYTES_MAX + 1)
        if len(content) > ICAL_BYTES_MAX:
            msg = f"more than {ICAL_BYTES_MAX} bytes"
            raise ValueError(msg)
        return content.decode()
    except OSError as why:
        raise ValueError((why.strerror or str(why)).lower()) from None
    except UnicodeDecodeError:
        msg = "is not UTF-8"
        raise ValueError(msg) from None


def stamp(path: Path) -> Stamp:
    """What changes when a file does; zeros for none."""
    try:
        seen = path.stat()
    except OSError:
        return 0, 0, 0
    return seen.st_ino, seen.st_size, seen.st_mtime_ns


@functools.lru_cache(maxsize=20_000)
def _told(path: Path, _seen: Stamp) -> Told:
    experiment = files.read_experiment(path).value
    return Told(path, experiment.name, experiment.service, plan.worst_case(experiment))
