"""Suspicion about one clause, tick by tick: a capped CUSUM for events, a row of bad readings for gauges. No IO.

The level runs from 0 (well) to 1 (stop). No tick adds more than its share of `violated_for`, so the level cannot
reach 1 sooner, however bad it is; and it falls back as fast as good events come.
"""

from __future__ import annotations

import math

from chaos_runner.rule import ALMOST, Counts, Rule, Ticks, plus


class Cusum:
    """The level of one clause from `start` on. Counts may come late and in parts; the order makes no difference."""

    def __init__(self, rule: Rule, start: int) -> None:
        self.rule = rule
        self._start = start
        self._ticks: Ticks = {}
        self._forget()

    def _forget(self) -> None:
        self.level = 0.0
        self.fired: int | None = None
        self._last = self._start - 1
        self._since = self._start
        self._seen = Counts()

    def add(self, tick: int, counts: Counts) -> None:
        """Takes the counts of a tick in; those before `start` are left out."""
        if tick < self._start:
            return
        self._ticks[tick] = plus(self._ticks.get(tick, Counts()), counts)
        if tick > self._last:
            self._step(tick, counts)
        else:
            self._forget()
            for known in sorted(self._ticks):
                self._step(known, self._ticks[known])

    def _step(self, tick: int, counts: Counts) -> None:
        # The first bad sample stands for its own tick only: when it began is not known. Later ones stand for the
        # time since the sample before (a slow read leaves ticks out); blindness bounds how long that can be.
        covers = tick - self._last if self.level > 0 else 1
        self._last = tick
        if counts.known == 0 or self.fired is not None:
            return  # unknown neither clears a suspicion nor adds to it; blindness has its own rule
        self._since, self._seen = (self._since, plus(self._seen, counts)) if self.level > 0 else (tick, counts)
        self.level = max(0.0, self.level + min(covers / self.rule.violated_for, self._says(counts)))
        if self.level >= ALMOST:
            self.fired = tick

    def _says(self, counts: Counts) -> float:
        """What these counts say for a breach, where 1 is enough to stop."""
        if self.rule.kind == "gauge":
            return -math.inf if counts.good else math.inf
        bad = counts.bad * self.rule.bad_weight if counts.bad else 0.0
        return (bad + counts.good * self.rule.good_weight) / self.rule.threshold

    @property
    def lasted(self) -> int:
        """How many ticks the present suspicion has lasted."""
        return self._last - self._since + 1 if self.fired is None else self.fired - self._since + 1

    @property
    def seen(self) -> Counts:
        """What was counted since the present suspicion began."""
        return self._seen
