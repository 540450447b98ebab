"""Which charts a run has, and their values: cut down to columns, with limits, windows and gaps. No IO."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from chaos_runner.expect import Clause, percentile
from chaos_runner.history import Run
from chaos_runner.model import Check
from chaos_runner.render import measured, svg, tables, text
from chaos_runner.render.measured import Cell, Column, Ticks
from chaos_runner.render.planned import Planned
from chaos_runner.render.windows import Spans

POINTS_MAX = 4000  # over all lines of a report: keeps a page of fifty checks readable by a browser
COLUMNS_MAX = 400
ROWS_MAX = 48
LANES_MAX = 24
VALUES_MAX = 4


class Figure(msgspec.Struct, frozen=True):
    """A chart with the table that says the same in figures."""

    chart: svg.Chart
    markup: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class _Sketch(msgspec.Struct, frozen=True):
    """What a chart shows, before its columns are counted out."""

    check: str
    title: str
    unit: str
    lines: tuple[tuple[str, str, Callable[[Cell], float | None]], ...]
    limits: tuple[tuple[str, float], ...] = ()
    log: bool = False
    step: bool = False
    floor: float = 0.0
    interval: int = 1


def frame(run: Run, spans: Spans) -> svg.Frame:
    """Phases, fault windows and the decision to stop, on the run's time axis."""
    windows = tuple((_window_label(one.fault.target.key, one.fault.kind), one.span.start, one.span.end)
                    for one in spans.windows[:LANES_MAX])  # fmt: skip
    marks = (("stop decided", run.tripped.decided_t),) if run.tripped else ()
    phases = tuple((phase, span.start, span.end) for phase, span, _ in spans.phases[:200])
    return svg.Frame(spans.end, phases, windows, marks)


def _window_label(target: str, kind: str) -> str:
    return f"{text.one_line(kind, 60)} on {text.one_line(target, 90)}"


def overview(run: Run, spans: Spans, id_: str = "overview") -> str:
    """What happened when: the phases above, one lane for each fault."""
    lanes = []
    for one in spans.windows[:LANES_MAX]:
        view = one.fault
        undo = one.span.end if view.undo_t is None else min(view.undo_t, one.span.end)
        pieces = [("piece-edge", view.intent_t, one.span.start), ("piece", one.span.start, undo)]
        pieces += [("piece-edge", undo, one.span.end)] if undo < one.span.end else []
        label = _window_label(view.target.key, view.kind) + (" – no proof that it ended" if one.open_end else "")
        lanes.append(svg.Lane(label, tuple(pieces)))
    count = text.counted(len(spans.windows), "fault")
    desc = f"{count} over {text.duration(spans.end)}; the timeline below has it in words."
    return svg.overview(id_, "What happened when", desc, lanes, frame(run, spans))


