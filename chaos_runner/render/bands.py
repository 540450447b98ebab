"""What all charts of a run share: phases, fault bands, marks, the time axis. No IO.

Faults differ by pattern and colour, marks by shape, tag and dash; colour never says anything alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from chaos_runner.render import axis, text
from chaos_runner.render.axis import Scale
from chaos_runner.render.markup import el, plain, words

WIDTH = 960
LEFT, RIGHT = 64, 884
TOP, BOTTOM = 40, 240
HEIGHT = 266
PATTERNS = ("M-2 2l4-4M0 8l8-8M6 10l4-4", "M-2 6l4 4M0 0l8 8M6-2l4 4", "M2 0v8M6 0v8", "M0 4h8M4 0v8")
GLYPHS = {"stop": "M{x} 22l-5 -7h10z", "alert": "M{x} 14l5 5l-5 5l-5 -5z", "note": "M{x} 15m-4 0h8v8h-8z"}
TAG_ROWS = (33.0, 52.0, 65.0)


class Mark(msgspec.Struct, frozen=True):
    """A moment: the decision to stop, an alert that fired, a note. `tag` stands where there is no room for words."""

    kind: Literal["stop", "alert", "note"]
    label: str
    t: float
    tag: str = ""


class Frame(msgspec.Struct, frozen=True):
    """The phases, fault windows and marks of a run on its time axis."""

    end: float
    phases: tuple[tuple[str, float, float], ...] = ()
    windows: tuple[tuple[str, float, float], ...] = ()
    marks: tuple[Mark, ...] = ()


def patterns(id_: str, frame: Frame) -> str:
    """What faults and gaps are filled with; only what this picture uses."""
    square = {"patternUnits": "userSpaceOnUse"}
    hatches = [
        el("pattern", {"id": f"{id_}-hatch-{n}", **square, "width": 8, "height": 8},
           el("path", {"class": f"hatch-line hatch-{n}", "d": PATTERNS[n]}))
        for n in range(min(len(PATTERNS), len(frame.windows)))
    ]  # fmt: skip
    dots = el("circle", {"class": "dot", "cx": 3, "cy": 3, "r": 1.2})
    return el("defs", None, *hatches, el("pattern", {"id": f"{id_}-dots", **square, "width": 6, "height": 6}, dots))


def hatch(id_: str, window: int) -> str:
    """The fill of the n-th fault window."""
    return f"url(#{id_}-hatch-{window % len(PATTERNS)})"


def phases(frame: Frame, across: Scale, bottom: float) -> Iterable[str]:
    """A strip with their names, and a tint below it."""
    for name, start, end in frame.phases:
        left, right = across(start), across(end)
        strip = {"class": f"phase-{name}", "x": left, "y": 4, "width": right - left, "height": 16}
        yield el("rect", strip)
        yield el("rect", {**strip, "class": f"tint-{name}", "y": 20, "height": bottom - 20})
        if right - left > 7.0 * len(name) + 8:
            yield el("text", {"class": "phase", "x": left + 5, "y": 16}, words(name))


def times(frame: Frame, across: Scale, bottom: float) -> Iterable[str]:
    """The time axis."""
    yield el("line", {"class": "axis", "x1": LEFT, "x2": RIGHT, "y1": bottom, "y2": bottom})
    for t in axis.seconds(frame.end):
        x = across(t)
        yield el("line", {"class": "axis", "x1": x, "x2": x, "y1": bottom, "y2": bottom + 4})
        shown = words(text.clock(t, 0))
        yield el("text", {"class": "tick", "x": x, "y": bottom + 17, "text-anchor": "middle"}, shown)


def windows(id_: str, frame: Frame, across: Scale, top: float, bottom: float, reach: float) -> Iterable[str]:
    """A band for each fault from `top` to `bottom`, with edges that reach down to `reach`."""
    for n, (label, start, end) in enumerate(frame.windows):
        left, right = across(start), across(end)
        place = {"x": left, "y": top, "width": max(1.0, right - left), "height": bottom - top}
        yield el("rect", {**place, "class": f"band band-{n % len(PATTERNS)}"})
        yield el("rect", {**place, "fill": hatch(id_, n)}, el("title", None, words(label)))
        for x in (left, right):
            yield el("line", {"class": f"edge edge-{n % len(PATTERNS)}", "x1": x, "x2": x, "y1": top, "y2": reach})


def gaps(id_: str, spans: Iterable[tuple[float, float]], across: Scale) -> Iterable[str]:
    """Where nothing was measured."""
    for start, end in spans:
        left, right = across(start), across(end)
        place = {"x": left, "y": TOP, "width": max(2.0, right - left), "height": BOTTOM - TOP}
        yield el("rect", {"class": "gap", **place})
        yield el("rect", {**place, "fill": f"url(#{id_}-dots)"}, el("title", None, "not measured"))
        word = "not measured" if right - left > 84 else "?"
        middle = {"x": (left + right) / 2, "y": BOTTOM - 8, "text-anchor": "middle"}
        yield el("text", {"class": "gap-word", **middle}, word)


def marks(frame: Frame, across: Scale, bottom: float) -> Iterable[str]:
    """A line down from each moment, with a flag of its kind; words for the stop, tags for the others."""
    taken: list[float] = [0.0] * len(TAG_ROWS)
    for one in sorted(frame.marks, key=lambda mark: (mark.kind != "stop", mark.t)):
        x = across(one.t)
        yield el("line", {"class": f"mark mark-{one.kind}", "x1": x, "x2": x, "y1": 20, "y2": bottom})
        told = el("title", None, words(f"{text.clock(one.t)} {one.label}"))
        yield el("path", {"class": f"flag flag-{one.kind}", "d": GLYPHS[one.kind].format(x=plain(x))}, told)
        if one.kind == "stop":
            anchor, dx = ("start", 5) if x < WIDTH * 0.62 else ("end", -5)
            taken[0] = WIDTH  # words and tags share no row
            yield el("text", {"class": "mark-word", "x": x + dx, "y": 33, "text-anchor": anchor}, words(one.label))
            continue
        row = next((n for n, free in enumerate(taken) if free < x), None)
        if row is not None:
            taken[row] = x + 9.0 * len(one.tag) + 8
            place = {"x": x + 5, "y": TAG_ROWS[row]}
            yield el("text", {"class": f"mark-tag tag-{one.kind}", **place}, words(one.tag))
