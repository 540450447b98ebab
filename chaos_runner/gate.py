"""Whether a run may start: the baseline judged by the rules that will judge the fault. No IO, no clock.

A steady state that would trip the abort rules by itself, or that would breach the fault window by chance, teaches
nothing about the fault; then nothing is injected, and the sentence says what to write instead.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import msgspec

from chaos_runner import histogram
from chaos_runner.abort import AbortWatch
from chaos_runner.expect import percentile
from chaos_runner.finding import exceeds, judge, unmeasured
from chaos_runner.model import ErrorBudget
from chaos_runner.records import Sample
from chaos_runner.rule import Counts, Rule, Ticks, bad_words, by_clause, min_events, percent, pooled

CHANCE_MAX = 0.05  # of a run where the fault does nothing, and the finding is DEVIATED all the same
GAUGE_BAD_MAX = 0.1  # share of bad readings in the baseline
LONGER_MAX = 10  # a `for:` more than this many times as long is no advice


class Opened(msgspec.Struct, frozen=True):
    """The steady state is steady. `clauses` fits records.BaselineHeld."""

    clauses: tuple[tuple[str, str, int, int, int], ...]


class Closed(msgspec.Struct, frozen=True):
    """Nothing may be injected; `why` is a sentence that names what would work."""

    why: str


def gate(
    rules: Sequence[Rule], samples: Sequence[Sample], baseline: Collection[int], budget: ErrorBudget | None = None
) -> Opened | Closed:
    """Opened only when every clause of `expect` was measured and ok over the baseline's ticks."""
    counts = by_clause(samples)
    judging = [rule for rule in rules if rule.expected]
    against = [why for rule in judging if (why := _against(rule, counts.get(rule.key, {}), baseline, samples))]
    against = against or _replayed(rules, samples, baseline, budget)
    if against or not judging:
        return Closed("; ".join(against) or "no clause says what the steady state is")
    return Opened(tuple((r.check, r.text, *pooled(counts[r.key], baseline)) for r in judging))


def stuttered(rules: Sequence[Rule], samples: Sequence[Sample], baseline: Collection[int]) -> bool:
    """Whether the baseline lacks measurements that some more of it may make up for: most of it was measured."""
    counts = by_clause(samples)
    gaps = [ticks for rule in rules if rule.expected and unmeasured(rule, ticks := counts.get(rule.key, {}), baseline)]
    return bool(gaps) and all(_mostly(ticks, baseline) for ticks in gaps)


def _mostly(ticks: Ticks, baseline: Collection[int]) -> bool:
    mine = [counts for tick, counts in ticks.items() if tick in baseline]
    return sum(counts.valid for counts in mine) > len(mine) / 2


def _against(rule: Rule, ticks: Ticks, baseline: Collection[int], samples: Sequence[Sample]) -> str:
    """What speaks against starting, for one clause; empty when nothing does."""
    state, why = judge(rule, ticks, baseline)
    counts = pooled(ticks, baseline)
    name = f"{rule.check}: {rule.text}"
    if state == "unknown":
        return f"{name} is unknown in the baseline: {why}{_longer_baseline(rule, counts)}"
    if rule.kind == "gauge":
        return _unsteady(rule, ticks, baseline)
    if exceeds(counts, rule.allowed):
        return f"{name} does not hold in the baseline: {why}{_advice(rule, counts, baseline, samples)}"
    chance = breach_chance(rule, counts.share)
    if chance > CHANCE_MAX:
        return (
            f"{name} would be violated by chance in {percent(chance)} of healthy runs: {why} in the baseline"
            f"{_advice(rule, counts, baseline, samples)}"
        )
    return ""


def _unsteady(rule: Rule, ticks: Ticks, baseline: Collection[int]) -> str:
    counts = pooled(ticks, baseline)
    last = max((tick for tick in ticks if tick in baseline and ticks[tick].known), default=None)
    if last is not None and ticks[last].bad:
        return f"{rule.check}: {rule.text} is violated right now, at the end of the baseline"
    if counts.share > GAUGE_BAD_MAX:
        return (
            f"{rule.check}: {rule.text} does not hold in the baseline: {bad_words(rule, counts)}, at most 10 % may be"
        )
    return ""


def _replayed(
    rules: Sequence[Rule], samples: Sequence[Sample], baseline: Collection[int], budget: ErrorBudget | None
) -> list[str]:
    """The abort rules over the baseline: would they have stopped a run in which nothing was injected?"""
    watch = AbortWatch(rules, min(baseline), budget=budget, fault_open=False)
    watch.observe(sorted((s for s in samples if s.tick in baseline), key=lambda sample: sample.tick))
    tripped = watch.tripped(max(baseline) + 1)
    return [f"the abort rules would have fired in the baseline: {tripped.why}"] if tripped is not None else []


