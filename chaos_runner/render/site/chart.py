"""Charts over many runs: one place for each run, a line that ends where runs cannot be compared. No IO."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from chaos_runner.render import axis, text
from chaos_runner.render.axis import Scale
from chaos_runner.render.site.rows import word
from chaos_runner.render.svg import el, words
from chaos_runner.review.trend import Point

WIDTH, LEFT, RIGHT = 960, 72, 940
TOP, BOTTOM, HEIGHT = 34, 200, 226
LABELS_MAX = 8
Value = tuple[float | None, float | None, float | None]
"""A value with the ends of its interval."""

_SHAPES = {"good": "o", "bad": "x", "unsure": "?", "alarm": "!"}


def dots(id_: str, title: str, points: Sequence[Point], values: Sequence[Value | None]) -> str:
    """A value of each run, with its interval; a run without one is a gap."""
    known = [end for value in values if value is not None for end in value if end is not None]
    up = axis.over(known or [0.0], BOTTOM, TOP, floor=0.001)
    across = _across(len(points))
    count = sum(value is not None for value in values)
    desc = f"{text.counted(count, 'value')} of {text.counted(len(points), 'run')}, oldest on the left"
    return _sheet(
        id_,
        title,
        desc,
        HEIGHT,
        [
            *_grid(up),
            *_breaks(points, across),
            *_pieces(points, values, across, up),
            *_marks(points, values, across, up),
            *_dates(points, across, BOTTOM),
        ],
    )


def strip(id_: str, points: Sequence[Point]) -> str:
    """The verdicts of all runs as a row of boxes; their letters differ, not only their colours."""
    across = _across(len(points))
    width = max(2.0, min(18.0, (RIGHT - LEFT) / max(1, len(points)) - 1))
    inside = []
    for n, one in enumerate(points):
        said = word(one.digest.word)
        x = across(n) - width / 2
        inside.append(
            el("rect", {"class": f"box box-{said.tone}", "x": x, "y": 24, "width": width, "height": 22},
               el("title", None, words(f"{said.label}, {text.utc(one.digest.started_at)}")))
        )  # fmt: skip
        if width >= 8:
            letter = {"class": "letter", "x": across(n), "y": 39, "text-anchor": "middle"}
            inside.append(el("text", letter, words(_SHAPES.get(said.tone, "?"))))
        if one.worse:
            inside.append(el("path", {"class": "flag", "d": _flag(across(n), 22)}))
    counts: dict[str, int] = {}
    for one in points:
        label = word(one.digest.word).label
        counts[label] = counts.get(label, 0) + 1
    desc = ", ".join(f"{count} {label}" for label, count in counts.items())
    return _sheet(id_, "Verdicts, oldest on the left", desc, 72, [*inside, *_dates(points, across, 50)])


def _across(count: int) -> Scale:
    return Scale(-0.5, max(0.5, count - 0.5), LEFT, RIGHT)


def _grid(up: Scale) -> Iterator[str]:
    for value in up.marks():
        y = up(value)
        yield el("line", {"class": "axis" if value == 0 else "grid", "x1": LEFT, "x2": RIGHT, "y1": y, "y2": y})
        yield el(
            "text",
            {"class": "tick", "x": LEFT - 6, "y": y + 4, "text-anchor": "end"},
            words(text.duration(round(value, 6))),
        )


def _breaks(points: Sequence[Point], across: Scale) -> Iterator[str]:
    free = -math.inf
    for n, one in enumerate(points):
        if not one.broke or n == 0:
            continue
        x = across(n - 0.5)
        yield el("line", {"class": "break", "x1": x, "x2": x, "y1": TOP - 8, "y2": BOTTOM})
        label = ", ".join(one.broke)
        if x > free:
            anchor = "start" if x < WIDTH * 0.8 else "end"
            yield el("text", {"class": "break-word", "x": x, "y": TOP - 13, "text-anchor": anchor},
                     words(f"{label} changed"))  # fmt: skip
            free = x + 6.5 * (len(label) + 9)


def _pieces(points: Sequence[Point], values: Sequence[Value | None], across: Scale, up: Scale) -> Iterator[str]:
    path = ""
    for n, (one, value) in enumerate(zip(points, values, strict=True)):
        if one.broke or value is None or value[0] is None:
            path, done = "", path
            yield from _line(done)
        if value is not None and value[0] is not None:
            path += f"{'L' if path else 'M'}{across(n):.1f} {up(value[0]):.1f}"
    yield from _line(path)


def _line(path: str) -> Iterator[str]:
    if "L" in path:
        yield el("path", {"class": "line s1", "d": path})


def _marks(points: Sequence[Point], values: Sequence[Value | None], across: Scale, up: Scale) -> Iterator[str]:
    for n, (one, value) in enumerate(zip(points, values, strict=True)):
        if value is None or value[0] is None:
            continue
        x, y = across(n), up(value[0])
        if value[1] is not None and value[2] is not None:
            yield el("line", {"class": "interval", "x1": x, "x2": x, "y1": up(value[1]), "y2": up(value[2])})
        said = f"{text.duration(value[0], sign=True)}, {word(one.digest.word).label}, {text.utc(one.digest.started_at)}"
        yield el("circle", {"class": "point", "cx": x, "cy": y, "r": 3.2}, el("title", None, words(said)))
        if one.worse:
            yield el("path", {"class": "flag", "d": _flag(x, y - 6)})


def _flag(x: float, y: float) -> str:
    return f"M{x:.1f} {y:.1f}l-5 -8h10z"


def _dates(points: Sequence[Point], across: Scale, bottom: float) -> Iterator[str]:
    step = max(1, -(-len(points) // LABELS_MAX))
    for n in range(0, len(points), step):
        told = text.utc(points[n].digest.started_at)[:10]
        yield el("text", {"class": "tick", "x": across(n), "y": bottom + 18, "text-anchor": "middle"}, words(told))


def _sheet(id_: str, title: str, desc: str, height: float, inside: list[str]) -> str:
    head: dict[str, object] = {"id": id_, "class": "chart", "viewBox": f"0 0 {WIDTH} {height}", "role": "img",
            "aria-labelledby": f"{id_}-t {id_}-d"}  # fmt: skip
    named = el("title", {"id": f"{id_}-t"}, words(title)) + el("desc", {"id": f"{id_}-d"}, words(desc))
    return el("svg", head, named, *inside)
