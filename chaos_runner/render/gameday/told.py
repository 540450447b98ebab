"""All that the report of a day is made of, and what every part of it reads. No IO."""

from __future__ import annotations

import functools
import hashlib

import msgspec

from chaos_runner.gameday import metrics
from chaos_runner.gameday.day import Day, StepView, fold
from chaos_runner.gameday.facts import Entry
from chaos_runner.gameday.metrics import Measured, StepMetrics
from chaos_runner.gameday.scenario import RunStep
from chaos_runner.gameday.stamps import Executed
from chaos_runner.render import measured, planned, story, text, windows
from chaos_runner.render.measured import Ticks
from chaos_runner.render.planned import Planned
from chaos_runner.render.story import Story
from chaos_runner.render.windows import Spans


class Before(msgspec.Struct, frozen=True):
    """The previous run of the same experiment; `entries` are the facts of its day, if it had one."""

    ran: Executed
    entries: tuple[Entry, ...] = ()


class Told(msgspec.Struct, frozen=True):
    """A day: its facts, its runs (the drill is step -1), the run before each of them, where their reports are.

    `lost` says for each run that could not be read why; the day's report says it too.
    """

    entries: tuple[Entry, ...]
    runs: tuple[Executed, ...] = ()
    before: dict[str, Before] = {}
    links: dict[str, str] = {}
    lost: dict[str, str] = {}


class Seen:
    """One run, read once for all parts of the report."""

    def __init__(self, ran: Executed) -> None:
        self.ran = ran
        self.run = ran.run
        self.entries = list(ran.entries)
        self.samples = list(ran.samples)
        self.plan: Planned = planned.read(ran.run)
        self.spans: Spans = windows.spans(ran.run, self.entries, self.samples)

    @functools.cached_property
    def ticks(self) -> dict[str, Ticks]:
        """Its samples by check and second."""
        return measured.gathered(self.samples)

    @functools.cached_property
    def story(self) -> Story:
        """Its outcome in words."""
        return story.told(self.run, self.plan, self.spans)


class Whole:
    """A day, read once for all parts of the report."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self.day: Day = fold(told.entries)
        self.measured: Measured = metrics.measured(self.day, told.entries, told.runs)
        known = sorted(told.runs, key=lambda one: (one.run.started_at, one.run.id))
        self.drill = next((Seen(one) for one in known if one.step < 0), None)
        self.runs = [Seen(one) for one in known if one.step >= 0]

    @property
    def counted(self) -> list[Seen]:
        """The last run of each step: what the day says of its experiment."""
        return list({one.ran.step: one for one in self.runs}.values())

    def of(self, seen: Seen) -> StepMetrics:
        """The figures of a run."""
        return next(one for one in self.measured.steps if one.run == seen.run.id)

    def title(self) -> str:
        """What the day calls itself."""
        named = self.day.scenario
        return (named.title or named.name) if named else self.day.id or text.MISSING

    def steps(self) -> list[tuple[StepView, RunStep]]:
        """The steps that were to run an experiment."""
        planned_steps = self.day.scenario.steps if self.day.scenario else ()
        return [
            (view, step) for view, step in zip(self.day.steps, planned_steps, strict=False) if isinstance(step, RunStep)
        ]

    def name(self, seen: Seen) -> str:
        """What people call a run's experiment."""
        return seen.plan.heading(seen.run.id)

    def digest(self) -> str:
        """SHA-256 over the day's facts, then the records of its runs, as JSON, one a line."""
        found = hashlib.sha256()
        for fact in self.told.entries:
            found.update(msgspec.json.encode(fact) + b"\n")
        for seen in [*([self.drill] if self.drill else []), *self.runs]:
            for record in seen.entries:
                found.update(msgspec.json.encode(record) + b"\n")
        return found.hexdigest()


def local(link: str) -> str:
    """The link if it is a plain relative path; a scheme or a host in it would lead elsewhere."""
    plain = text.one_line(link, 2000)
    return "" if ":" in plain or plain.startswith(("/", "\\")) or plain != link else plain
