"""What a run did to users, as far as it was measured: requests, seconds, error budget. No IO, no clock.

A request may break two clauses of its check: in each second the worst clause counts, so that none is counted twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from chaos_runner import expect
from chaos_runner.history import Run
from chaos_runner.model import Check, ErrorBudget
from chaos_runner.records import ClauseCount, Sample
from chaos_runner.rule import breached


class Harm(msgspec.Struct, frozen=True):
    """From the injection to the end of the run. None is not measured; 0 is measured and nothing."""

    requests: int | None = None  # that were bad, of those known
    known: int = 0  # those whose outcome is known
    of: int = 0  # all of them, known or not
    unknown: int = 0
    seconds: int | None = None  # in which at least one was bad
    bad_s: float | None = None  # sum over seconds of the worst clause's bad share
    first_t: float | None = None  # the first second as bad as the abort rule looks for
    last_t: float | None = None  # the end of the last one
    where: str = ""  # which clause was first
    budget: ErrorBudget | None = None
    budget_share: float | None = None  # of the SLO's budget
    why: str = ""  # why something is missing


class _Clause(msgspec.Struct, frozen=True):
    check: str
    text: str
    allowed: float | None  # None: readings, not events
    usual: bool  # stands in `expect`, not only in `during`


def harm(run: Run, samples: Sequence[Sample]) -> Harm:
    """The measured harm of a run."""
    since = min((one.injected_t for one in run.faults.values() if one.injected_t is not None), default=None)
    if since is None:
        return Harm(why="no fault was injected")
    checks = _checks(run)
    known = _by_second(samples, since)
    if not known:
        return Harm(why="nothing was measured after the injection")
    first, last, where = _violated(checks, known)
    found = Harm(first_t=None if first is None else max(float(first), since), last_t=last, where=where)
    found = _counted(found, checks, known)
    return _budgeted(found, run, checks, known)


def _checks(run: Run) -> dict[str, tuple[_Clause, ...]]:
    experiment = run.plan.get("experiment")
    steady = experiment.get("steady_state") if isinstance(experiment, dict) else None
    found = {}
    for name, value in (steady if isinstance(steady, dict) else {}).items():
        try:
            check = msgspec.convert(value, Check)
        except (msgspec.ValidationError, ValueError):
            continue  # an old or damaged plan costs this check, not the report
        found[name] = tuple(_Clause(name, one.text, _allowed(one), one in check.expect) for one in check.clauses())
    return found


def _allowed(clause: expect.Clause) -> float | None:
    try:
        return expect.allowance(clause)
    except ValueError:
        return None


Seconds = dict[str, dict[int, dict[int, tuple[int, int, int]]]]  # check -> tick -> clause -> good, bad, unknown


def _by_second(samples: Sequence[Sample], since: float) -> Seconds:
    found: Seconds = {}
    for sample in samples:
        if sample.tick + 1 > since:
            cell = found.setdefault(sample.check, {}).setdefault(sample.tick, {})
            for one in sample.counts:
                _add(cell, one)
    return found


def _add(cell: dict[int, tuple[int, int, int]], one: ClauseCount) -> None:
    good, bad, unknown = cell.get(one.clause, (0, 0, 0))
    cell[one.clause] = (good + one.good, bad + one.bad, unknown + one.unknown)


def _violated(checks: dict[str, tuple[_Clause, ...]], known: Seconds) -> tuple[int | None, float | None, str]:
    hits = sorted(
        (tick, clause.check, clause.text)
        for check, clauses in checks.items()
        for tick, cell in known.get(check, {}).items()
        for n, clause in enumerate(clauses)
        if clause.usual and _broken(clause, cell.get(n, (0, 0, 0)))
    )
    if not hits:
        return None, None, ""
    return hits[0][0], hits[-1][0] + 1.0, f"{hits[0][1]}: {hits[0][2]}"


def firsts(run: Run, samples: Sequence[Sample]) -> dict[tuple[str, str], float]:
    """For each clause that was ever beyond its limit after the injection: when first, in seconds since the start."""
    since = min((one.injected_t for one in run.faults.values() if one.injected_t is not None), default=None)
    if since is None:
        return {}
    known = _by_second(samples, since)
    return {
        (check, clause.text): max(float(min(hits)), since)
        for check, clauses in _checks(run).items()
        for n, clause in enumerate(clauses)
        if (hits := [t for t, cell in known.get(check, {}).items() if _too_bad(clause, cell.get(n, (0, 0, 0)))])
    }


def _too_bad(clause: _Clause, counts: tuple[int, int, int]) -> bool:
    """More than is allowed, in one second: of few requests a single one can be that."""
    good, bad, _ = counts
    return bad > 0 and bad / (good + bad) > (clause.allowed or 0.0)


def _broken(clause: _Clause, counts: tuple[int, int, int]) -> bool:
    """As bad as the abort rule looks for: what a healthy system shows in one second now and then is no symptom."""
    good, bad, _ = counts
    if clause.allowed is None:
        return bad > 0
    return bad > 0 and bad / (good + bad) >= breached(clause.allowed)


def _counted(found: Harm, checks: dict[str, tuple[_Clause, ...]], known: Seconds) -> Harm:
    requests = counted = of = unknown = 0
    hurt: set[int] = set()
    measured = False
    for check, clauses in checks.items():
        events = [n for n, one in enumerate(clauses) if one.allowed is not None]
        for tick, cell in known.get(check, {}).items():
            counts = [cell[n] for n in events if n in cell]
            if not counts:
                continue
            bad = max(one[1] for one in counts)
            measured = measured or any(one[0] + one[1] for one in counts)
            requests, of = requests + bad, of + max(sum(one) for one in counts)
            counted, unknown = counted + max(one[0] + one[1] for one in counts), unknown + max(one[2] for one in counts)
            hurt |= {tick} if bad else set()
    if not measured:
        why = "no check counted requests" if not of else "no request's outcome is known"
        return msgspec.structs.replace(found, of=of, unknown=unknown, why=why)
    return msgspec.structs.replace(found, requests=requests, known=counted, of=of, unknown=unknown, seconds=len(hurt))


def _budgeted(found: Harm, run: Run, checks: dict[str, tuple[_Clause, ...]], known: Seconds) -> Harm:
    """Bad seconds of the SLO's check; without one, of the check that fared worst."""
    budget = _budget(run)
    chosen = [budget.check] if budget is not None else list(checks)
    spent = [_bad_s(checks[name], known[name]) for name in chosen if name in checks and name in known]
    if not spent:
        return msgspec.structs.replace(found, budget=budget)
    share = max(spent) / ((1 - budget.slo) * budget.over) if budget is not None and budget.over > 0 else None
    return msgspec.structs.replace(found, bad_s=max(spent), budget=budget, budget_share=share)


def _bad_s(clauses: tuple[_Clause, ...], seconds: dict[int, dict[int, tuple[int, int, int]]]) -> float:
    usual = [n for n, one in enumerate(clauses) if one.usual]
    return sum(max((_share(cell[n]) for n in usual if n in cell), default=0.0) for cell in seconds.values())


def _share(counts: tuple[int, int, int]) -> float:
    good, bad, _ = counts
    return bad / (good + bad) if good + bad else 0.0


def _budget(run: Run) -> ErrorBudget | None:
    experiment: Any = run.plan.get("experiment")
    told = experiment.get("abort") if isinstance(experiment, dict) else None
    value = told.get("error_budget") if isinstance(told, dict) else None
    try:
        return msgspec.convert(value, ErrorBudget) if value is not None else None
    except (msgspec.ValidationError, ValueError):
        return None
