"""What the live view knows: the fold over records and ticks, for the one run that is going on. No IO, no clock.

All words from files and targets are made harmless here: no terminal escape leaves this module.
"""

from __future__ import annotations

from collections import deque

import msgspec

from chaos_runner import expect, histogram, records
from chaos_runner.expect import Clause, allowance
from chaos_runner.gameday.running import CheckShown, FaultShown, Running
from chaos_runner.model import Check
from chaos_runner.plan import Plan
from chaos_runner.records import ClauseCount, Entry, Sample
from chaos_runner.render import text
from chaos_runner.ticks import Status

SPARK = 30
BARS = "▁▂▃▄▅▆▇█"
OVER = frozenset({"closed", "over"})
STATES: dict[type[records.Record], str] = {
    records.FaultUncertain: "uncertain, counts as injected",
    records.FaultRefused: "closed",
    records.UndoBegan: "being undone",
    records.FaultReverted: "gone, read back",
    records.FaultWatched: "gone, watched",
    records.FaultClosed: "closed",
    records.FaultSpent: "over",
    records.FaultStuck: "NOT REVERTED",
}


class Tally(msgspec.Struct):
    """One clause in the present phase; `last` is its newest reading, as people read it."""

    clause: Clause
    good: int = 0
    bad: int = 0
    unknown: int = 0
    newest: ClauseCount | None = None
    last: str = ""

    @property
    def word(self) -> str:
        """ok, violated or unknown, so far; an event clause by its share, a gauge by its last reading."""
        if self.good + self.bad == 0:
            return "unknown"
        try:
            return "violated" if self.bad > allowance(self.clause) * (self.good + self.bad) else "ok"
        except ValueError:
            return "violated" if self.newest is not None and self.newest.bad else "ok"


class CheckView(msgspec.Struct):
    """One check as it stands."""

    title: str
    check: Check
    tallies: list[Tally]
    curve: deque[float | None]
    margin: float | None = None

    def word(self, fault_open: bool) -> str:
        """The worst of the clauses that decide now."""
        words = {self.tallies[n].word for n in self.check.judged(fault_open)}
        return next((word for word in ("violated", "unknown") if word in words), "ok")

    def spark(self) -> str:
        """The newest readings of its first clause as a line of bars, from 0 to the highest."""
        known = [value for value in self.curve if value is not None]
        top = max(known, default=0.0) or 1.0
        return "".join("·" if value is None else BARS[min(7, max(0, round(value / top * 7)))] for value in self.curve)


class FaultLine(msgspec.Struct):
    """One fault that was sent, or may have been."""

    title: str
    state: str = "being injected"
    ends_t: float | None = None


class Scene:
    """Everything that is drawn."""

    def __init__(self, plan: Plan) -> None:
        experiment = plan.experiment
        self.title = text.one_line(experiment.title or experiment.name, 100)
        self.environment = plan.environment
        self.steps = len(experiment.method)
        self.run = ""
        self.now = 0.0
        self.phase: records.Phase = "preparing"
        self.step = -1
        self.until_t = 0.0
        self.checks = {name: _check_view(name, check) for name, check in experiment.steady_state.items()}
        self.faults: dict[str, FaultLine] = {}
        self._holds = {fault.n: fault.hold_s for fault in plan.faults}

    @property
    def left_s(self) -> float:
        """Seconds until the present wait is over at the latest."""
        return max(0.0, self.until_t - self.now)

    def shown(self) -> Running:
        """The run as it stands, as values."""
        fault_open = self.phase == "fault"
        return Running(
            run=self.run,
            title=self.title,
            environment=self.environment,
            phase=self.phase,
            step=self.step,
            steps=self.steps,
            now=self.now,
            left_s=self.left_s,
            checks=tuple(_check_shown(view, fault_open) for view in self.checks.values()),
            faults=tuple(_fault_shown(line, self.now) for line in self.faults.values()),
        )

    def hear(self, entry: Entry) -> None:
        """Takes a record in."""
        self.run, self.now = entry.run, max(self.now, entry.t)
        record = entry.record
        if isinstance(record, records.PhaseBegan):
            self._begin(record)
        elif isinstance(record, records.IntentCommitted):
            title = text.one_line(f"{record.kind} on {record.target.key}", 60)
            self.faults[record.fault] = FaultLine(title)
        elif getattr(record, "fault", "") in self.faults:
            self._follow(self.faults[getattr(record, "fault", "")], entry)

    def _begin(self, record: records.PhaseBegan) -> None:
        self.phase, self.step = record.phase, record.step
        if record.phase == "fault":
            self.faults = {name: line for name, line in self.faults.items() if line.state not in OVER}
        for view in self.checks.values():
            view.margin = None
            view.tallies = [Tally(tally.clause, last=tally.last) for tally in view.tallies]

    def _follow(self, line: FaultLine, entry: Entry) -> None:
        record = entry.record
        if isinstance(record, records.FaultInjected):
            line.state = "injected"
            number = record.fault.rpartition(".")[2]
            hold = self._holds.get(int(number)) if number.isdecimal() else None
            line.ends_t = entry.t + hold if hold is not None else None
        elif type(record) in STATES:
            line.state, line.ends_t = STATES[type(record)], None

    def see(self, status: Status) -> None:
        """Takes a tick in."""
        self.now = max(self.now, float(status.tick))
        self.until_t = status.until_t
        for name, share in status.margin.items():
            if name in self.checks:
                self.checks[name].margin = share
        for sample in status.fresh:
            if sample.check in self.checks:
                _take(self.checks[sample.check], sample)


