"""From a run to its digest: the same figures as in its report. No IO."""

from __future__ import annotations

import hashlib
import math
import re
from collections import defaultdict
from typing import Any

import msgspec

from chaos_runner.history import Run
from chaos_runner.model import Check
from chaos_runner.records import Entry, Sample
from chaos_runner.render import planned, story, tables, text, windows
from chaos_runner.render.planned import Planned
from chaos_runner.render.windows import Spans
from chaos_runner.review import classes, shift
from chaos_runner.review.digest import CheckFigures, ClauseFigures, Digest, Identity

NAMES_MAX, CLAUSES_MAX, CHECKS_MAX = 20, 50, 20
NAME_MAX, WHY_MAX = 120, 300
SUCCESS = "success"
_OF_PLAN = ("baseline", "blast_radius", "abort", "method", "recovery")
_LOOPBACK = re.compile(rb"(127\.0\.0\.1|localhost|\[::1\]):\d+")


class Side(msgspec.Struct):
    """The replies of one check in one part of the run, and what each clause counted: (good, bad)."""

    histogram: defaultdict[int, int] = msgspec.field(default_factory=lambda: defaultdict(int))
    counts: dict[int, tuple[int, int]] = {}


def of(run: Run, entries: list[Entry], samples: list[Sample]) -> Digest:
    """The digest of a run, whole or not."""
    plan = planned.read(run)
    spans = windows.spans(run, entries, samples)
    tallies = _tallies(run, spans, samples)
    outcome = run.outcome
    return Digest(
        run=run.id,
        started_at=run.started_at,
        experiment=_name(plan.name),
        title=_name(plan.title),
        service=_name(plan.service),
        environment=_name(plan.environment),
        source=_name(plan.source),
        word=story.headline(run),
        finding=outcome.finding if outcome else "",
        stopped_by=outcome.stopped_by if outcome else "",
        cleanup=outcome.cleanup if outcome else "",
        why=text.one_line(run.not_started or (outcome.why if outcome else ""), WHY_MAX),
        ended_at=run.ended_at,
        took_s=run.ended_t,
        classes=classes.classes_of([(one.kind, one.aspect) for one in plan.faults or run.faults.values()]),
        proven=classes.classes_of([(o.kind, o.aspect) for o in run.faults.values() if o.confirmed_t is not None]),
        targets=tuple(sorted({_name(one.fault.target.key) for one in spans.windows})[:NAMES_MAX]),
        touched=len({one.fault.target.key for one in spans.windows}),
        checks=tuple(_checks(plan, tallies)),
        clauses=tuple(
            ClauseFigures(_name(one.check), _name(one.clause), one.state, one.good, one.bad, one.unknown)
            for one in run.clauses[:CLAUSES_MAX]
        ),
        recovered=all(one.recovered for one in run.recoveries) if run.recoveries else None,
        recovery_s=max((one.seconds for one in run.recoveries), default=None),
        decision_s=_decision(run),
        halt_s=story.halt_latency(run),
        harmed=_harmed(run, plan, tallies),
        identity=identity(run.plan),
    )


def _name(foreign: str) -> str:
    return text.one_line(foreign, NAME_MAX)


class Tally(msgspec.Struct):
    """What one check measured before, during, and from the first injection on; one pass over the samples."""

    before: Side
    during: Side
    since: dict[int, int] = {}  # clause -> bad events since the first injection
    gauges: set[str] = set()


def _tallies(run: Run, spans: Spans, samples: list[Sample]) -> dict[str, Tally]:
    found: dict[str, Tally] = {}
    first = min((one.injected_t for one in run.faults.values() if one.injected_t is not None), default=math.inf)
    side_of: dict[int, str] = {}
    for sample in samples:
        tally = found.get(sample.check) or found.setdefault(sample.check, Tally(Side(), Side()))
        tally.gauges.update(sample.values)
        if sample.tick + 1 > first:
            for one in sample.counts:
                tally.since[one.clause] = tally.since.get(one.clause, 0) + one.bad
        which = side_of.get(sample.tick)
        if which is None:
            which = side_of[sample.tick] = _side(spans, sample.tick)
        if which:
            _add(tally.before if which == "before" else tally.during, sample)
    return found


