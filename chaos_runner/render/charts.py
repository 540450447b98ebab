"""Which charts a run has, and their values: cut down to columns, with limits, windows and gaps. No IO."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from chaos_runner import histogram
from chaos_runner.expect import Clause, percentile
from chaos_runner.history import Run
from chaos_runner.model import Check
from chaos_runner.render import heat, measured, svg, tables, text
from chaos_runner.render.measured import Cell, Column, Ticks
from chaos_runner.render.planned import Planned
from chaos_runner.render.windows import Spans, Window

POINTS_MAX = 4000  # over all lines of a report: keeps a page of fifty checks readable by a browser
COLUMNS_MAX = 400
ROWS_MAX = 48
LANES_MAX = 24
VALUES_MAX = 4
HEATS_MAX = 8
MARKS_MAX = 40  # alerts, and notes: that many of each

Read = Callable[[Cell], float | None]


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
    lines: tuple[tuple[str, str, Read], ...]
    limits: tuple[tuple[str, float], ...] = ()
    log: bool = False
    step: bool = False
    floor: float = 0.0
    interval: int = 1
    between: tuple[tuple[str, Read], tuple[str, Read]] | None = None


def frame(run: Run, spans: Spans) -> svg.Frame:
    """Phases, fault windows and marks, on the run's time axis."""
    windows = tuple((_window_label(one.fault.target.key, one.fault.kind), one.span.start, one.span.end)
                    for one in spans.windows[:LANES_MAX])  # fmt: skip
    phases = tuple((phase, span.start, span.end) for phase, span, _ in spans.phases[:200])
    return svg.Frame(spans.end, phases, windows, marks(run))


def marks(run: Run) -> tuple[svg.Mark, ...]:
    """The decision to stop, the alerts that fired, and what people wrote down; tags number them."""
    stop = [svg.Mark("stop", "stop decided", run.tripped.decided_t)] if run.tripped else []
    fired = [(one.fired_t, f"{text.one_line(one.name, 120)} fired") for one in run.alerts if one.fired_t is not None]
    notes = [(t, text.one_line(f"{note.who}: {note.text}", 200)) for t, note in run.notes]
    alerts = [svg.Mark("alert", label, t, f"A{n}") for n, (t, label) in enumerate(fired[:MARKS_MAX], 1)]
    return (*stop, *alerts, *(svg.Mark("note", label, t, f"N{n}") for n, (t, label) in enumerate(notes[:MARKS_MAX], 1)))


def happened(run: Run, spans: Spans) -> list[tuple[str, str, str]]:
    """What the overview shows, in words: from when, until when, what."""
    faults = [(one.span.start, "–" if one.open_end else text.clock(one.span.end), _lane_label(one))
              for one in spans.windows[:LANES_MAX]]  # fmt: skip
    moments = [(one.t, "", f"{one.tag + ': ' if one.tag else ''}{one.label}") for one in marks(run)]
    phases = [(span.start, text.clock(span.end), f"phase {phase}") for phase, span, _ in spans.phases[:200]]
    return [(text.clock(t), until, what) for t, until, what in sorted([*phases, *faults, *moments])]


def _window_label(target: str, kind: str) -> str:
    return f"{text.one_line(kind, 60)} on {text.one_line(target, 90)}"


def _lane_label(one: Window) -> str:
    label = _window_label(one.fault.target.key, one.fault.kind)
    return label + (" – no proof that it ended" if one.open_end else "")