def _check_view(name: str, check: Check) -> CheckView:
    title = text.one_line(check.title or name, 60)
    return CheckView(title, check, [Tally(clause) for clause in check.clauses()], deque(maxlen=SPARK))


def _check_shown(view: CheckView, fault_open: bool) -> CheckShown:
    now = ", ".join(tally.last for tally in view.tallies if tally.last)
    return CheckShown(view.title, view.word(fault_open), now, view.spark(), view.margin)


def _fault_shown(line: FaultLine, now: float) -> FaultShown:
    return FaultShown(line.title, line.state, None if line.ends_t is None else max(0.0, line.ends_t - now))


def _take(view: CheckView, sample: Sample) -> None:
    for count in sample.counts:
        if not 0 <= count.clause < len(view.tallies):
            continue
        tally = view.tallies[count.clause]
        tally.good, tally.bad, tally.unknown = (
            tally.good + count.good,
            tally.bad + count.bad,
            tally.unknown + count.unknown,
        )
        tally.newest = count
        tally.last = _reading(tally.clause, count, sample) or tally.last
    drawn = _drawn(view)
    if any(count.clause == drawn for count in sample.counts):
        view.curve.append(_value(view.tallies[drawn].clause, sample.counts, drawn, sample))


def _drawn(view: CheckView) -> int:
    """The clause whose readings make the curve: a percentile if there is one."""
    names = [expect.percentile(tally.clause.metric) for tally in view.tallies]
    return next((n for n, share in enumerate(names) if share is not None), 0)


def _value(clause: Clause, counts: tuple[ClauseCount, ...], index: int, sample: Sample) -> float | None:
    share = expect.percentile(clause.metric)
    if share is not None:
        return histogram.quantile(sample.histogram, share)
    if clause.metric in sample.values:
        return sample.values[clause.metric]
    known = [count for count in counts if count.clause == index and count.good + count.bad]
    return known[0].good / (known[0].good + known[0].bad) if known else None


def _reading(clause: Clause, count: ClauseCount, sample: Sample) -> str:
    """The newest reading of a clause; empty when this sample says nothing about it."""
    share = expect.percentile(clause.metric)
    metric = text.one_line(clause.metric, 30)
    if share is not None:
        seen = histogram.quantile(sample.histogram, share)
        if seen is not None:
            return f"{metric} {text.duration(seen)}"
        return f"{metric} no answer" if count.bad and not count.good else ""
    if clause.metric in sample.values:
        return f"{metric} {text.number(sample.values[clause.metric])}"
    known = count.good + count.bad
    if not known:
        return f"{metric} unknown"
    return f"{metric} {text.share(count.good / known)}"
