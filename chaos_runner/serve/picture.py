"""What a run looks like at one moment: phase, checks with their curves, faults, how near an abort is. No IO, no clock.

The records say what happened; nearness to an abort is the abort rules themselves, fed the same samples once more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from chaos_runner import expect, histogram, judge, planning
from chaos_runner.expect import Clause
from chaos_runner.history import FaultView, Run, fold
from chaos_runner.model import Check
from chaos_runner.plan import Plan
from chaos_runner.records import Entry, Sample
from chaos_runner.registry import Broken
from chaos_runner.render import measured, planned, story, text, words
from chaos_runner.render.measured import Cell, Ticks
from chaos_runner.store import RunRow

CURVE = 60
STATES = {
    "INTENT": "being injected",
    "INJECTED": "injected",
    "UNKNOWN": "uncertain, counts as injected",
    "UNDOING": "being undone",
    "UNDONE": "gone, read back",
    "WATCHING": "gone, watched",
    "CLOSED": "gone",
    "SPENT": "over",
    "STUCK": "NOT REVERTED",
    "FORGOTTEN": "given up on",
}


class CheckNow(msgspec.Struct, frozen=True):
    """One check: its word in the present phase, its newest reading, its curve (0 to 1, None: unknown)."""

    title: str
    word: str
    reading: str
    curve: tuple[float | None, ...]
    margin: int | None  # percent of the way to an abort


class FaultNow(msgspec.Struct, frozen=True):
    """One fault; `left` is a countdown."""

    title: str
    state: str
    left: str
    hot: bool


class Picture(msgspec.Struct, frozen=True):
    """All that the live part of a page shows."""

    run: str
    title: str
    hypothesis: str
    experiment: str
    environment: str
    started: str
    going: bool
    phase: str
    clock: str
    left: str
    label: str
    tone: str
    meaning: str
    stopped: str
    checks: tuple[CheckNow, ...]
    faults: tuple[FaultNow, ...]


def of(
    row: RunRow,
    entries: list[Entry],
    samples: list[Sample],
    *,
    attended: bool,
    now: float,
    probes: Mapping[str, type],
) -> Picture:
    """The picture of a run at the Unix time `now`; `attended` says that somebody looks after it."""
    run = fold(entries)
    plan = planned.read(run)
    t = _seconds(run, entries, now)
    phase, step = (run.phases[-1][1], run.phases[-1][2]) if run.phases else ("preparing", -1)
    going = row.state != "ENDED"
    told = story.WORDS.get(row.headline or ("UNFINISHED" if going else ""), story.WORDS["UNFINISHED"])
    return Picture(
        run=row.id,
        title=plan.heading(row.id),
        hypothesis=" ".join(plan.hypothesis.split()),
        experiment=row.experiment,
        environment=row.environment,
        started=text.utc(row.started_at),
        going=going,
        phase=words.PHASES.get(phase, phase) + (f", step {step + 1} of {len(plan.method)}" if step >= 0 else ""),
        clock=text.clock(t, 0),
        left=_left(run, plan, phase, t) if going else "",
        label="RUNNING" if going and attended else told.label,
        tone="plain" if going and attended else told.tone,
        meaning="" if going and attended else told.meaning,
        stopped=f"Stopped by {words.STOPPED.get(run.tripped.stopped_by, '')}: {run.tripped.why}" if run.tripped else "",
        checks=_checks(run, plan.steady_state, samples, _margins(run, samples, probes) if going else {}),
        faults=tuple(_fault(view, _hold(plan, view), t) for view in run.faults.values()),
    )


def _seconds(run: Run, entries: list[Entry], now: float) -> float:
    """Since the run's start; never before its last record, and not after its end."""
    last = entries[-1].t if entries else 0.0
    return run.ended_t if run.ended_t is not None else max(last, now - run.started_at if run.started_at else 0.0)


def _left(run: Run, plan: planned.Planned, phase: str, t: float) -> str:
    """How long the present wait lasts at most."""
    began = run.phases[-1][0] if run.phases else 0.0
    within = plan.recovery.within if plan.recovery else None
    length = {"baseline": plan.baseline, "recovery": within}.get(phase)
    return f"at most {_countdown(began + length - t)} left" if length else ""


def _countdown(seconds: float) -> str:
    return text.duration(float(max(0, round(seconds)))) if seconds >= 0.5 else "0 s"


def _hold(plan: planned.Planned, view: FaultView) -> float | None:
    number = view.id.rpartition(".")[2]
    return next((one.hold_s for one in plan.faults if str(one.n) == number), None)


def _fault(view: FaultView, hold_s: float | None, t: float) -> FaultNow:
    left = ""
    if view.state == "INJECTED" and hold_s is not None and view.injected_t is not None:
        left = _countdown(view.injected_t + hold_s - t)
    hot = view.state in {"INTENT", "INJECTED", "UNKNOWN", "UNDOING", "STUCK"}
    title = text.one_line(f"{view.kind} on {view.target.key}", 200)
    return FaultNow(title, STATES.get(view.state, view.state), left, hot)


# --- checks ------------------------------------------------------------------------------------------------------


