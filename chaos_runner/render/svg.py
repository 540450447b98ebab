"""Time charts as SVG text, from plain values: bands, hatched fault windows, limit lines, gaps. No IO.

Every foreign text goes through `el`, which escapes it. Shapes differ by hatch, width and label, never by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from html import escape
from typing import NamedTuple

import msgspec

from chaos_runner.render import axis, text
from chaos_runner.render.axis import Scale

WIDTH = 960
LEFT, RIGHT = 64, 884
TOP, BOTTOM = 40, 240
HEIGHT = 266
LABEL_GAP = 13.0


class Series(msgspec.Struct, frozen=True):
    """One line; a value of None is a gap."""

    name: str
    style: str
    values: tuple[float | None, ...]


class Frame(msgspec.Struct, frozen=True):
    """What all charts of a run share: phases, fault windows and marks on the same time axis."""

    end: float
    phases: tuple[tuple[str, float, float], ...] = ()
    windows: tuple[tuple[str, float, float], ...] = ()
    marks: tuple[tuple[str, float], ...] = ()


class Chart(msgspec.Struct, frozen=True):
    """One chart: its columns' times, its lines, its limits and where nothing was measured."""

    id: str
    title: str
    desc: str
    unit: str
    times: tuple[float, ...]
    series: tuple[Series, ...]
    limits: tuple[tuple[str, float], ...] = ()
    gaps: tuple[tuple[float, float], ...] = ()
    log: bool = False
    step: bool = False
    floor: float = 0.0
    ceiling: float = math.inf


class Lane(NamedTuple):
    """One row of the overview: a label, and pieces (class, from, to)."""

    label: str
    pieces: tuple[tuple[str, float, float], ...]


SHOWN: dict[str, Callable[[float | None], str]] = {
    "duration": text.duration,
    "share": text.share,
    "number": text.number,
}


def el(name: str, attributes: dict[str, object] | None = None, *children: str) -> str:
    """One element; attribute values are escaped, children are markup already (see `words`)."""
    told = "".join(f' {key}="{escape(text.clean(_plain(value)))}"' for key, value in (attributes or {}).items())
    return f"<{name}{told}>{''.join(children)}</{name}>" if children else f"<{name}{told}/>"


def words(foreign: object) -> str:
    """Foreign text as markup."""
    return escape(text.clean(foreign))


