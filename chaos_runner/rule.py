"""What the judge knows about each clause before a run: its limits in numbers. No IO, no clock.

An event clause counts bad events against the share it allows; a gauge clause is ok or not at each reading. All the
judge's parts (gate, abort, finding, recovery) read the same frozen rules, so they cannot disagree about a limit.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from chaos_runner.expect import allowance, percentile
from chaos_runner.model import Experiment, FaultStep, ParallelStep
from chaos_runner.records import Sample

FALSE_ABORTS = 0.001  # the chance that all abort rules of a run together stop a healthy one
RATE_BREACHED = 0.10  # the abort rule looks for at least this share of bad events
TIMES_ALLOWED = 3.0  # ... or for this many times what the clause allows
TICKS_VALID = 0.9  # the share of ticks, and of events, that must be known
BLIND_AFTER_S = 10.0
BLIND_INTERVALS = 3.0
ALMOST = 1 - 1e-9  # sums of floats that should be 1 may fall short by rounding

Key = tuple[str, int]  # a check and an index into its clauses()


class Measured(msgspec.Struct, frozen=True):
    """How one clause is measured; `events_per_second` is 0 for a polled check: one event or reading a sample."""

    kind: Literal["event", "gauge"]
    events_per_second: float = 0.0
    lag_s: float = 0.0


class Rule(msgspec.Struct, frozen=True):
    """One clause in numbers. Shares are between 0 and 1, times in seconds, which are ticks.

    `allowed` is p0, `breached` p1 and `threshold` h of the abort rule; `planned` counts the events of all fault
    windows, `shortest` those of the shortest one; `every` is the time between two samples.
    """

    check: str
    clause: int
    text: str
    metric: str
    limit: str
    kind: Literal["event", "gauge"]
    expected: bool
    during: bool
    allowed: float
    breached: float
    threshold: float
    violated_for: float
    rate: float
    planned: float
    shortest: float
    windows: int
    every: float = 1.0
    lag_s: float = 0.0

    @property
    def key(self) -> Key:
        """Where samples carry its counts."""
        return self.check, self.clause

    @property
    def good_weight(self) -> float:
        """What one good event says for a breach, in log-likelihood: below 0."""
        return math.log((1 - self.breached) / (1 - self.allowed))

    @property
    def bad_weight(self) -> float:
        """What one bad event says for a breach; infinite where none is allowed."""
        return math.log(self.breached / self.allowed) if self.allowed > 0 else math.inf

    @property
    def blind_after(self) -> float:
        """Seconds without a valid sample after which the check is blind; a late one may still be under way."""
        return max(BLIND_INTERVALS * self.every, BLIND_AFTER_S) + self.lag_s

    def judged(self, fault_open: bool) -> bool:
        """Whether this clause decides now."""
        return self.during if fault_open else self.expected


def breached(allowed: float) -> float:
    """The share of bad events the abort rule looks for: three times what is allowed, and at least 10 %.

    Three times would pass 1 for a median, so above 20 % it is half way between `allowed` and 1.
    """
    return max(RATE_BREACHED, min(TIMES_ALLOWED * allowed, (1 + allowed) / 2))


def min_events(allowed: float) -> int:
    """How many events a verdict needs: so many that a true share of `allowed` would show with 95 % chance.

    Where nothing is allowed no number is enough for that; then it is a share of 10 % that would show.
    """
    return math.ceil(3 / (allowed or RATE_BREACHED) - 1e-9)


def rules(
    experiment: Experiment, measured: Mapping[str, Sequence[Measured]], windows: Sequence[float] | None = None
) -> tuple[Rule, ...]:
    """One rule for every clause of every check.

    `measured` follows `Check.clauses()`; `windows` are the planned seconds of each fault window, by default those
    of the method.
    """
    spans = tuple(windows) if windows is not None else planned_windows(experiment)
    deciding = sum(
        measured[name][n].kind == "event"
        for name, check in experiment.steady_state.items()
        for n in check.judged(fault_open=True)
    )
    return tuple(
        _rule(experiment, (name, n), measured[name][n], spans, max(1, deciding))
        for name, check in experiment.steady_state.items()
        for n in range(len(check.clauses()))
    )


def planned_windows(experiment: Experiment) -> tuple[float, ...]:
    """How long each fault step of the method lasts; parallel faults share one window."""
    spans = []
    for step in experiment.method:
        if isinstance(step, FaultStep):
            spans.append(step.for_)
        elif isinstance(step, ParallelStep):
            spans.append(max(lane.for_ for lane in step.parallel))
    return tuple(spans)


def _rule(experiment: Experiment, key: Key, measured: Measured, spans: Sequence[float], deciding: int) -> Rule:
    name, n = key
    check = experiment.steady_state[name]
    clause = check.clauses()[n]
    allowed = allowance(clause) if measured.kind == "event" else 0.0
    polled = measured.events_per_second == 0
    rate = 1 / check.interval if polled else measured.events_per_second
    planned = rate * sum(spans)
    return Rule(
        check=name,
        clause=n,
        text=clause.text,
        metric=clause.metric,
        limit=clause.text.split(clause.op, 1)[1].strip(),
        kind=measured.kind,
        expected=n in check.judged(fault_open=False),
        during=n in check.judged(fault_open=True),
        allowed=allowed,
        breached=breached(allowed),
        threshold=math.log(max(1.0, planned) * deciding / FALSE_ABORTS),
        violated_for=experiment.abort.patience(name),
        rate=rate,
        planned=planned,
        shortest=rate * min(spans, default=0.0),
        windows=len(spans),
        every=check.interval if polled else 1.0,
        lag_s=measured.lag_s,
    )


class Counts(NamedTuple):
    """What one clause saw: good, bad and unknown events or readings."""

    good: int = 0
    bad: int = 0
    unknown: int = 0

    @property
    def known(self) -> int:
        """Events that could be judged."""
        return self.good + self.bad

    @property
    def valid(self) -> bool:
        """Whether this tick says something: at least half of its events are known."""
        return self.known > 0 and self.known >= self.unknown

    @property
    def share(self) -> float:
        """The bad share of the known events; 0 where nothing is known."""
        return self.bad / self.known if self.known else 0.0


def plus(a: Counts, b: Counts) -> Counts:
    """Both together."""
    return Counts(a.good + b.good, a.bad + b.bad, a.unknown + b.unknown)


Ticks = dict[int, Counts]


def counted(sample: Sample) -> Iterator[tuple[Key, Counts]]:
    """What each clause saw in this sample."""
    for seen in sample.counts:
        yield (sample.check, seen.clause), Counts(seen.good, seen.bad, seen.unknown)


def by_clause(samples: Iterable[Sample]) -> dict[Key, Ticks]:
    """The counts of each clause by tick, whatever order the samples came in."""
    found: dict[Key, Ticks] = {}
    for sample in samples:
        for key, counts in counted(sample):
            ticks = found.setdefault(key, {})
            ticks[sample.tick] = plus(ticks[sample.tick], counts) if sample.tick in ticks else counts
    return found


def pooled(ticks: Mapping[int, Counts], window: Collection[int]) -> Counts:
    """All counts of a window together."""
    chosen = [counts for tick, counts in ticks.items() if tick in window]
    return Counts(*(sum(column) for column in zip(*chosen, strict=True))) if chosen else Counts()


def percent(share: float, beside: float | None = None) -> str:
    """A share as people read it; with as many decimals as it takes to tell it from the limit beside it."""
    for decimals in (0 if share >= 0.1 else 1, 1, 2, 3, 4):
        text = _trimmed(share, decimals)
        told = beside is None or share == beside or text != _trimmed(beside, decimals)
        if told and (text not in ("0", "100") or share in (0, 1)):
            break
    return f"{text} %"


def _trimmed(share: float, decimals: int) -> str:
    text = f"{100 * share:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def bad_words(rule: Rule, counts: Counts) -> str:
    """What went wrong, counted: "3 of 612 requests failed"."""
    if rule.kind == "gauge":
        return f"{counts.bad} of {counts.known} readings bad"
    word = "failed" if percentile(rule.metric) is None else f"slower than {rule.limit}"
    return f"{counts.bad} of {counts.known} requests {word}"


def seconds(value: float) -> str:
    """A duration as people read it: 10s, 2.5s."""
    return f"{value:.1f}".removesuffix(".0") + "s"
