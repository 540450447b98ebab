"""A run under way: what it acts on, what it has learned, and what speaks against it. Decides nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from chaos_runner import records
from chaos_runner.api import AlertSource, Env, Probe
from chaos_runner.attend import Attendance
from chaos_runner.clock import Clock
from chaos_runner.detection import Detection, Said, Times
from chaos_runner.drive import Drive, Watchline
from chaos_runner.journal import RunJournal
from chaos_runner.plan import Plan, PlannedFault
from chaos_runner.records import Cleanup, Phase, StoppedBy
from chaos_runner.rule import Rule
from chaos_runner.sampling import Sampling
from chaos_runner.ticks import Interrupts, Loop, Status, Stop


class Setting(msgspec.Struct):
    """Everything outside of the engine that a run touches. `begin` makes the run durable or raises Refusal."""

    env: Env
    clock: Clock
    faults: Mapping[str, type[Any]]
    probes: Mapping[str, Probe]
    rules: tuple[Rule, ...]
    load_rate: float
    begin: Callable[[records.RunStarted], RunJournal]
    started: records.RunStarted
    guard: Watchline | None
    interrupts: Interrupts
    lever: Callable[[], str]
    show: Callable[[Status], None]
    shout: Callable[[str], None]
    alerts: AlertSource | None = None


class Open(msgspec.Struct, eq=False):
    """One fault of the plan that was sent, or may have been. `window` are the whole ticks it was there."""

    planned: PlannedFault
    drive: Drive
    attendance: Attendance
    ends_t: float = math.inf
    window: range | None = None

    @property
    def held(self) -> bool:
        """Whether it is on its target, as far as we know, and stays for now."""
        return self.drive.life.state == "INJECTED"

    @property
    def left(self) -> bool:
        """Whether something of it may still be on its target; what is only watched was read as gone."""
        return self.drive.life.open and self.drive.life.state != "WATCHING"


class Course:
    """What one run knows about itself. `doubts` keep it from HELD, `deviations` are findings beside the clauses."""

    journal: RunJournal
    loop: Loop
    sampling: Sampling

    def __init__(self, plan: Plan, run_id: str, setting: Setting) -> None:
        self.plan = plan
        self.run_id = run_id
        self.setting = setting
        self.experiment = plan.experiment
        self.baseline: range = range(0)
        self.pauses: list[range] = []
        self.done: list[Open] = []
        self.doubts: list[str] = []
        self.deviations: list[str] = []
        self.tripped: records.AbortTripped | None = None
        self.bug: Exception | None = None
        self.detection: Detection | None = None
        self.confirmed_t: float | None = None
        self._heard_late: list[tuple[Said, float]] = []

    @property
    def well(self) -> bool:
        """Whether nothing speaks against going on."""
        return self.loop.stop is None and not self.doubts and not any(one.left for one in self.done)

    @property
    def lag_s(self) -> float:
        """How long after its tick the last sample of it may come."""
        return max((rule.lag_s for rule in self.setting.rules), default=0.0)

    @property
    def cleanup(self) -> Cleanup:
        """What is left on the targets, in a word."""
        if any(one.left for one in self.done):
            return "LEFT"
        if any(one.drive.life.open for one in self.done):
            return "WATCHING"
        return "CLEAN" if all(one.drive.verified for one in self.done) else "UNVERIFIED"

    def stop(self, stopped_by: StoppedBy, why: str) -> None:
        """A reason to stop; the first one stays."""
        self.loop.stop = self.loop.stop or Stop(stopped_by, why, self.loop.now())

    @property
    def times(self) -> Times:
        """What alerts are judged by: when the first fault began and was shown, and now."""
        injected = [one.drive.injected_t for one in self.done if one.drive.injected_t is not None]
        return Times(min(injected, default=None), self.confirmed_t, self.loop.now())

    def hear(self, said: Said, t: float) -> None:
        """Writes down what was heard of alerts; not between a decision and its revert, then it waits for the end."""
        if self.loop.stop is None:
            self.journal.try_note(said, t)
        else:
            self._heard_late.append((said, t))

    def write_heard(self) -> None:
        """Writes what had to wait."""
        for said, t in self._heard_late:
            self.journal.try_note(said, t)
        self._heard_late.clear()

    def phase(self, phase: Phase, step: int = -1) -> None:
        """A phase begins. Raises JournalError."""
        self.loop.phase = phase
        self.journal.note(records.PhaseBegan(phase=phase, step=step))

    def try_phase(self, phase: Phase, step: int = -1) -> None:
        """As `phase`, by best effort."""
        self.loop.phase = phase
        self.journal.try_note(records.PhaseBegan(phase=phase, step=step))

    def show(self, status: Status) -> None:
        """Shows a tick to whoever watches. Raises what a listener raised before: outside of every undo."""
        if self.journal.bug is not None:
            raise self.journal.bug
        self.setting.show(status)

    def shout(self, why: str) -> None:
        """Tells people at once; whoever cannot hear must not come between a fault and its undo."""
        try:
            self.setting.shout(why)
        except Exception as bug:
            self.bug = self.bug or bug

    def raise_bugs(self) -> None:
        """Raises the first bug that had to wait for the undo."""
        kept = [self.bug, self.journal.bug, *(one.drive.bug for one in self.done)]
        bug = next((bug for bug in kept if bug is not None), None)
        if bug is not None:
            raise bug
