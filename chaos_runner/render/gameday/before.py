"""Each experiment of the day beside its previous run: what changed, and what got worse by a stated rule. No IO."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from chaos_runner.gameday import day, metrics
from chaos_runner.gameday.metrics import StepMetrics
from chaos_runner.render import tables, text
from chaos_runner.render.gameday.told import Before, Seen, Whole
from chaos_runner.render.measured import pooled
from chaos_runner.render.planned import Planned

RULE = (
    "Worse means: a worse verdict (HELD, UNKNOWN, DEVIATED, ABORTED, NOT REVERTED), or detecting, taking on, "
    "restoring after the undo or halting took more than a quarter and more than two seconds longer, or the share of "
    "harmed requests rose by more than one percentage point. Runs of another file, environment or fault are shown and "
    "not compared."
)
GRACE_S, GRACE, POINTS = 2.0, 1.25, 0.01
TIMES = ("ttd", "tta", "ttm", "ttr", "rto", "halt")
LASTS = ("ttm", "rto")  # as long as the fault lasts: a run that was stopped is no faster
RANK = ("HELD", "UNKNOWN", "DEVIATED", "ABORTED", "NOT_REVERTED")


class Change(msgspec.Struct, frozen=True):
    """One experiment, then and now; rows are (figure, before, now, change). `unlike` says why they do not compare."""

    name: str
    run: str
    before: str
    when: str
    unlike: str
    worse: tuple[str, ...]
    better: tuple[str, ...]
    rows: tuple[tuple[str, str, str, str], ...]


class _Figure(NamedTuple):
    title: str
    old: float | None
    new: float | None
    show: str
    judged: bool = True


def compared(whole: Whole) -> list[Change]:
    """Each experiment that has an earlier run."""
    known = whole.told.before
    return [_change(whole, seen, known[seen.run.id]) for seen in whole.counted if seen.run.id in known]


def _change(whole: Whole, seen: Seen, before: Before) -> Change:
    old = Seen(before.ran)
    unlike = _unlike(old.plan, seen.plan)
    then, now = _then(before), whole.of(seen)
    figures = _figures(old, then, seen, now)
    verdicts = (old.story.word.label, seen.story.word.label)
    rows = [("verdict", *verdicts, "same" if verdicts[0] == verdicts[1] else "changed")]
    rows += [(one.title, _shown(one.old, one), _shown(one.new, one), _moved(one)) for one in figures]
    worse, better = _verdict(old, seen)
    judged = [one for one in figures if one.judged]
    worse += [_said(one) for one in judged if _worse(one.old, one.new, one.show)]
    better += [_said(one) for one in judged if _worse(one.new, one.old, one.show)]
    return Change(
        name=whole.name(seen),
        run=seen.run.id,
        before=old.run.id,
        when=text.utc(old.run.started_at),
        unlike=unlike,
        worse=() if unlike else tuple(worse),
        better=() if unlike else tuple(better),
        rows=tuple(rows),
    )


def _then(before: Before) -> StepMetrics:
    """The figures of the earlier run, with what people stamped if it was part of a day."""
    found = metrics.measured(day.fold(before.entries), before.entries, (before.ran,))
    if found.steps:
        return found.steps[0]
    alone = msgspec.structs.replace(before.ran, step=0)
    return metrics.measured(day.fold(()), (), (alone,)).steps[0]


def _unlike(old: Planned, new: Planned) -> str:
    if old.sha256 != new.sha256:
        return "the experiment's file changed since"
    if old.environment != new.environment:
        return f"the earlier run was in {text.one_line(old.environment, 60) or text.MISSING}"
    faults = [[(one.kind, one.params, one.target.key, one.hold_s) for one in plan.faults] for plan in (old, new)]
    return "" if faults[0] == faults[1] else "the faults or their targets changed since"


def _figures(old: Seen, then: StepMetrics, new: Seen, now: StepMetrics) -> list[_Figure]:
    found = [
        _Figure(now.of(key).title, then.of(key).value, now.of(key).value, "duration", key not in LASTS) for key in TIMES
    ]
    found.append(_Figure("Share of requests harmed", _harmed(then), _harmed(now), "share"))
    for name in list(new.plan.steady_state)[:4]:
        p95 = _p95(old, name), _p95(new, name)
        title = f"p95 of {text.one_line(name, 60)} during the fault"
        found.append(_Figure(title, p95[0], p95[1], "duration", judged=False))
    return [one for one in found if one.old is not None or one.new is not None]


def _harmed(step: StepMetrics) -> float | None:
    harm = step.told.harm
    return harm.requests / harm.known if harm.requests is not None and harm.known else None


def _p95(seen: Seen, check: str) -> float | None:
    cell = pooled(seen.ticks.get(check, {}), seen.spans.during)
    return tables.quantile(cell, 0.95) if cell.histogram else None


def _verdict(old: Seen, new: Seen) -> tuple[list[str], list[str]]:
    keys = (old.story.key, new.story.key)
    if not all(key in RANK for key in keys) or keys[0] == keys[1]:
        return [], []
    told = f"{old.story.word.label} → {new.story.word.label}"
    return ([told], []) if RANK.index(keys[1]) > RANK.index(keys[0]) else ([], [told])


def _worse(old: float | None, new: float | None, show: str) -> bool:
    if old is None or new is None:
        return False
    return new > old + POINTS if show == "share" else new > old * GRACE and new > old + GRACE_S


def _shown(value: float | None, one: _Figure) -> str:
    return text.share(value) if one.show == "share" else text.duration(value)


def _moved(one: _Figure) -> str:
    if one.old is None or one.new is None:
        return tables.NONE
    change = one.new - one.old
    return text.share(change, sign=True) if one.show == "share" else text.duration(change, sign=True)


def _said(one: _Figure) -> str:
    return f"{one.title[:1].lower()}{one.title[1:]} {_shown(one.old, one)} → {_shown(one.new, one)}"