def _longer_baseline(rule: Rule, counts: Counts) -> str:
    needed = min_events(rule.allowed)
    if rule.kind == "gauge" or counts.unknown or counts.known >= needed or not rule.rate:
        return ""
    return f"; `baseline: {_fives(needed / rule.rate)}s` would be enough"


def breach_chance(rule: Rule, share: float, longer: float = 1.0, allowed: float | None = None) -> float:
    """The chance that some fault window breaches the clause when events go on being bad at this rate."""
    limit = rule.allowed if allowed is None else allowed
    once = over_chance(round(rule.shortest * longer), share, limit)
    return max(1 - (1 - once) ** rule.windows, over_chance(round(rule.planned * longer), share, limit))


def over_chance(n: int, p: float, allowed: float) -> float:
    """P(X > allowed·n) for X ~ Binomial(n, p), summed from the largest term of the lower tail down."""
    top = math.floor(allowed * n + 1e-9)
    if p <= 0 or top >= n:
        return 0.0
    if p >= 1:
        return 1.0
    mode = min(top, int((n + 1) * p))
    peak = math.exp(_log_choose(n, mode) + mode * math.log(p) + (n - mode) * math.log1p(-p))
    odds = p / (1 - p)
    below = above = peak
    terms = [peak]
    for k in range(mode, 0, -1):
        below *= k / ((n - k + 1) * odds)
        terms.append(below)
    for k in range(mode, top):
        above *= (n - k) / (k + 1) * odds
        terms.append(above)
    return max(0.0, 1.0 - math.fsum(terms))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _advice(rule: Rule, counts: Counts, baseline: Collection[int], samples: Sequence[Sample]) -> str:
    """What would work instead: a longer `for:`, a wider limit, or both; empty when neither helps."""
    ways = [way for way in (_longer_fault(rule, counts), _wider(rule, counts, baseline, samples)) if way]
    return f"; {' or '.join(ways)} would work" if ways else ""


def _longer_fault(rule: Rule, counts: Counts) -> str:
    if counts.share >= rule.allowed or not rule.rate or not rule.shortest:
        return ""
    now = rule.shortest / rule.rate
    for wait in range(_fives(now + 1), int(now * LONGER_MAX) + 1, 5):
        if breach_chance(rule, counts.share, wait / now) <= CHANCE_MAX:
            return f"`for: {wait}s`"
    return ""


def _wider(rule: Rule, counts: Counts, baseline: Collection[int], samples: Sequence[Sample]) -> str:
    if percentile(rule.metric) is not None:
        return _slower_limit(rule, counts, baseline, samples)
    for tenths in range(1, 500):
        allowed = tenths / 1000
        if not exceeds(counts, allowed) and breach_chance(rule, counts.share, allowed=allowed) <= CHANCE_MAX:
            return f"`{rule.metric} >= {100 - tenths / 10:g}%`"
    return ""


def _slower_limit(rule: Rule, counts: Counts, baseline: Collection[int], samples: Sequence[Sample]) -> str:
    """The latency that so few requests exceeded that the fault window would hold by more than chance."""
    seen = histogram.merge(s.histogram for s in samples if s.check == rule.check and s.tick in baseline)
    answered = sum(count for _, count in seen)
    slow = _slow_allowed(rule, counts.known)
    if not answered or counts.known - slow > answered:
        return ""
    limit = histogram.quantile(seen, (counts.known - slow) / answered)
    return f"`{rule.metric} <= {_rounded_up(limit)}`" if limit is not None else ""


def _slow_allowed(rule: Rule, known: int) -> int:
    """How many of the baseline's requests may be slow for the gate to open; found by bisection."""
    low, high = 0, int(rule.allowed * known)
    while low < high:
        half = (low + high + 1) // 2
        low, high = (half, high) if breach_chance(rule, half / known) <= CHANCE_MAX else (low, half - 1)
    return low


def _rounded_up(seconds: float) -> str:
    """A latency with two digits, never below the true one: 1.3s, 250ms."""
    unit, value = ("s", seconds) if seconds >= 1 else ("ms", seconds * 1000)
    value *= histogram.STEP**0.5  # a bucket's middle stands for all of it
    digits = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{round(math.ceil(value / digits) * digits, 6):g}{unit}"


def _fives(seconds: float) -> int:
    """Whole seconds, rounded up to a multiple of five."""
    return 5 * math.ceil(seconds / 5 - 1e-9)
