"""One experiment of the day for an engineer: what broke, when, by how much, who stopped it, is it gone. No IO."""

from __future__ import annotations

import msgspec

from chaos_runner.gameday import harm
from chaos_runner.gameday.scenario import Tighten
from chaos_runner.render import charts, safety, tables, text
from chaos_runner.render.charts import Figure
from chaos_runner.render.gameday import answers, figures
from chaos_runner.render.gameday.figures import Row
from chaos_runner.render.gameday.told import Seen, Whole, local
from chaos_runner.render.safety import FaultCard, Pairs, Radius
from chaos_runner.render.story import Story
from chaos_runner.render.tables import CheckTable, ClauseRow

FULL_MAX = 8  # runs with all their details: the worst ones; the others have theirs in their own reports
CELL = 24  # what a cell of a table costs beside its text
CHARTS_MAX = 3
CARDS_MAX = 12


class Experiment(msgspec.Struct, frozen=True):
    """All that the page shows of one run."""

    id: str
    step: int
    heading: str
    story: Story
    expected: str
    run: str
    link: str
    facts: Pairs
    stop: Pairs
    clauses: tuple[tuple[ClauseRow, str], ...]
    compared: tuple[CheckTable, ...]
    cards: tuple[FaultCard, ...]
    cards_hidden: int
    radius: tuple[Radius, ...]
    selections: tuple[tuple[str, str, str, str, str], ...]
    rows: tuple[Row, ...]
    moments: tuple[tuple[str, str, str, str, str], ...]
    overview: str
    happened: tuple[tuple[str, str, str], ...]
    charts: tuple[Figure, ...]
    charts_hidden: bool
    brief: bool
    reproduce: str
    tightened: bool
    again: str  # why this run does not count: it was repeated


def experiments(whole: Whole) -> list[Experiment]:
    """Each run of the day in order, with as many details and charts as a page of many runs can hold."""
    worst = sorted(whole.runs, key=lambda one: -answers.RANK.index(one.story.key))[:FULL_MAX]
    full = {one.run.id for one in worst}
    return [_experiment(whole, seen, f"e{n}", seen.run.id not in full) for n, seen in enumerate(whole.runs, 1)]


def fitted(found: list[Experiment], room: int) -> list[Experiment]:
    """The same with the charts that fit into so many bytes: the first of each run before the second of any."""
    kept = [msgspec.structs.replace(one, overview="", charts=()) for one in found]
    for turn in range(-1, CHARTS_MAX):
        for n, one in enumerate(found):
            more = one.charts[turn : turn + 1] if turn >= 0 else ()
            cost = sum(map(_cost, more)) if turn >= 0 else len(one.overview) + _table(one.happened)
            if cost <= room and (more or turn < 0):
                room -= cost
                kept[n] = _with(kept[n], more, one.overview if turn < 0 else kept[n].overview)
    return [msgspec.structs.replace(one, charts_hidden=bool(found[n].charts[len(one.charts) :]) or one.charts_hidden)
            for n, one in enumerate(kept)]  # fmt: skip


def _with(one: Experiment, more: tuple[Figure, ...], overview: str) -> Experiment:
    return msgspec.structs.replace(one, overview=overview, charts=(*one.charts, *more))


def _cost(figure: Figure) -> int:
    return len(figure.markup) + _table(figure.rows)


def _table(rows: tuple[tuple[str, ...], ...]) -> int:
    return 600 + sum(len(cell.encode()) + CELL for row in rows for cell in row)


def _experiment(whole: Whole, seen: Seen, id_: str, brief: bool) -> Experiment:
    run, plan, spans = seen.run, seen.plan, seen.spans
    step = whole.of(seen)
    cards = [] if brief else safety.cards(run, plan, spans)
    drawn = [] if brief else charts.figures(run, plan, seen.ticks, spans, f"{id_}-")
    overview = "" if brief or not (spans.phases or spans.windows) else charts.overview(run, spans, f"{id_}-overview")
    return Experiment(
        id=id_,
        step=seen.ran.step + 1,
        heading=whole.name(seen),
        story=seen.story,
        expected=_expected(whole, seen),
        run=run.id,
        link=local(whole.told.links.get(run.id, "")),
        facts=_facts(seen),
        stop=() if brief else safety.stopping(run, plan, seen.ticks, seen.entries),
        clauses=_clauses(seen),
        compared=() if brief else tuple(tables.compared(plan, seen.ticks, spans)),
        cards=tuple(cards[:CARDS_MAX]),
        cards_hidden=max(0, len(cards) - CARDS_MAX),
        radius=() if brief else tuple(safety.radius(run, plan, spans)),
        selections=() if brief else tuple(safety.selections(plan)),
        rows=tuple(figures.row(one) for one in step.metrics),
        moments=tuple(figures.moments(step.told)),
        overview=overview,
        happened=() if brief else tuple(charts.happened(run, spans)),
        charts=tuple(drawn[:CHARTS_MAX]),
        charts_hidden=brief and bool(seen.ticks),
        brief=brief,
        reproduce=plan.reproduce(),
        tightened=any(step.tighten != Tighten() for view, step in whole.steps() if view.step == seen.ran.step),
        again="" if any(one is seen for one in whole.counted) else "This step was repeated: a later run counts.",
    )


def _expected(whole: Whole, seen: Seen) -> str:
    return next((step.expected for view, step in whole.steps() if view.step == seen.ran.step), "")


def _facts(seen: Seen) -> Pairs:
    run, plan = seen.run, seen.plan
    faults = [text.one_line(one.said or one.name or one.kind, 120) for one in plan.faults[:6]]
    return (
        ("service", plan.service or text.MISSING),
        ("owner", plan.owner or text.MISSING),
        ("method", text.listed(faults) or "no fault planned"),
        ("started", text.utc(run.started_at)),
        ("duration", text.duration(run.ended_t) if run.ended_t is not None else "no end recorded"),
        ("file", f"{plan.source or text.MISSING}, sha-256 {plan.sha256[:16] or text.MISSING}"),
    )


def _clauses(seen: Seen) -> tuple[tuple[ClauseRow, str], ...]:
    """Each clause with its value against its limit, and how long after the injection it was first beyond it."""
    first = harm.firsts(seen.run, seen.samples)
    since = min((one.injected_t for one in seen.run.faults.values() if one.injected_t is not None), default=0.0)
    found = []
    for one in tables.clauses(seen.run, seen.plan):
        at = first.get((one.check, one.clause)) if one.state != "ok" else None
        found.append((one, "–" if at is None else f"T+{text.duration(round(at - since, 1))}"))
    return tuple(found)
