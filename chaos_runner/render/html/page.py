"""Everything the report's template shows, gathered from the pure parts."""

from __future__ import annotations

from typing import Any

from chaos_runner.history import Run
from chaos_runner.records import Entry, Sample
from chaos_runner.render import (
    answers,
    charts,
    fingerprint,
    measured,
    planned,
    safety,
    story,
    tables,
    text,
    tiles,
    windows,
    words,
)
from chaos_runner.render.charts import Figure
from chaos_runner.render.html import paper
from chaos_runner.render.measured import Ticks
from chaos_runner.render.planned import Planned
from chaos_runner.render.svg import LEFT, RIGHT

VERSION = 3  # of the page: it rises with any change of its bytes
SOURCE_MAX = 64_000
LINES_MAX = 600
NAME_MAX = 200
EXAMPLES_MAX = 8
CARDS_MAX = 100
RECOVERIES_MAX = 50
STATE_WORDS = {"ok": "✓ ok", "violated": "✗ violated", "unknown": "? unknown", "not judged": "– not judged"}


def render(run: Run, entries: list[Entry], samples: list[Sample], earlier: Run | None = None) -> bytes:
    """The report of one run; `earlier` is the one that it is compared with."""
    plan = planned.read(run)
    spans = windows.spans(run, entries, samples)
    ticks = measured.gathered(samples)
    figures = charts.figures(run, plan, ticks, spans)
    return paper.printed(
        "report.html.j2",
        "report.js",
        run=run,
        plan=plan,
        answers=answers.answers(run, plan, samples, earlier),
        version=VERSION,
        story=story.told(run, plan, spans),
        heading=plan.heading(run.id),
        tiles=tiles.tiles(run, plan, ticks, spans),
        facts=_facts(run, plan),
        clauses=tables.clauses(run, plan),
        alerts=tables.alerts(run),
        state_words=STATE_WORDS,
        compared=tables.compared(plan, ticks, spans),
        overview=paper.trusted(charts.overview(run, spans)) if spans.phases or spans.windows else "",
        happened=charts.happened(run, spans),
        figures=[(one, paper.trusted(one.markup)) for one in figures],
        chart_json=paper.json_block(_chart_values(figures, spans.end)),
        examples=_examples(ticks),
        radius=safety.radius(run, plan, spans),
        selections=safety.selections(plan),
        cards=safety.cards(run, plan, spans)[:CARDS_MAX],
        cards_hidden=max(0, len(run.faults) - CARDS_MAX),
        stopping=safety.stopping(run, plan, ticks, entries),
        recoveries=_recoveries(run, plan),
        lines=_timeline(entries),
        hidden=max(0, len(entries) - LINES_MAX),
        faults=_faults(plan),
        reproduce=plan.reproduce(),
        source=paper.Whole(plan.text[:SOURCE_MAX]),
        source_cut=len(plan.text) > SOURCE_MAX,
        environment=_environment(run, plan),
        digest=fingerprint.of(entries),
        count=len(entries),
        glossary=story.GLOSSARY,
    )


def _facts(run: Run, plan: Planned) -> list[tuple[str, str]]:
    length = text.duration(run.ended_t) if run.ended_t is not None else "no end recorded"
    return [
        ("Title", plan.heading(run.id)),  # a long one is cut in the banner
        ("Experiment", plan.name or text.MISSING),
        ("Service", plan.service or text.MISSING),
        ("Owner", plan.owner or text.MISSING),
        ("Environment", plan.environment or text.MISSING),
        ("Started", text.utc(run.started_at)),
        ("Duration", length),
        ("Started by", run.actor or text.MISSING),
        ("Run", run.id or text.MISSING),
    ]


def _recoveries(run: Run, plan: Planned) -> list[str]:
    within = f"; {text.duration(plan.recovery.within)} allowed" if plan.recovery else ""
    return [
        (f"Step {one.step + 1}: " if one.step >= 0 else "")
        + (
            f"steady again {text.duration(one.seconds)} after the fault{within}."
            if one.recovered
            else f"NOT steady again within {text.duration(one.seconds)}{within}."
        )
        + (f" {text.sentence_case(text.one_line(one.why))}" if one.why else "")
        for one in run.recoveries[-RECOVERIES_MAX:]
    ]


def _timeline(entries: list[Entry]) -> list[tuple[str, str, str, str]]:
    # by the time things happened; the records of one moment keep their order
    told = sorted(zip(entries, words.sentences(entries), strict=True), key=lambda pair: words.moment(pair[0]))
    shown = [(*_stamps(entry), line, type(entry.record).__name__) for entry, line in told]
    half = LINES_MAX // 2
    return shown if len(shown) <= LINES_MAX else shown[:half] + shown[-half:]


def _stamps(entry: Entry) -> tuple[str, str]:
    happened = words.moment(entry)
    return text.utc(entry.at - entry.t + happened), text.clock(happened)


def _examples(ticks: dict[str, Ticks]) -> list[tuple[str, str, str, str, str]]:
    found = []
    for check in sorted(ticks):
        exemplars = [one for tick in sorted(ticks[check]) for one in ticks[check][tick].exemplars]
        found += [
            (
                check,
                text.clock(one.at_s),
                text.duration(one.latency_s),
                str(one.status or text.MISSING),
                one.error or "–",
            )
            for one in exemplars[:EXAMPLES_MAX]
        ]
    return found[: 4 * EXAMPLES_MAX]


def _faults(plan: Planned) -> list[tuple[str, str, str, str, str]]:
    return [
        (
            text.number(one.step + 1),
            one.name or one.kind,
            f"{one.kind} ({one.aspect})",
            one.target.key,
            text.duration(one.hold_s),
        )
        for one in plan.faults[:200]
    ]


def _environment(run: Run, plan: Planned) -> list[tuple[str, str]]:
    pairs = [("environment", plan.environment or text.MISSING)]
    pairs += [(name, address) for name, address in plan.connections]
    pairs += [(name, str(run.versions[name])) for name in sorted(run.versions)]
    pairs.append(("seed", text.MISSING if plan.seed is None else str(plan.seed)))
    pairs.append(("command", planned.command(list(run.command)) if run.command else text.MISSING))
    pairs.append(("sha-256 of the experiment", plan.sha256 or text.MISSING))
    return pairs


def _chart_values(figures: list[Figure], end: float) -> dict[str, Any]:
    return {
        "left": LEFT,
        "right": RIGHT,
        "end": round(end, 3),
        "charts": [
            {
                "id": one.chart.id,
                "unit": one.chart.unit,
                "times": [round(t, 2) for t in one.chart.times],
                "lines": [
                    {"name": text.bounded(line.name, NAME_MAX), "values": [_short(value) for value in line.values]}
                    for line in (*one.chart.series, *(one.chart.between or ()))
                ],
                "drawn": len(one.chart.series),
            }
            for one in figures
        ],
    }


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")
