"""One experiment of the day for an engineer: what broke, when, by how much, who stopped it, is it gone. No IO."""

from __future__ import annotations

import msgspec

from chaos_runner.gameday import harm
from chaos_runner.gameday.scenario import Tighten
from chaos_runner.render import charts, safety, tables, text
from chaos_runner.render.charts import Figure
from chaos_runner.render.gameday import figures
from chaos_runner.render.gameday.figures import Row
from chaos_runner.render.gameday.told import Seen, Whole, local
from chaos_runner.render.safety import FaultCard, Pairs, Radius
from chaos_runner.render.story import Story
from chaos_runner.render.tables import CheckTable, ClauseRow

CHARTS_BYTES = 130_000  # of all experiments together; beyond that the run's own report has them
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
    reproduce: str
    tightened: bool
    again: str  # why this run does not count: it was repeated


def experiments(whole: Whole) -> list[Experiment]:
    """Each run of the day in order; charts as long as there is room for them."""
    room, found = CHARTS_BYTES, []
    for n, seen in enumerate(whole.runs, 1):
        one = _experiment(whole, seen, f"e{n}", room)
        room -= len(one.overview) + sum(len(figure.markup) for figure in one.charts)
        found.append(one)
    return found


def _experiment(whole: Whole, seen: Seen, id_: str, room: int) -> Experiment:
    run, plan, spans = seen.run, seen.plan, seen.spans
    step = whole.of(seen)
    cards = safety.cards(run, plan, spans)
    drawn = _drawn(seen, id_, room)
    overview = charts.overview(run, spans, f"{id_}-overview") if spans.phases or spans.windows else ""
    return Experiment(
        id=id_,
        step=seen.ran.step + 1,
        heading=whole.name(seen),
        story=seen.story,
        expected=_expected(whole, seen),
        run=run.id,
        link=local(whole.told.links.get(run.id, "")),
        facts=_facts(seen),
        stop=safety.stopping(run, plan, seen.ticks, seen.entries),
        clauses=_clauses(seen),
        compared=tuple(tables.compared(plan, seen.ticks, spans)),
        cards=tuple(cards[:CARDS_MAX]),
        cards_hidden=max(0, len(cards) - CARDS_MAX),
        radius=tuple(safety.radius(run, plan, spans)),
        selections=tuple(safety.selections(plan)),
        rows=tuple(figures.row(one) for one in step.metrics),
        moments=tuple(figures.moments(step.told)),
        overview=overview if room > 0 else "",
        happened=tuple(charts.happened(run, spans)),
        charts=drawn,
        charts_hidden=bool(seen.ticks) and not drawn,
        reproduce=plan.reproduce(),
        tightened=any(step.tighten != Tighten() for view, step in whole.steps() if view.step == seen.ran.step),
        again="" if any(one is seen for one in whole.counted) else "This step was repeated: a later run counts.",
    )


def _drawn(seen: Seen, id_: str, room: int) -> tuple[Figure, ...]:
    if room <= 0:
        return ()
    return tuple(charts.figures(seen.run, seen.plan, seen.ticks, seen.spans, f"{id_}-")[:CHARTS_MAX])


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
