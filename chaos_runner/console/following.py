"""Follows a game day and its run in the store: reads only what is new, and survives a store that is locked or gone.

The margin to an abort is not on record: it is judged here again, from the samples, by the rules of the run.
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from chaos_runner import judge, planning, registry, store
from chaos_runner.console.scene import Scene
from chaos_runner.gameday import day as days
from chaos_runner.gameday.day import Day
from chaos_runner.gameday.facts import Entry
from chaos_runner.gameday.running import Running
from chaos_runner.model import Experiment, PauseStep
from chaos_runner.plan import Plan
from chaos_runner.records import Entry as RunEntry
from chaos_runner.records import FaultInjected, PhaseBegan, RunStarted, Sample
from chaos_runner.store import Store, StoreError
from chaos_runner.ticks import Status

EVERY_S = 0.4


class Seen(msgspec.Struct):
    """What a look came to. `fresh` are the facts that are new; `trouble` says why this may be old."""

    day: Day
    entries: list[Entry]
    fresh: list[Entry]
    at: float
    running: Running | None = None
    trouble: str = ""
    conductor_dead: bool = False


class Following:
    """One day, followed. `look` is bounded by the store's own patience; what cannot be read is read later."""

    def __init__(self, state_dir: Path, day_id: str) -> None:
        self._state_dir = state_dir
        self._day_id = day_id
        self._store: Store | None = None
        self._entries: list[Entry] = []
        self._day = days.fold([])
        self._run: RunFollowed | None = None
        self._dead = False

    def look(self, now: float) -> Seen:
        """Everything as it is now; with the trouble where that cannot be read."""
        known, trouble = len(self._entries), ""
        try:
            self._read(now)
        except StoreError as why:
            trouble = str(why)
            self.close()
        running = self._run.scene.shown() if self._run is not None and self._run.scene is not None else None
        fresh = self._entries[known:]
        return Seen(self._day, self._entries, fresh, now, running, trouble, self._dead and self._day.ended is None)

    def close(self) -> None:
        """Gives the files free."""
        if self._store is not None:
            self._store.close()
        self._store = None

    def _read(self, now: float) -> None:
        if self._store is None:
            self._store = store.open_store(self._state_dir, read_only=True)
        fresh = self._store.facts(self._day_id, after=len(self._entries))
        if fresh:
            self._entries = [*self._entries, *fresh]
            self._day = days.fold(self._entries)
        row = self._store.day(self._day_id)
        self._dead = row is not None and store.alive(row.owner) is False
        wanted = going(self._day)
        if self._run is None or self._run.run != wanted:
            self._run = RunFollowed(wanted) if wanted else None
        if self._run is not None and self._store.run(wanted) is not None:
            self._run.read(self._store, now)


def going(day: Day) -> str:
    """The run to look at: the drill's or the going step's, else none."""
    if day.ended is not None:
        return ""
    view = day.step
    return day.drilling or (view.runs[-1] if view is not None and view.runs else "")


class RunFollowed:
    """One run: its scene, fed from the store in the order in which the run itself would have fed it."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.scene: Scene | None = None
        self._plan: Plan | None = None
        self._watch: judge.AbortWatch | None = None
        self._watching = False
        self._started_at = 0.0
        self._known = 0
        self._taken = 0

    def read(self, ledger: Store, now: float) -> None:
        """Takes in what is new. Raises StoreError."""
        entries = ledger.records(self.run, after=self._known)
        samples = ledger.samples(self.run, after=self._taken)
        self._known += len(entries)
        self._taken += len(samples)
        waiting = sorted(samples, key=lambda one: one.tick)
        for entry in entries:
            before = [one for one in waiting if one.tick + 1 <= entry.t]
            self._see(before)
            waiting = waiting[len(before) :]
            self._hear(entry)
        self._see(waiting)
        if self.scene is not None and self.scene.phase != "ended":
            self.scene.now = max(self.scene.now, now - self._started_at)

    def _hear(self, entry: RunEntry) -> None:
        if isinstance(entry.record, RunStarted):
            self._start(entry.record, entry.at)
        scene, plan = self.scene, self._plan
        if scene is None or plan is None:
            return
        scene.hear(entry)
        if isinstance(entry.record, PhaseBegan):
            self._watching = self._watching and entry.record.phase == "fault"
            scene.until_t = entry.t + _planned_s(plan.experiment, entry.record)
        elif isinstance(entry.record, FaultInjected):
            self._watch_from(math.ceil(entry.t), plan)
            scene.until_t = max((line.ends_t for line in scene.faults.values() if line.ends_t), default=entry.t)

    def _start(self, record: RunStarted, at: float) -> None:
        """A plan of a newer or a foreign program is followed without a picture."""
        try:
            self._plan = msgspec.convert(record.plan, Plan)
        except msgspec.ValidationError:
            return
        self.scene, self._started_at = Scene(self._plan), at

    def _watch_from(self, tick: int, plan: Plan) -> None:
        if self._watch is None:
            self._watch = _watch(plan, tick)
        elif not self._watching:
            self._watch.restart(tick)
        self._watching = True

    def _see(self, samples: list[Sample]) -> None:
        if not samples or self.scene is None:
            return
        margin: dict[str, float] = {}
        if self._watch is not None:
            self._watch.observe(samples)
            margin = self._watch.margin() if self._watching else {}
        self.scene.see(Status(samples[-1].tick, self.scene.phase, tuple(samples), margin, self.scene.until_t))


def _watch(plan: Plan, tick: int) -> judge.AbortWatch | None:
    """None where a check is of a kind that this program does not know."""
    try:
        rules = planning.rules_of(plan.experiment, planning.readers_of(plan.experiment, registry.probes))
    except (KeyError, ValueError):
        return None
    return judge.AbortWatch(rules, tick, budget=plan.experiment.abort.error_budget)


def _planned_s(experiment: Experiment, began: PhaseBegan) -> float:
    """How long a phase takes at most, where the file says so."""
    if began.phase == "baseline":
        return experiment.baseline
    if began.phase == "recovery":
        return experiment.recovery.within
    step = experiment.method[began.step] if 0 <= began.step < len(experiment.method) else None
    return step.pause if began.phase == "pause" and isinstance(step, PauseStep) else 0.0