def _checks(
    run: Run, checks: Mapping[str, Check], samples: list[Sample], margins: dict[str, float]
) -> tuple[CheckNow, ...]:
    ticks = measured.gathered(samples)
    since = run.phases[-1][0] if run.phases else 0.0
    fault_open = bool(run.phases) and run.phases[-1][1] == "fault"
    return tuple(
        _check(check.title or name, check, ticks.get(name, {}), since, fault_open, margins.get(name))
        for name, check in checks.items()
    )


def _check(title: str, check: Check, ticks: Ticks, since: float, fault_open: bool, margin: float | None) -> CheckNow:
    clauses = check.clauses()
    now = [cell for tick, cell in ticks.items() if tick >= math.floor(since)]
    states = {_state(clauses[n], n, now) for n in check.judged(fault_open)}
    newest = ticks[max(ticks)] if ticks else Cell()
    readings = [_reading(clause, n, newest) for n, clause in enumerate(clauses)]
    drawn = next((n for n, clause in enumerate(clauses) if expect.percentile(clause.metric) is not None), 0)
    return CheckNow(
        title=text.one_line(title, 200),
        word=next((word for word in ("violated", "unknown") if word in states), "ok"),
        reading=", ".join(one for one in readings if one) or "no sample yet",
        curve=_curve([_value(clauses[drawn], drawn, ticks[tick]) for tick in sorted(ticks)[-CURVE:]]),
        margin=None if margin is None else round(100 * min(1.0, max(0.0, margin))),
    )


def _state(clause: Clause, n: int, cells: list[Cell]) -> str:
    """So far in this phase: an event clause by its share, a gauge by its last reading."""
    counted = [cell.events(n) for cell in cells]
    good, bad = sum(one[0] for one in counted), sum(one[1] for one in counted)
    if good + bad == 0:
        return "unknown"
    try:
        return "violated" if bad > expect.allowance(clause) * (good + bad) else "ok"
    except ValueError:
        known = [one for one in counted if one[0] + one[1]]
        return "violated" if known[-1][1] else "ok"


def _value(clause: Clause, n: int, cell: Cell) -> float | None:
    share = expect.percentile(clause.metric)
    if share is not None:
        return histogram.quantile(tuple(sorted(cell.histogram.items())), share)
    if values := cell.values.get(clause.metric):
        return values[-1]
    bad = cell.bad_share(n)
    return None if bad is None else 1 - bad


def _reading(clause: Clause, n: int, cell: Cell) -> str:
    metric, value = text.one_line(clause.metric, 40), _value(clause, n, cell)
    if expect.percentile(clause.metric) is not None:
        return f"{metric} {text.duration(value)}" if value is not None else ""
    if clause.metric in cell.values:
        return f"{metric} {text.number(value)}"
    return f"{metric} {text.share(value)}" if value is not None else f"{metric} unknown"


def _curve(values: list[float | None]) -> tuple[float | None, ...]:
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    return tuple(None if value is None else max(0.0, min(1.0, value / top)) for value in values)


# --- nearness to an abort ----------------------------------------------------------------------------------------


def _margins(run: Run, samples: list[Sample], probes: Mapping[str, type]) -> dict[str, float]:
    """0 to 1 for each check, while a fault is open; empty where the stored plan is not one that we can read."""
    opened = [view.injected_t for view in run.faults.values() if view.injected_t is not None]
    is_open = any(view.state == "INJECTED" for view in run.faults.values())
    if not opened or not is_open:
        return {}
    try:
        plan = msgspec.convert(run.plan, Plan)
        rules = planning.rules_of(plan.experiment, planning.readers_of(plan.experiment, probes))
    except (msgspec.ValidationError, ValueError, KeyError, Broken):
        return {}
    watch = judge.AbortWatch(rules, math.ceil(min(opened)), budget=plan.experiment.abort.error_budget)
    for begin in _restarts(run):
        watch.restart(math.ceil(begin))
    watch.observe(samples)
    return watch.margin()


def _restarts(run: Run) -> list[float]:
    """When the rules began anew: with the first fault of the present window, as `going_in` does it."""
    began = max((t for t, phase, _ in run.phases if phase == "fault"), default=0.0)
    later = [
        view.injected_t for view in run.faults.values() if view.injected_t is not None and view.injected_t >= began
    ]
    return [min(later)] if later else []


def line(entry: Entry, said: str) -> dict[str, object]:
    """A record as a row of the timeline."""
    happened = words.moment(entry)
    return {
        "seq": entry.seq,
        "at": text.utc(entry.at - entry.t + happened),
        "t": text.clock(happened),
        "line": said,
        "kind": type(entry.record).__name__,
    }


def lines(entries: list[Entry], after: int = 0) -> list[dict[str, object]]:
    """The rows of the records after a seq, in the order they were written."""
    told = zip(entries, words.sentences(entries), strict=True)
    return [line(entry, said) for entry, said in told if entry.seq > after]


def path(curve: tuple[float | None, ...], width: int = 120, height: int = 24) -> str:
    """A curve as the path of a line; where nothing is known, there is none."""
    step, out, pen = width / max(1, CURVE - 1), [], "M"
    for n, value in enumerate(curve):
        if value is None:
            pen = "M"
            continue
        out.append(f"{pen}{n * step:.1f} {1 + (height - 2) * (1 - value):.1f}")
        pen = "L"
    return "".join(out)
