"""Time charts as SVG text, from plain values: lines, their envelope, limits, and what `bands` draws over all. No IO.

Every foreign text goes through `markup.el`, which escapes it. Shapes differ by hatch, width and label, never by
colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from chaos_runner.render import axis, bands, text
from chaos_runner.render.axis import Scale
from chaos_runner.render.bands import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Frame, Mark
from chaos_runner.render.markup import el, plain, words

__all__ = ["BOTTOM", "LEFT", "RIGHT", "TOP", "WIDTH", "Chart", "Frame", "Lane", "Mark", "Series", "draw", "el", "words"]
LABEL_GAP = 13.0


class Series(msgspec.Struct, frozen=True):
    """One line; a value of None is a gap."""

    name: str
    style: str
    values: tuple[float | None, ...]


class Chart(msgspec.Struct, frozen=True):
    """One chart: its columns' times, its lines, its limits and where nothing was measured.

    `between` holds the lowest and the highest of everything in a column, whatever the lines show.
    """

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
    between: tuple[Series, Series] | None = None


class Lane(NamedTuple):
    """One row of the overview: a label, and pieces (class, from, to)."""

    label: str
    pieces: tuple[tuple[str, float, float], ...]


SHOWN: dict[str, Callable[[float | None], str]] = {
    "duration": text.duration,
    "share": text.share,
    "number": text.number,
}


def draw(chart: Chart, frame: Frame) -> str:
    """The chart as one SVG element."""
    across = Scale(0.0, frame.end, LEFT, RIGHT)
    drawn = (*chart.series, *(chart.between or ()))
    values = [value for one in drawn for value in one.values if value is not None]
    up = axis.over(values + [limit for _, limit in chart.limits], BOTTOM, TOP, chart.log, chart.floor, chart.ceiling)
    inside = [
        *bands.phases(frame, across, BOTTOM),
        *_grid(up, SHOWN[chart.unit]),
        *bands.times(frame, across, BOTTOM),
        *bands.windows(chart.id, frame, across, TOP, BOTTOM, BOTTOM),
        *bands.gaps(chart.id, chart.gaps, across),
        *_envelope(chart, across, up),
        *(_line(n, one, chart, across, up) for n, one in enumerate(chart.series)),
        *_ends(chart, up),
        *limits(chart, up),
        *bands.marks(frame, across, BOTTOM),
        crosshair(),
    ]
    return sheet(chart.id, chart.title, chart.desc, HEIGHT, frame, inside, tabindex="0")


def overview(id_: str, title: str, desc: str, lanes: list[Lane], frame: Frame) -> str:
    """Phases and faults as lanes over the time of the run."""
    bottom = TOP + 8 + 34 * max(1, len(lanes))
    across = Scale(0.0, frame.end, LEFT, RIGHT)
    inside = [*bands.phases(frame, across, bottom), *bands.times(frame, across, bottom)]
    inside += bands.marks(frame, across, bottom)
    for n, lane in enumerate(lanes):
        y = TOP + 6 + 34 * n
        first = across(lane.pieces[0][1]) if lane.pieces else LEFT
        anchor, x = ("start", first) if first < WIDTH * 0.6 else ("end", across(lane.pieces[-1][2]))
        inside.append(el("text", {"class": "lane", "x": x, "y": y + 11, "text-anchor": anchor}, words(lane.label)))
        inside += [_piece(bands.hatch(id_, n), kind, across(start), across(end), y + 16)
                   for kind, start, end in lane.pieces]  # fmt: skip
    return sheet(id_, title, desc, bottom + 26, frame, inside)


def _piece(fill: str, kind: str, left: float, right: float, y: float) -> str:
    place: dict[str, object] = {"x": left, "y": y, "width": max(2.0, right - left), "height": 13}
    hatch = el("rect", {**place, "fill": fill}) if kind != "piece-edge" else ""
    return el("rect", {"class": kind, **place}) + hatch


def sheet(id_: str, title: str, desc: str, height: float, frame: Frame, inside: Iterable[str], **more: object) -> str:
    """A picture with its name, its description and the patterns it uses."""
    head = {
        "id": id_,
        "class": "chart",
        "viewBox": f"0 0 {WIDTH} {plain(float(height))}",
        "role": "img",
        "aria-labelledby": f"{id_}-t {id_}-d",
        **more,
    }
    named = el("title", {"id": f"{id_}-t"}, words(title)) + el("desc", {"id": f"{id_}-d"}, words(desc))
    return el("svg", head, named, bands.patterns(id_, frame), *inside)


def crosshair() -> str:
    """Where the script shows the moment that is read; never seen without it."""
    return el("line", {"class": "cross", "x1": LEFT, "x2": LEFT, "y1": TOP, "y2": BOTTOM})


def _grid(up: Scale, show: Callable[[float | None], str]) -> Iterable[str]:
    for value in up.marks():
        y = up(value)
        yield el("line", {"class": "grid", "x1": LEFT, "x2": RIGHT, "y1": y, "y2": y})
        yield el("text", {"class": "tick", "x": LEFT - 6, "y": y + 4, "text-anchor": "end"}, words(show(value)))


def _envelope(chart: Chart, across: Scale, up: Scale) -> Iterable[str]:
    """Everything between the lowest and the highest of each column, broken where nothing was measured."""
    if chart.between is None:
        return
    path, piece = "", []
    for t, low, high in zip(chart.times, *(one.values for one in chart.between), strict=True):
        if low is not None and high is not None:
            piece.append((plain(across(t)), plain(up(low)), plain(up(high))))
            continue
        path, piece = path + _around(piece), []
    path += _around(piece)
    if path:
        yield el("path", {"class": "envelope", "data-line": "between", "d": path})


def _around(piece: list[tuple[str, str, str]]) -> str:
    if not piece:
        return ""
    over = "L".join(f"{x} {high}" for x, _, high in piece)
    return f"M{over}L" + "L".join(f"{x} {low}" for x, low, _ in reversed(piece)) + "z"


def _line(n: int, series: Series, chart: Chart, across: Scale, up: Scale) -> str:
    path: list[str] = []
    last_y = ""
    for t, value in zip(chart.times, series.values, strict=True):
        if value is None:
            last_y = ""
            continue
        x, y = plain(across(t)), plain(up(value))
        path.append(f"M{x} {y}" if not last_y else f"H{x}V{y}" if chart.step and y != last_y else f"L{x} {y}")
        last_y = y
    return el("path", {"class": f"line {series.style}", "data-line": n, "d": "".join(path) or "M0 0"})


def _ends(chart: Chart, up: Scale) -> Iterable[str]:
    named = {one.name: (n, one) for n, one in enumerate(chart.series)}.values()
    last = sorted(
        (up(value), one.name, one.style, n) for n, one in named for value in [_last(one)] if value is not None
    )
    for y, (_, name, style, n) in zip(spread([one[0] for one in last], TOP, BOTTOM - 4), last, strict=True):
        place = {"class": f"end {style}", "data-line": n, "x": RIGHT + 6, "y": y + 4}
        yield el("text", place, words(shortened(name, 11)))


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


def limits(chart: Chart, up: Scale) -> Iterable[str]:
    """Where a clause is violated, or the run is stopped: dashed lines with their words."""
    ordered = sorted((up(value), label) for label, value in chart.limits)
    labels = spread([y - 4 for y, _ in ordered], TOP + 10, BOTTOM - 4)
    for place, (y, label) in zip(labels, ordered, strict=True):
        yield el("line", {"class": "limit", "x1": LEFT, "x2": RIGHT, "y1": y, "y2": y})
        yield el("text", {"class": "limit-word", "x": LEFT + 5, "y": place}, words(label))