def _plain(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    short = f"{value:.1f}"
    return "0" if short == "-0.0" else short.removesuffix(".0")


def draw(chart: Chart, frame: Frame) -> str:
    """The chart as one SVG element."""
    across = Scale(0.0, frame.end, LEFT, RIGHT)
    values = [value for one in chart.series for value in one.values if value is not None]
    up = axis.over(values + [limit for _, limit in chart.limits], BOTTOM, TOP, chart.log, chart.floor, chart.ceiling)
    inside = [
        *_phases(frame, across, BOTTOM),
        *_grid(up, SHOWN[chart.unit]),
        *_times(frame, across, BOTTOM),
        *_windows(chart.id, frame, across, TOP, BOTTOM),
        *_gaps(chart, across),
        *(_line(one, chart, across, up) for one in chart.series),
        *_ends(chart, up),
        *_limits(chart, up),
        *_marks(frame, across, BOTTOM),
        el("line", {"class": "cross", "x1": LEFT, "x2": LEFT, "y1": TOP, "y2": BOTTOM}),
    ]
    return _sheet(chart.id, chart.title, chart.desc, HEIGHT, inside, tabindex="0")


def overview(id_: str, title: str, desc: str, lanes: list[Lane], frame: Frame) -> str:
    """Phases and faults as lanes over the time of the run."""
    bottom = TOP + 8 + 34 * max(1, len(lanes))
    across = Scale(0.0, frame.end, LEFT, RIGHT)
    inside = [*_phases(frame, across, bottom), *_times(frame, across, bottom), *_marks(frame, across, bottom)]
    for n, lane in enumerate(lanes):
        y = TOP + 6 + 34 * n
        first = across(lane.pieces[0][1]) if lane.pieces else LEFT
        anchor, x = ("start", first) if first < WIDTH * 0.6 else ("end", across(lane.pieces[-1][2]))
        inside.append(el("text", {"class": "lane", "x": x, "y": y + 11, "text-anchor": anchor}, words(lane.label)))
        inside += [_piece(id_, kind, across(start), across(end), y + 16) for kind, start, end in lane.pieces]
    return _sheet(id_, title, desc, bottom + 26, inside)


def _piece(id_: str, kind: str, left: float, right: float, y: float) -> str:
    place: dict[str, object] = {"x": left, "y": y, "width": max(2.0, right - left), "height": 13}
    hatch = el("rect", {**place, "fill": f"url(#{id_}-hatch)"}) if kind != "piece-edge" else ""
    return el("rect", {"class": kind, **place}) + hatch


def _sheet(id_: str, title: str, desc: str, height: float, inside: Iterable[str], **more: object) -> str:
    head = {
        "id": id_,
        "class": "chart",
        "viewBox": f"0 0 {WIDTH} {_plain(float(height))}",
        "role": "img",
        "aria-labelledby": f"{id_}-t {id_}-d",
        **more,
    }
    named = el("title", {"id": f"{id_}-t"}, words(title)) + el("desc", {"id": f"{id_}-d"}, words(desc))
    return el("svg", head, named, _patterns(id_), *inside)


def _patterns(id_: str) -> str:
    hatch = el("path", {"class": "hatch-line", "d": "M-2 2l4-4M0 8l8-8M6 10l4-4"})
    dots = el("circle", {"class": "dot", "cx": 3, "cy": 3, "r": 1.2})
    square = {"patternUnits": "userSpaceOnUse"}
    return el(
        "defs",
        None,
        el("pattern", {"id": f"{id_}-hatch", **square, "width": 8, "height": 8}, hatch),
        el("pattern", {"id": f"{id_}-dots", **square, "width": 6, "height": 6}, dots),
    )


def _phases(frame: Frame, across: Scale, bottom: float) -> Iterable[str]:
    for name, start, end in frame.phases:
        left, right = across(start), across(end)
        strip = {"class": f"phase-{name}", "x": left, "y": 4, "width": right - left, "height": 16}
        yield el("rect", strip)
        yield el("rect", {**strip, "class": f"tint-{name}", "y": 20, "height": bottom - 20})
        if right - left > 7.0 * len(name) + 8:
            yield el("text", {"class": "phase", "x": left + 5, "y": 16}, words(name))


def _grid(up: Scale, show: Callable[[float | None], str]) -> Iterable[str]:
    for value in up.marks():
        y = up(value)
        yield el("line", {"class": "grid", "x1": LEFT, "x2": RIGHT, "y1": y, "y2": y})
        yield el("text", {"class": "tick", "x": LEFT - 6, "y": y + 4, "text-anchor": "end"}, words(show(value)))


def _times(frame: Frame, across: Scale, bottom: float) -> Iterable[str]:
    yield el("line", {"class": "axis", "x1": LEFT, "x2": RIGHT, "y1": bottom, "y2": bottom})
    for t in axis.seconds(frame.end):
        x = across(t)
        yield el("line", {"class": "axis", "x1": x, "x2": x, "y1": bottom, "y2": bottom + 4})
        shown = words(text.clock(t, 0))
        yield el("text", {"class": "tick", "x": x, "y": bottom + 17, "text-anchor": "middle"}, shown)


def _windows(id_: str, frame: Frame, across: Scale, top: float, bottom: float) -> Iterable[str]:
    for label, start, end in frame.windows:
        left, right = across(start), across(end)
        place = {"x": left, "y": top, "width": max(1.0, right - left), "height": bottom - top}
        yield el("rect", {**place, "fill": f"url(#{id_}-hatch)"}, el("title", None, words(label)))
        for x in (left, right):
            yield el("line", {"class": "edge", "x1": x, "x2": x, "y1": top, "y2": bottom})


def _gaps(chart: Chart, across: Scale) -> Iterable[str]:
    for start, end in chart.gaps:
        left, right = across(start), across(end)
        place = {"x": left, "y": TOP, "width": max(2.0, right - left), "height": BOTTOM - TOP}
        yield el("rect", {"class": "gap", **place})
        yield el("rect", {**place, "fill": f"url(#{chart.id}-dots)"}, el("title", None, "not measured"))
        if right - left > 84:
            middle = (left + right) / 2
            yield el(
                "text", {"class": "gap-word", "x": middle, "y": BOTTOM - 8, "text-anchor": "middle"}, "not measured"
            )
        else:
            yield el(
                "text", {"class": "gap-word", "x": (left + right) / 2, "y": BOTTOM - 8, "text-anchor": "middle"}, "?"
            )


def _line(series: Series, chart: Chart, across: Scale, up: Scale) -> str:
    path: list[str] = []
    last_y = ""
    for t, value in zip(chart.times, series.values, strict=True):
        if value is None:
            last_y = ""
            continue
        x, y = _plain(across(t)), _plain(up(value))
        path.append(f"M{x} {y}" if not last_y else f"H{x}V{y}" if chart.step and y != last_y else f"L{x} {y}")
        last_y = y
    return el("path", {"class": f"line {series.style}", "d": "".join(path) or "M0 0"})


def _ends(chart: Chart, up: Scale) -> Iterable[str]:
    named = {one.name: one for one in chart.series}.values()
    last = sorted((up(value), one.name, one.style) for one in named for value in [_last(one)] if value is not None)
    for y, (_, name, style) in zip(spread([y for y, _, _ in last], TOP, BOTTOM - 4), last, strict=True):
        yield el("text", {"class": f"end {style}", "x": RIGHT + 6, "y": y + 4}, words(shortened(name, 11)))


def spread(places: list[float], low: float, high: float) -> list[float]:
    """The rising places moved apart so that labels there do not overlap, kept above `high` as long as there is room."""
    found: list[float] = []
    for y in places:
        found.append(max(y, low, found[-1] + LABEL_GAP if found else low))
    for n in range(len(found) - 1, -1, -1):
        found[n] = min(found[n], high if n == len(found) - 1 else found[n + 1] - LABEL_GAP)
    return found


def shortened(name: str, most: int) -> str:
    """A name that fits beside a chart."""
    return name if len(name) <= most else name[: most - 1] + "…"


def _last(series: Series) -> float | None:
    return next((value for value in reversed(series.values) if value is not None), None)


def _limits(chart: Chart, up: Scale) -> Iterable[str]:
    ordered = sorted((up(value), label) for label, value in chart.limits)
    labels = spread([y - 4 for y, _ in ordered], TOP + 10, BOTTOM - 4)
    for place, (y, label) in zip(labels, ordered, strict=True):
        yield el("line", {"class": "limit", "x1": LEFT, "x2": RIGHT, "y1": y, "y2": y})
        yield el("text", {"class": "limit-word", "x": LEFT + 5, "y": place}, words(label))


def _marks(frame: Frame, across: Scale, bottom: float) -> Iterable[str]:
    for label, t in frame.marks:
        x = across(t)
        anchor, dx = ("start", 5) if x < WIDTH * 0.62 else ("end", -5)
        yield el("line", {"class": "mark", "x1": x, "x2": x, "y1": 20, "y2": bottom})
        yield el("path", {"class": "flag", "d": f"M{_plain(x)} 22l-5 -7h10z"})
        yield el("text", {"class": "mark-word", "x": x + dx, "y": 33, "text-anchor": anchor}, words(label))
