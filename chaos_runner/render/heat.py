"""A latency heatmap as SVG text: time across, latency up, and how many of a moment's requests took that long. No IO."""

from __future__ import annotations

import itertools
import math

import msgspec

from chaos_runner import histogram
from chaos_runner.render import bands, svg, text
from chaos_runner.render.axis import Scale
from chaos_runner.render.bands import BOTTOM, LEFT, RIGHT, TOP, Frame
from chaos_runner.render.markup import el, plain, words
from chaos_runner.render.measured import Column

COLUMNS_MAX, ROWS_MAX = 240, 40
TABLE_ROWS = 8
LEVELS = (0.0, 0.01, 0.05, 0.15, 0.4)  # a cell is as dark as the highest of these shares that it is above
STRIP = 12  # the height of the fault bands, above the cells


class Grid(msgspec.Struct, frozen=True):
    """Buckets of latency, `each` of them to a row, from `lowest` up; one column of shares for each stretch of time."""

    lowest: int
    each: int
    rows: int
    columns: tuple[tuple[int, int, dict[int, float]], ...]  # first tick, ticks, share of each row that has any

    def edge(self, row: int) -> float:
        """Where a row begins, in seconds."""
        return histogram.SMALLEST_S * histogram.STEP ** (self.lowest + row * self.each)


def grid(columns: list[Column], rows_max: int = ROWS_MAX) -> Grid | None:
    """What the columns hold, in at most `rows_max` rows; None where there is no latency at all."""
    known = [bucket for one in columns for bucket in one.cell.histogram]
    if not known:
        return None
    lowest, highest = min(known), max(known)
    each = math.ceil((highest - lowest + 1) / rows_max)
    shares = tuple((one.first, one.last - one.first + 1, _shares(one.cell.histogram, lowest, each)) for one in columns)
    return Grid(lowest, each, math.ceil((highest - lowest + 1) / each), shares)


def _shares(counts: dict[int, int], lowest: int, each: int) -> dict[int, float]:
    total = sum(counts.values())
    found: dict[int, float] = {}
    for bucket, count in sorted(counts.items()):
        row = (bucket - lowest) // each
        found[row] = found.get(row, 0.0) + count / total
    return found


def draw(chart: svg.Chart, cells: Grid, frame: Frame) -> str:
    """The heatmap as one SVG element; the chart gives its id, words, limits and gaps."""
    across = Scale(0.0, frame.end, LEFT, RIGHT)
    highest = max([cells.edge(cells.rows), *(limit for _, limit in chart.limits)])
    up = Scale(cells.edge(0), highest * 1.15, BOTTOM, TOP, log=True)
    inside = [
        *bands.phases(frame, across, BOTTOM),
        *_grid(up),
        *bands.times(frame, across, BOTTOM),
        *bands.gaps(chart.id, chart.gaps, across),
        _cells(cells, frame.end, up),
        *bands.windows(chart.id, frame, across, TOP - STRIP, TOP, BOTTOM),
        *svg.limits(chart, up),
        *bands.marks(frame, across, BOTTOM),
        svg.crosshair(),
    ]
    return svg.sheet(chart.id, chart.title, chart.desc, bands.HEIGHT, frame, inside, tabindex="0")


def _grid(up: Scale) -> list[str]:
    found = []
    for value in up.marks() or [up.low, up.high]:
        place = {"class": "tick", "x": LEFT - 6, "y": up(value) + 4, "text-anchor": "end"}
        found.append(el("text", place, words(text.duration(float(f"{value:.2g}")))))
    return found


def _cells(cells: Grid, end: float, up: Scale) -> str:
    """One path for each shade: rows are lines as thick as a row is high, so that equal neighbours cost nothing."""
    high = (BOTTOM - up(cells.edge(cells.rows))) / cells.rows
    moved = f"translate({LEFT} {plain(BOTTOM - high / 2)}) scale({(RIGHT - LEFT) / end:.6g} {-high:.6g})"
    found: dict[int, list[str]] = {}
    for row in range(cells.rows):
        _along(row, cells, found)
    paths = [el("path", {"class": f"heat heat-{level}", "d": "".join(found[level])}) for level in sorted(found)]
    return el("g", {"class": "cells", "transform": moved}, *paths) if paths else ""


def _along(row: int, cells: Grid, found: dict[int, list[str]]) -> None:
    """Adds the row's stretches of one shade each."""
    began, reach, shade = 0, 0, 0
    for first, ticks, shares in (*cells.columns, (-1, 0, {})):
        level = _level(shares.get(row, 0.0))
        if level == shade and first == reach:
            reach += ticks
            continue
        if shade:
            found.setdefault(shade, []).append(f"M{began} {row}h{reach - began}")
        began, reach, shade = first, first + ticks, level


def _level(share: float) -> int:
    return sum(share > limit for limit in LEVELS)


def table(columns: list[Column]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The same in figures, coarser: head and rows."""
    cells = grid(columns, TABLE_ROWS)
    if cells is None:
        return ("from",), []
    edges = [text.duration(float(f"{cells.edge(row):.2g}")) for row in range(cells.rows + 1)]
    head = ("from", *(f"{low} to {high}" for low, high in itertools.pairwise(edges)))
    rows = [
        (text.clock(first, 0), *(text.share(shares[row]) if row in shares else "–" for row in range(cells.rows)))
        for first, _, shares in cells.columns
    ]
    return head, rows