def overview(run: Run, spans: Spans, id_: str = "overview") -> str:
    """What happened when: the phases above, one lane for each fault."""
    lanes = []
    for one in spans.windows[:LANES_MAX]:
        view = one.fault
        undo = one.span.end if view.undo_t is None else min(view.undo_t, one.span.end)
        pieces = [("piece-edge", view.intent_t, one.span.start), ("piece", one.span.start, undo)]
        pieces += [("piece-edge", undo, one.span.end)] if undo < one.span.end else []
        lanes.append(svg.Lane(_lane_label(one), tuple(pieces)))
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
    found = []
    for n, one in enumerate(sketches):
        found.append(_figure(f"{prefix}chart-{n}", one, ticks[one.check], shared, reach))
        if one.log and n < HEATS_MAX:
            found.append(_heat(f"{prefix}chart-{n}-heat", one, ticks[one.check], shared, reach))
    return found


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
    between = (("fastest", _extreme(min)), ("slowest", _extreme(max)))
    return _Sketch(name, f"{title}: latency", "duration", lines, limits, log=True, interval=interval, between=between)


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
    lowest, highest = _lowest(value), _highest(value)
    lines, between = ((value, "s1", lowest), (value, "s1", highest)), (("lowest", lowest), ("highest", highest))
    return _Sketch(name, f"{title}: {value}", unit, lines, limits, step=True, interval=interval, between=between)


def _quantile(q: float) -> Read:
    return lambda cell: tables.quantile(cell, q) if cell.histogram else None


def _extreme(which: Callable[[dict[int, int]], int]) -> Read:
    return lambda cell: histogram.middle(which(cell.histogram)) if cell.histogram else None


def _often(cell: Cell) -> float | None:
    """The middle of the bucket that most requests of a cell are in; the faster one of two."""
    most = max(cell.histogram.items(), key=lambda pair: (pair[1], -pair[0]), default=None)
    return None if most is None else histogram.middle(most[0])


def _bad(clause: int) -> Read:
    return lambda cell: cell.bad_share(clause)


def _lowest(name: str) -> Read:
    return lambda cell: min(cell.values.get(name, ()), default=None)


def _highest(name: str) -> Read:
    return lambda cell: max(cell.values.get(name, ()), default=None)


def _figure(id_: str, sketch: _Sketch, ticks: Ticks, shared: svg.Frame, reach: tuple[int, int, int]) -> Figure:
    first, last, most = reach
    chart = _chart(id_, sketch, measured.columns(ticks, first, last, most, sketch.interval))
    show = svg.SHOWN[sketch.unit]
    rows = [
        (text.clock(one.first, 0), *(show(read(one.cell)) for _, read in _reads(sketch)), _blind(one))
        for one in measured.columns(ticks, first, last, ROWS_MAX, sketch.interval)
    ]
    head = ("from", *(name for name, _ in _reads(sketch)), "not measured")
    return Figure(chart, svg.draw(chart, shared), head, tuple(rows))


def _heat(id_: str, sketch: _Sketch, ticks: Ticks, shared: svg.Frame, reach: tuple[int, int, int]) -> Figure:
    """How the latencies of each moment are spread; the lines are what the script reads out."""
    first, last, _ = reach
    columns = measured.columns(ticks, first, last, heat.COLUMNS_MAX, sketch.interval)
    lines = (("most often", "s1", _often), ("slowest", "s3", _extreme(max)))
    read = msgspec.structs.replace(sketch, title=f"{sketch.title}, how it is spread", lines=lines, between=None)
    chart = _chart(id_, read, columns)
    cells = heat.grid(columns)
    markup = heat.draw(chart, cells, shared) if cells is not None else svg.draw(chart, shared)
    head, rows = heat.table(measured.columns(ticks, first, last, ROWS_MAX, sketch.interval))
    return Figure(chart, markup, head, tuple(rows))


def _reads(sketch: _Sketch) -> list[tuple[str, Read]]:
    """What a row of the table has: each line once, and what lies lowest and highest."""
    lines = [] if sketch.step else [(name, read) for name, _, read in sketch.lines]
    return [*lines, *(sketch.between or ())]


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
        between=_between(sketch, columns, due),
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


def _between(sketch: _Sketch, columns: list[Column], due: int) -> tuple[svg.Series, svg.Series] | None:
    if sketch.between is None:
        return None
    low, high = (
        svg.Series(name, "", tuple(_carried([read(one.cell) for one in columns], due))) for name, read in sketch.between
    )
    return (low, high) if low.values != high.values else None


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
