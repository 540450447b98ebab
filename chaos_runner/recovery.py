"""When the system is well again after the faults are gone. No IO, no clock.

Events: Wald's sequential test between the allowed and the breached rate, kept between its acceptance bound and 0.
So a bad start does not have to be made up for, and a clause that was accepted must fall all the way back to 0 before
it counts as bad again. Gauges: five ok readings in a row; an unknown one breaks the row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from chaos_runner.records import ClauseState, Sample
from chaos_runner.rule import ALMOST, Counts, Key, Rule, Ticks, bad_words, counted, plus

ALPHA = 0.001
BETA = 0.01
ACCEPTED = math.log(BETA / (1 - ALPHA))
READINGS_OK = 5


class RecoveryWatch:
    """Judges `expect` from `start_tick` on, the first whole tick after the faults were gone."""

    def __init__(self, rules: Sequence[Rule], start_tick: int) -> None:
        self._clauses: dict[Key, _Convalescence] = {
            rule.key: _Convalescence(rule, start_tick) for rule in rules if rule.judged(fault_open=False)
        }
        self._newest = start_tick
        self._recovered: int | None = None

    def observe(self, samples: Iterable[Sample]) -> None:
        """Takes samples in, late and out of order as they come."""
        for sample in samples:
            self._newest = max(self._newest, sample.tick)
            for key, counts in counted(sample):
                if key in self._clauses:
                    self._clauses[key].add(sample.tick, counts)
        if self._recovered is None and self._clauses and not self._ill():
            self._recovered = max(clause.ok_since or 0 for clause in self._clauses.values())

    def _ill(self) -> list[_Convalescence]:
        return [clause for clause in self._clauses.values() if not clause.ok(self._newest)]

    def recovered_at(self) -> int | None:
        """The tick in which the last clause became ok while all others were; stays once it is there."""
        return self._recovered

    def state(self) -> ClauseState:
        """The word for it: ok when recovered, violated when something bad was seen since, else unknown."""
        if self._recovered is not None:
            return "ok"
        return "violated" if any(clause.seen.bad for clause in self._ill()) else "unknown"

    def missing(self) -> str:
        """What is not well yet, in a sentence; empty when recovered."""
        if self._recovered is not None:
            return ""
        return "; ".join(clause.sentence(self._newest) for clause in self._ill())


class _Convalescence:
    """One clause on its way back to ok. Counts may come late and in parts; the order makes no difference."""

    def __init__(self, rule: Rule, start: int) -> None:
        self.rule = rule
        self._start = start
        self._ticks: Ticks = {}
        self._forget()

    def _forget(self) -> None:
        self.ok_since: int | None = None
        self.seen = Counts()
        self._last = self._start - 1
        self._valid = self._start - 1
        self._level = 0.0
        self._row = 0

    def add(self, tick: int, counts: Counts) -> None:
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
        self._last = tick
        self.seen = plus(self.seen, counts)
        self._valid = tick if counts.valid else self._valid
        well = self._gauge(counts) if self.rule.kind == "gauge" else self._events(counts)
        if well is False:
            self.ok_since = None
        elif well and self.ok_since is None:
            self.ok_since = tick

    def _gauge(self, counts: Counts) -> bool:
        self._row = self._row + 1 if counts.good and not counts.bad and not counts.unknown else 0
        return self._row >= READINGS_OK

    def _events(self, counts: Counts) -> bool | None:
        """True at the acceptance bound, False back at 0, None between: then it stays what it was."""
        if not counts.valid:
            return None
        bad = counts.bad * self.rule.bad_weight if counts.bad else 0.0
        self._level = min(0.0, max(ACCEPTED, self._level + bad + counts.good * self.rule.good_weight))
        return True if self._level <= ACCEPTED * ALMOST else None if self._level < 0 else False

    def ok(self, newest: int) -> bool:
        """Whether it is ok by measurements that are not stale."""
        return self.ok_since is not None and not self._stale(newest)

    def _stale(self, newest: int) -> bool:
        return newest - self._valid > self.rule.blind_after

    def sentence(self, newest: int) -> str:
        name = f"{self.rule.check}: {self.rule.text}"
        if self.seen.known == 0 or self._stale(newest):
            return f"{name}: no valid sample for {newest - self._valid}s"
        return f"{name}: {bad_words(self.rule, self.seen)} since the faults were gone"
