"""When to stop early: violated criteria, a spent error budget, blindness. No IO, no clock.

Levers, people and deadlines are not judged here: the engine sees them itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from chaos_runner.cusum import Cusum
from chaos_runner.model import ErrorBudget
from chaos_runner.records import Sample
from chaos_runner.rule import Counts, Key, Rule, bad_words, counted, percent, plus, seconds


class Tripped(msgspec.Struct, frozen=True):
    """The first reason to stop; `tick` is the tick whose counts decided."""

    stopped_by: Literal["criterion", "blind"]
    why: str
    check: str
    clause: str
    tick: int


class AbortWatch:
    """Watches one fault window. Feed it every sample as it comes; samples before `start_tick` do not count."""

    def __init__(
        self, rules: Sequence[Rule], start_tick: int, *, budget: ErrorBudget | None = None, fault_open: bool = True
    ) -> None:
        self._rules = [rule for rule in rules if rule.judged(fault_open)]
        self._spending = _Spending(rules, budget, start_tick) if budget is not None else None
        self._valid: dict[Key, int] = {}
        self.restart(start_tick)

    def restart(self, start_tick: int) -> None:
        """Begins anew at the next injection; what was spent of the error budget stays spent."""
        self._start = start_tick
        self._cusums = {rule.key: Cusum(rule, start_tick) for rule in self._rules}
        self._tripped: Tripped | None = None

    def observe(self, samples: Iterable[Sample]) -> None:
        """Takes samples in, late and out of order as they come."""
        for sample in samples:
            for key, counts in counted(sample):
                self._take(key, sample.tick, counts)

    def _take(self, key: Key, tick: int, counts: Counts) -> None:
        if key in self._cusums:
            self._cusums[key].add(tick, counts)
            if counts.valid:
                self._valid[key] = max(tick, self._valid.get(key, tick))
        if self._spending is not None:
            self._spending.add(key, tick, counts)

    def tripped(self, now_tick: int) -> Tripped | None:
        """The first reason to stop, or None; `now_tick` is the tick that is under way. Stays once it is there."""
        if self._tripped is None:
            self._tripped = self._violated() or self._spent() or self._blind(now_tick)
        return self._tripped

    def _violated(self) -> Tripped | None:
        fired = [(cusum.fired, cusum) for cusum in self._cusums.values() if cusum.fired is not None]
        if not fired:
            return None
        tick, cusum = min(fired, key=lambda pair: pair[0])
        rule = cusum.rule
        limit = f"; limit {percent(rule.allowed)}" if rule.kind == "event" else ""
        why = f"{rule.check}: {rule.text} violated for {seconds(cusum.lasted)} ({bad_words(rule, cusum.seen)}{limit})"
        return Tripped("criterion", why, rule.check, rule.text, tick)

    def _spent(self) -> Tripped | None:
        spending = self._spending
        if spending is None or not 0 < spending.limit_s <= spending.spent_s:
            return None
        return Tripped("criterion", spending.sentence(), spending.budget.check, "error_budget", spending.last)

    def _blind(self, now_tick: int) -> Tripped | None:
        for rule in self._rules:
            # A sample from before the injection counts as sight; none at all counts from the injection on.
            silent = now_tick - self._valid.get(rule.key, self._start - 1) - 1
            if silent >= rule.blind_after:
                why = (
                    f"{rule.check}: no valid sample of {rule.text} for {seconds(silent)}"
                    f" (limit {seconds(rule.blind_after)})"
                )
                return Tripped("blind", why, rule.check, rule.text, now_tick)
        return None

    def margin(self) -> dict[str, float]:
        """How far each check is on the way to an abort by its criteria or the error budget, from 0 to 1."""
        found: dict[str, float] = {}
        for (check, _), cusum in self._cusums.items():
            found[check] = max(found.get(check, 0.0), min(1.0, cusum.level))
        spending = self._spending
        if spending is not None:
            found[spending.budget.check] = max(found.get(spending.budget.check, 0.0), spending.share)
        return found


class _Spending:
    """Seconds of bad service of one check since the first injection: in each tick the worst clause's bad share.

    It counts the clauses of `expect` also while a fault is open: what was foreseen was not well for users either.
    """

    def __init__(self, rules: Sequence[Rule], budget: ErrorBudget, start: int) -> None:
        self.budget = budget
        self.limit_s = budget.spend * (1 - budget.slo) * budget.over
        self.spent_s = 0.0
        self.last = start
        self._start = start
        self._covers = {r.key: max(1.0, r.every) for r in rules if r.check == budget.check and r.expected}
        self._counts: dict[int, dict[Key, Counts]] = {}

    def add(self, key: Key, tick: int, counts: Counts) -> None:
        if key not in self._covers or tick < self._start:
            return
        self.last = max(self.last, tick)
        seen = self._counts.setdefault(tick, {})
        before = max((known.share for known in seen.values()), default=0.0)
        seen[key] = plus(seen.get(key, Counts()), counts)
        after = max(known.share for known in seen.values())
        self.spent_s += (after - before) * self._covers[key]

    @property
    def share(self) -> float:
        return min(1.0, self.spent_s / self.limit_s) if self.limit_s > 0 else 0.0

    def sentence(self) -> str:
        budget = self.budget
        return (
            f"{budget.check}: {seconds(self.spent_s)} of bad service since the first injection, the limit is"
            f" {seconds(self.limit_s)} ({percent(budget.spend)} of the error budget of {percent(budget.slo)}"
            f" over {budget.over / 86400:g}d)"
        )
