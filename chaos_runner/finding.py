"""The finding: each clause judged over the fault windows, from confirm to revert. No IO, no clock.

A clause is judged once over the union of all windows, and then in each window, so that a long good step cannot
dilute a short bad one. Unknown never passes: a clause needs enough events and measurements for an `ok`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from chaos_runner.cusum import Cusum
from chaos_runner.records import ClauseJudged, ClauseState, Finding, Sample
from chaos_runner.rule import (
    TICKS_VALID,
    Counts,
    Rule,
    Ticks,
    bad_words,
    by_clause,
    min_events,
    percent,
    pooled,
    seconds,
)

Judgement = tuple[ClauseState, str]
GAUGE_BAD = 0.5  # a gauge that was bad in more than half of its readings is violated, in however short a row


def judged(
    rules: Sequence[Rule], samples: Sequence[Sample], windows: Sequence[Collection[int]], *, fault_open: bool = True
) -> tuple[ClauseJudged, ...]:
    """Every clause that decides while a fault is open (or while none is), judged over these windows' ticks."""
    counts = by_clause(samples)
    return tuple(_judged(rule, counts.get(rule.key, {}), windows) for rule in rules if rule.judged(fault_open))


def finding(clauses: Sequence[ClauseJudged]) -> Finding:
    """The worst of the clauses; nothing judged is UNKNOWN."""
    states = {clause.state for clause in clauses}
    if "violated" in states:
        return "DEVIATED"
    return "UNKNOWN" if "unknown" in states or not states else "HELD"


def _judged(rule: Rule, ticks: Ticks, windows: Sequence[Collection[int]]) -> ClauseJudged:
    together = frozenset[int]().union(*windows)
    state, why = judge(rule, ticks, together)
    for n, window in enumerate(windows if len(windows) > 1 else ()):
        own, reason = judge(rule, ticks, window, least=0)
        if _worse(own, state) and _convicts(own, rule, pooled(ticks, window)):
            state, why = own, f"fault window {n + 1}: {reason}"
    return ClauseJudged(rule.check, rule.text, state, why, *pooled(ticks, together))


def _worse(a: ClauseState, b: ClauseState) -> bool:
    order = ("ok", "unknown", "violated")
    return order.index(a) > order.index(b)


def _convicts(state: ClauseState, rule: Rule, counts: Counts) -> bool:
    """A few events of one window are too few to find a violation in it; they still count in the union."""
    return state != "violated" or rule.kind == "gauge" or counts.known >= min_events(rule.allowed)


def judge(rule: Rule, ticks: Ticks, window: Collection[int], least: int | None = None) -> Judgement:
    """One clause over one set of ticks, with the figures in a sentence."""
    counts = pooled(ticks, window)
    gap = unmeasured(rule, ticks, window)
    if gap:
        return "unknown", gap
    if rule.kind == "gauge":
        return _judge_gauge(rule, ticks, window, counts)
    needed = min_events(rule.allowed) if least is None else least
    if counts.known < needed:
        return "unknown", f"{counts.known} of the {needed} requests that a verdict needs ({bad_words(rule, counts)})"
    share, limit = percent(counts.share, rule.allowed), percent(rule.allowed)
    why = f"{bad_words(rule, counts)} ({share}, limit {limit})"
    return ("violated" if exceeds(counts, rule.allowed) else "ok"), why


def exceeds(counts: Counts, allowed: float) -> bool:
    """Whether more events were bad than allowed; rounding is no violation."""
    return counts.bad > allowed * counts.known + 1e-9


def unmeasured(rule: Rule, ticks: Ticks, window: Collection[int]) -> str:
    """What is missing for a judgement, in a sentence; empty when 90 % of the ticks and events are known."""
    due = samples_due(window, rule.every)
    needed = math.ceil(TICKS_VALID * due - 1e-9)
    valid = sum(1 for tick, counts in ticks.items() if tick in window and counts.valid)
    if not window:
        return "there was no whole tick to judge"
    if valid < needed:
        return f"measured in {valid} of {due} ticks, {needed} are needed"
    counts = pooled(ticks, window)
    if counts.unknown > (1 - TICKS_VALID) * (counts.known + counts.unknown) + 1e-9:
        return f"{counts.unknown} of {counts.known + counts.unknown} results are unknown, at most 10 % may be"
    return ""


def samples_due(window: Collection[int], every: float) -> int:
    """How many ticks of this window must hold a sample, whatever the phase of the polling; at least 1."""
    return max(1, sum(int(length / max(1.0, every)) for length in _runs(window)))


def _runs(window: Collection[int]) -> list[int]:
    """The lengths of the unbroken stretches of a window."""
    found: list[int] = []
    for n, tick in enumerate(ordered := sorted(window)):
        if n and tick == ordered[n - 1] + 1:
            found[-1] += 1
        else:
            found.append(1)
    return found


def _judge_gauge(rule: Rule, ticks: Ticks, window: Collection[int], counts: Counts) -> Judgement:
    """Violated when bad for `violated_for` in a row, or in more than half of the readings."""
    row = Cusum(rule, min(window))
    for tick in sorted(tick for tick in ticks if tick in window):
        row.add(tick, ticks[tick])
    figures = bad_words(rule, counts)
    if row.fired is not None:
        return "violated", f"{figures}, {row.seen.bad} in a row (limit {seconds(rule.violated_for)})"
    if counts.share > GAUGE_BAD:
        return "violated", f"{figures}, more than half"
    return "ok", figures if not counts.bad else f"{figures}, never for {seconds(rule.violated_for)} in a row"