def figures(run: Run, plan: Planned, ticks: dict[str, Ticks], spans: Spans, prefix: str = "") -> list[Figure]:
    """All charts of a run, in the order of its checks; `prefix` tells those of several runs on one page apart."""
    shared = frame(run, spans)
    names = [name for name in plan.steady_state if ticks.get(name)] + sorted(set(ticks) - set(plan.steady_state))
    sketches = [one for name in names for one in _sketches(name, plan.steady_state.get(name), ticks[name])]
    lines = sum(len(one.lines) for one in sketches)
    most = max(40, min(COLUMNS_MAX, POINTS_MAX // max(1, lines)))
    every = [tick for name in names for tick in (min(ticks[name]), max(ticks[name]))]
    reach = (min(every, default=0), max(every, default=0), most)
    return [_figure(f"{prefix}chart-{n}", one, ticks[one.check], shared, reach) for n, one in enumerate(sketches)]


def _sketches(name: str, check: Check | None, ticks: Ticks) -> list[_Sketch]:
    known = check.clauses() if check else ()
    title = (check.title if check else "") or name
    interval = max(1, round(check.interval)) if check else 1
    found = []
    if any(cell.histogram for cell in ticks.values()):
        found.append(_latency(name, title, known, interval))
    events = [(n, one) for n, one in enumerate(known) if not tables.is_gauge(one, ticks)]
    if events:
        found.append(_shares(name, title, events, interval))
    values = sorted({value for cell in ticks.values() for value in cell.values})
    found += [_gauge(name, title, value, known, interval) for value in values[:VALUES_MAX]]
    return found


def _latency(name: str, title: str, known: tuple[Clause, ...], interval: int) -> _Sketch:
    limits = tuple((f"limit: {one.text}", float(one.value)) for one in known
                   if percentile(one.metric) is not None and isinstance(one.value, float))  # fmt: skip
    lines = (("p99", "s3", _quantile(0.99)), ("p95", "s2", _quantile(0.95)), ("median", "s1", _quantile(0.5)))
    return _Sketch(name, f"{title}: latency", "duration", lines, limits, log=True, interval=interval)


def _shares(name: str, title: str, events: list[tuple[int, Clause]], interval: int) -> _Sketch:
    allowed = [(one, tables.allowance(one)) for _, one in events]
    limits = tuple(
        (f"allowed: {text.share(share)} for {one.text}", share) for one, share in allowed if share is not None
    )
    same = len({one.metric for _, one in events}) < len(events)
    lines = tuple(
        (one.text if same else one.metric, f"s{1 + n % 6}", _bad(clause)) for n, (clause, one) in enumerate(events)
    )
    return _Sketch(name, f"{title}: share of bad requests", "share", lines, limits, floor=0.02, interval=interval)


def _gauge(name: str, title: str, value: str, known: tuple[Clause, ...], interval: int) -> _Sketch:
    mine = [one for one in known if one.metric == value]
    limits = tuple((f"limit: {one.text}", float(one.value)) for one in mine
                   if isinstance(one.value, float) and not isinstance(one.value, bool))  # fmt: skip
    show = tables.figure(mine[0] if mine else None)
    unit = next(unit for unit, one in svg.SHOWN.items() if one is show)
    lines = ((value, "s1", _lowest(value)), (value, "s1", _highest(value)))
    return _Sketch(name, f"{title}: {value}", unit, lines, limits, step=True, interval=interval)


def _quantile(q: float) -> Callable[[Cell], float | None]:
    return lambda cell: tables.quantile(cell, q) if cell.histogram else None


def _bad(clause: int) -> Callable[[Cell], float | None]:
    return lambda cell: cell.bad_share(clause)


def _lowest(name: str) -> Callable[[Cell], float | None]:
    return lambda cell: min(cell.values.get(name, ()), default=None)


def _highest(name: str) -> Callable[[Cell], float | None]:
    return lambda cell: max(cell.values.get(name, ()), default=None)


def _figure(id_: str, sketch: _Sketch, ticks: Ticks, shared: svg.Frame, reach: tuple[int, int, int]) -> Figure:
    first, last, most = reach
    chart = _chart(id_, sketch, measured.columns(ticks, first, last, most, sketch.interval))
    show = svg.SHOWN[sketch.unit]
    rows = [
        (text.clock(one.first, 0), *(show(read(one.cell)) for _, _, read in sketch.lines), _blind(one))
        for one in measured.columns(ticks, first, last, ROWS_MAX, sketch.interval)
    ]
    head = ("from", *_heads(sketch), "not measured")
    return Figure(chart, svg.draw(chart, shared), head, tuple(rows))


def _heads(sketch: _Sketch) -> list[str]:
    names = [name for name, _, _ in sketch.lines]
    return [f"{names[0]}, lowest", f"{names[0]}, highest"] if len(set(names)) < len(names) else names


def _blind(column: Column) -> str:
    return text.counted(column.blind, "second") if column.blind else tables.NONE


def _chart(id_: str, sketch: _Sketch, columns: list[Column]) -> svg.Chart:
    width = columns[0].last - columns[0].first + 1
    due = math.ceil(sketch.interval / width)
    series = [
        svg.Series(name, style, tuple(_carried([read(one.cell) for one in columns], due)))
        for name, style, read in sketch.lines
    ]
    if len(series) == 2 and series[0] == series[1]:
        series = series[:1]
    return svg.Chart(
        id=id_,
        title=sketch.title,
        desc=_desc(sketch, series, columns),
        unit=sketch.unit,
        times=tuple((one.first + one.last + 1) / 2 for one in columns),
        series=tuple(series),
        limits=sketch.limits,
        gaps=tuple(_runs(columns)),
        log=sketch.log,
        step=sketch.step,
        floor=sketch.floor,
        ceiling=1.0 if sketch.unit == "share" else math.inf,
    )


def _carried(values: list[float | None], due: int) -> list[float | None]:
    """The last value stands until the next reading is due; after that it is a gap."""
    found: list[float | None] = []
    for n, value in enumerate(values):
        recent = values[max(0, n - due + 1) : n + 1]
        found.append(value if value is not None else next((one for one in reversed(recent) if one is not None), None))
    return found


def _runs(columns: list[Column]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for one in columns:
        if not one.blind:
            continue
        if found and found[-1][1] == one.first:
            found[-1] = (found[-1][0], one.last + 1.0)
        else:
            found.append((float(one.first), one.last + 1.0))
    return found


def _desc(sketch: _Sketch, series: list[svg.Series], columns: list[Column]) -> str:
    show = svg.SHOWN[sketch.unit]
    parts = []
    for one in series:
        known = [value for value in one.values if value is not None]
        parts.append(
            f"{one.name} between {show(min(known))} and {show(max(known))}" if known else f"{one.name} unknown"
        )
    blind = sum(one.blind for one in columns)
    return ". ".join(parts) + (f". Not measured in {text.counted(blind, 'second')}." if blind else ".")