def _side(spans: Spans, tick: int) -> str:
    if spans.before is not None and spans.before.holds(tick):
        return "before"
    return "during" if spans.during(tick) else ""


def _add(side: Side, sample: Sample) -> None:
    histogram = side.histogram
    for bucket, count in sample.histogram:
        histogram[bucket] += count
    for one in sample.counts:
        good, bad = side.counts.get(one.clause, (0, 0))
        side.counts[one.clause] = (good + one.good, bad + one.bad)


def _checks(plan: Planned, tallies: dict[str, Tally]) -> list[CheckFigures]:
    names = [*plan.steady_state, *sorted(set(tallies) - set(plan.steady_state))][:CHECKS_MAX]
    nothing = Tally(Side(), Side())
    return [_check(name, plan.steady_state.get(name), tallies.get(name, nothing)) for name in names]


def _check(name: str, check: Check | None, tally: Tally) -> CheckFigures:
    sides = [sorted(side.histogram.items()) for side in (tally.before, tally.during)]
    old, new, moved = shift.measured(sides[0], sides[1])
    n = next((n for n, one in enumerate(check.clauses()) if one.metric == SUCCESS), None) if check else None
    return CheckFigures(
        check=_name(name),
        title=_name(check.title) if check else "",
        replies=(old.total, new.total),
        median=(old.median, new.median),
        p95=(old.value, new.value),
        shift=moved,
        success=(_good(tally.before, n), _good(tally.during, n)),
    )


def _good(side: Side, clause: int | None) -> float | None:
    good, bad = side.counts.get(-1 if clause is None else clause, (0, 0))
    return good / (good + bad) if good + bad else None


def _decision(run: Run) -> float | None:
    injected = [one.injected_t for one in run.faults.values() if one.injected_t is not None]
    return run.tripped.decided_t - min(injected) if run.tripped and injected else None


def _harmed(run: Run, plan: Planned, tallies: dict[str, Tally]) -> int | None:
    """Bad requests from the first injection to the run's end: of each check by the clause that counted most."""
    counted = [_bad(check, tallies[name]) for name, check in plan.steady_state.items() if name in tallies]
    known = [one for one in counted if one is not None]
    injected = any(one.injected_t is not None for one in run.faults.values())
    return sum(known) if injected and known else None


def _bad(check: Check, tally: Tally) -> int | None:
    events = [
        n
        for n, one in enumerate(check.clauses())
        if n in tally.since and one.metric not in tally.gauges and tables.allowance(one) is not None
    ]
    return max((tally.since[n] for n in events), default=None)


# --- what two runs must have in common ---------------------------------------------------------------------------


def identity(plan: dict[str, Any]) -> Identity:
    """The hashes of a stored plan's parts. The seed and the picks are not in them: another victim is the same plan."""
    experiment = plan.get("experiment")
    if not isinstance(experiment, dict):
        return Identity()
    steady = experiment.get("steady_state")
    checks = {name: one for name, one in steady.items() if isinstance(one, dict)} if isinstance(steady, dict) else {}
    connections = plan.get("connections")
    around = dict(connections) if isinstance(connections, dict) else {}
    around["processes"] = sorted(around.get("processes") or ())  # by pid: another one each time
    return Identity(
        plan=_hash({name: experiment.get(name) for name in _OF_PLAN}),
        load=_hash({name: [one.get("probe"), one.get("with"), one.get("interval")] for name, one in checks.items()}),
        environment=_hash([plan.get("environment"), around]),
        clauses=_hash([
            {name: [_texts(one.get("expect")), _texts(one.get("during"))] for name, one in checks.items()},
            experiment.get("alerts"),
        ]),
    )  # fmt: skip


def _texts(clauses: object) -> list[object]:
    listed = clauses if isinstance(clauses, list | tuple) else []
    return [one.get("text") if isinstance(one, dict) else one for one in listed]


def _hash(value: object) -> str:
    """Twelve hex digits. A port on loopback is chosen anew with every start of a demo, and left out."""
    written = _LOOPBACK.sub(rb"\1", msgspec.json.encode(value, order="deterministic"))
    return hashlib.sha256(written).hexdigest()[:12]
