"""What a plan can say before anything is measured: enough events, rules that cannot fire. No IO, no clock."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from chaos_runner.cusum import Cusum
from chaos_runner.model import Experiment
from chaos_runner.plan import ClauseForecast
from chaos_runner.records import ClauseCount, Sample
from chaos_runner.recovery import RecoveryWatch
from chaos_runner.rule import Counts, Rule, min_events, seconds

CONFIRM_TAKES_S = 3.0  # a finding begins when the effect was confirmed: so much of a window may be lost


def forecasts(rules: Sequence[Rule]) -> tuple[ClauseForecast, ...]:
    """Events per deciding clause in the shortest fault window, and how many its verdict needs."""
    return tuple(
        ClauseForecast(rule.check, rule.text, rule.shortest, min_events(rule.allowed)) for rule in _counting(rules)
    )


def refusals(rules: Sequence[Rule], experiment: Experiment) -> tuple[str, ...]:
    """Sentences: which clause no run can judge, and what would be enough."""
    found = [*_too_few(rules), *_short_baseline(rules, experiment.baseline)]
    return (*found, *_slow_recovery(rules, experiment.recovery.within))


def warnings(rules: Sequence[Rule], experiment: Experiment) -> tuple[str, ...]:
    """Sentences: which abort rules cannot fire in time, and which verdicts hang by a few events."""
    return (*_harmless(experiment), *_mute(rules), *_unspendable(rules, experiment), *_barely(rules))


def _harmless(experiment: Experiment) -> Iterator[str]:
    if not experiment.faults():
        yield "the method has no fault: HELD will only say that the steady state is steady"


def _counting(rules: Sequence[Rule]) -> list[Rule]:
    return [rule for rule in rules if rule.kind == "event" and rule.during and rule.windows]


def _name(rule: Rule) -> str:
    return f"{rule.check}: {rule.text}"


def _window(rule: Rule) -> float:
    return rule.shortest / rule.rate


def _too_few(rules: Sequence[Rule]) -> Iterator[str]:
    for rule in _counting(rules):
        needed = min_events(rule.allowed)
        if rule.shortest < needed:
            yield (
                f"{_name(rule)}: {rule.shortest:g} events in a fault window of {seconds(_window(rule))}, a verdict"
                f" needs {needed}: `for: {math.ceil(needed / rule.rate)}s` or {needed / _window(rule):.3g}/s"
                " would be enough"
            )


def _short_baseline(rules: Sequence[Rule], baseline: float) -> Iterator[str]:
    for rule in rules:
        needed = min_events(rule.allowed)
        if rule.kind == "event" and rule.expected and rule.rate * baseline < needed:
            yield (
                f"{_name(rule)}: {rule.rate * baseline:g} events in a baseline of {seconds(baseline)}, {needed} are"
                f" needed: `baseline: {math.ceil(needed / rule.rate)}s` would be enough"
            )


def _slow_recovery(rules: Sequence[Rule], within: float) -> Iterator[str]:
    for rule in rules:
        if rule.expected and (least := _until_recovered(rule, within)) is None:
            yield (
                f"{_name(rule)}: a system that is well at once cannot be seen to be well within the recovery of"
                f" {seconds(within)}; make `recovery.within` longer or the samples more frequent"
            )
        elif rule.expected and least is not None and least + rule.lag_s > within:
            yield f"{_name(rule)}: `recovery.within` must be at least {seconds(math.ceil(least + rule.lag_s))}"


def _until_recovered(rule: Rule, within: float) -> int | None:
    watch = RecoveryWatch([rule], 0)
    for tick, events in _polled(rule, within):
        watch.observe([Sample(rule.check, tick, (ClauseCount(rule.clause, events, 0, 0),))])
        if watch.recovered_at() is not None:
            return tick + 1
    return None


def _polled(rule: Rule, span: float) -> Iterator[tuple[int, int]]:
    """The ticks of a span that hold a sample, with the events in each."""
    every = max(1, math.ceil(rule.every))
    for tick in range(0, math.ceil(span), every):
        yield tick, max(1, round(rule.rate * every))


def _mute(rules: Sequence[Rule]) -> Iterator[str]:
    """Abort rules that a total outage from the first second on would not trip within the shortest window."""
    for rule in rules:
        if not rule.during or not rule.windows:
            continue
        cusum, span = Cusum(rule, 0), _window(rule)
        for tick, events in _polled(rule, span):
            cusum.add(tick, Counts(0, events, 0))
        if cusum.fired is None or cusum.fired + 1 + rule.lag_s > span:
            reason = (
                f"`violated_for: {seconds(rule.violated_for)}`"
                + (f" and answers up to {seconds(rule.lag_s)} late" if rule.lag_s else "")
                if rule.violated_for + rule.lag_s >= span
                else f"a sample every {seconds(rule.every)}"
            )
            yield f"{_name(rule)} cannot stop this run: {reason} against a fault of {seconds(span)}"
        if rule.blind_after >= span:
            yield f"{_name(rule)}: blindness shows after {seconds(rule.blind_after)}, the fault lasts {seconds(span)}"


def _unspendable(rules: Sequence[Rule], experiment: Experiment) -> Iterator[str]:
    budget = experiment.abort.error_budget
    if budget is None or not rules:
        return
    limit = budget.spend * (1 - budget.slo) * budget.over
    total = max((rule.planned / rule.rate for rule in rules), default=0.0)
    if limit > total:
        yield (
            f"the error budget cannot stop this run: its limit is {seconds(limit)} of outage,"
            f" the faults last {seconds(total)} in all"
        )


def _barely(rules: Sequence[Rule]) -> Iterator[str]:
    for rule in _counting(rules):
        needed = min_events(rule.allowed)
        if needed <= rule.shortest and rule.rate * (_window(rule) - CONFIRM_TAKES_S) < needed:
            yield (
                f"{_name(rule)}: {rule.shortest:g} events for {needed} needed: if the effect is confirmed late,"
                " the verdict is UNKNOWN"
            )
