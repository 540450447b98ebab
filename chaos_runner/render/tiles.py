"""The few figures a reader wants first. No IO."""

from __future__ import annotations

import msgspec

from chaos_runner.history import Run
from chaos_runner.render import measured, story, tables, text
from chaos_runner.render.measured import Cell, Ticks
from chaos_runner.render.planned import Planned
from chaos_runner.render.windows import Spans


class Tile(msgspec.Struct, frozen=True):
    """One figure, with what it is and what stands beside it."""

    label: str
    figure: str
    beside: str


def tiles(run: Run, plan: Planned, ticks: dict[str, Ticks], spans: Spans) -> list[Tile]:
    """At most six; none for what was not measured."""
    return [*_expectations(run), *_latency(plan, ticks, spans), *_harm(plan, ticks, spans), *_fault(spans), *_end(run)][
        :6
    ]


def _expectations(run: Run) -> list[Tile]:
    if not run.clauses:
        return []
    ok = sum(one.state == "ok" for one in run.clauses)
    rest = [
        f"{count} {state}"
        for state in ("violated", "unknown")
        for count in [sum(one.state == state for one in run.clauses)]
        if count
    ]
    return [Tile("Expectations met", f"{ok} of {len(run.clauses)}", text.listed(rest) or "none violated or unknown")]


def _latency(plan: Planned, ticks: dict[str, Ticks], spans: Spans) -> list[Tile]:
    for name, check in plan.steady_state.items():
        before, during = _sides(ticks.get(name, {}), spans)
        if before.histogram and during.histogram:
            moved = f"{text.duration(tables.quantile(before, 0.5))} → {text.duration(tables.quantile(during, 0.5))}"
            return [Tile("Typical latency", moved, f"before → during · {check.title or name}")]
    return []


def _harm(plan: Planned, ticks: dict[str, Ticks], spans: Spans) -> list[Tile]:
    """The event clause that fared worst."""
    worst: tuple[float, Tile] | None = None
    for name, check in plan.steady_state.items():
        before, during = _sides(ticks.get(name, {}), spans)
        for n, clause in enumerate(check.clauses()):
            old, new = before.bad_share(n), during.bad_share(n)
            if old is None or new is None or tables.is_gauge(clause, ticks.get(name, {})):
                continue
            if worst is None or new > worst[0]:
                moved = f"{text.share(old)} → {text.share(new)}"
                worst = new, Tile("Bad requests", moved, f"before → during · {text.one_line(clause.text, 60)}")
    return [worst[1]] if worst else []


def _sides(ticks: Ticks, spans: Spans) -> tuple[Cell, Cell]:
    before = measured.pooled(ticks, lambda tick: spans.before is not None and spans.before.holds(tick))
    return before, measured.pooled(ticks, spans.during)


def _fault(spans: Spans) -> list[Tile]:
    reversible = [one for one in spans.windows if one.fault.reversible]
    if not reversible:
        return []
    worst = max(reversible, key=lambda one: (one.open_end, one.span.end - one.span.start))
    length = text.duration(worst.span.end - worst.span.start)
    where = text.one_line(worst.fault.target.key, 60)
    return [Tile("Fault on its target", f"{length}{' or more' if worst.open_end else ''}", where)]


def _end(run: Run) -> list[Tile]:
    found = []
    latency = story.halt_latency(run)
    if latency is not None:
        found.append(Tile("Stopped and undone", text.duration(latency), "from the decision to the fault gone"))
    if run.recoveries and all(one.recovered for one in run.recoveries):
        slowest = max(one.seconds for one in run.recoveries)
        found.append(Tile("Steady again after", text.duration(slowest), "once the fault was gone"))
    return found
