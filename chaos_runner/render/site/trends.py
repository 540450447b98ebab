"""Trend pages: one for each experiment, with a part for each environment. No IO."""

from __future__ import annotations

from typing import Any

import msgspec

from chaos_runner.render import text
from chaos_runner.render.html import paper
from chaos_runner.render.site import chart
from chaos_runner.render.site.rows import NONE, link, recovery, word
from chaos_runner.review.digest import CheckFigures, Digest, figures
from chaos_runner.review.trend import RULE, Line, Point

SHOWN = 200
CHECKS_MAX = 4
_STYLE = "site/site.css"


def shown(line: Line) -> Line:
    """The part of a line that its page shows."""
    return msgspec.structs.replace(line, points=line.points[-SHOWN:])


def overview(lines: list[Line], names: dict[str, str]) -> bytes:
    """All experiments: how the last run ended, and what got worse."""
    rows = [
        (
            line,
            names[line.experiment].rpartition("/")[2],
            word(line.last.digest.word),
            text.utc(line.last.digest.started_at),
            text.number(len(line.points)),
        )
        for line in lines
    ]
    return paper.printed("site/trends.html.j2", "", _STYLE, here="trends.html", up="../", down="", rows=rows, rule=RULE)


def page(lines: list[Line], reports: frozenset[str]) -> bytes:
    """The page of one experiment."""
    last = max((line.last.digest for line in lines), key=lambda one: one.started_at)
    return paper.printed(
        "site/trend.html.j2",
        "",
        _STYLE,
        here="trend",
        up="../",
        down="",
        experiment=last.experiment or text.MISSING,
        title=last.title or last.experiment or text.MISSING,
        service=last.service or "(no service)",
        source=last.source,
        lines=[_part(n, line, reports) for n, line in enumerate(lines)],
        rule=RULE,
    )


def _part(n: int, line: Line, reports: frozenset[str]) -> dict[str, Any]:
    points = shown(line).points
    last = points[-1]
    checks = _checks(points)
    return {
        "id": f"line-{n}",
        "environment": line.environment or text.MISSING,
        "total": text.counted(len(line.points), "run"),
        "cut": len(line.points) - len(points),
        "last": word(last.digest.word),
        "worse": last.worse,
        "since": _since(points),
        "strip": paper.trusted(chart.strip(f"strip-{n}", points)),
        "charts": [(title, paper.trusted(one)) for title, one in _charts(n, points, checks)],
        "checks": checks,
        "rows": [_row(one, checks, reports) for one in reversed(points)],
    }


def _checks(points: tuple[Point, ...]) -> list[str]:
    """The checks with latencies, those of the newest runs first."""
    names = dict.fromkeys(
        check.check for one in reversed(points) for check in one.digest.checks if check.p95 != (None, None)
    )
    return list(names)[:CHECKS_MAX]


def _charts(n: int, points: tuple[Point, ...], checks: list[str]) -> list[tuple[str, str]]:
    found = []
    for k, check in enumerate(checks):
        title = f"Shift of p95 of {check}, from before to during the fault"
        found.append(
            (title, chart.dots(f"shift-{n}-{k}", title, points, [_shift(one.digest, check) for one in points]))
        )
    took = [(one.digest.recovery_s, None, None) if one.digest.recovered else None for one in points]
    if any(took):
        title = "Time until steady again"
        found.append((title, chart.dots(f"recovery-{n}", title, points, took)))
    return found


def _shift(digest: Digest, check: str) -> tuple[float | None, float | None, float | None] | None:
    found = figures(digest, check)
    return None if found is None or found.shift is None else (found.shift.value, found.shift.low, found.shift.high)


def _since(points: tuple[Point, ...]) -> str:
    """Since when the line is whole."""
    for n in range(len(points) - 1, -1, -1):
        if points[n].broke:
            count = text.counted(len(points) - n, "run")
            return f"{count} since the last break, where {text.listed(list(points[n].broke))} changed"
    return f"{text.counted(len(points), 'run')} without a break"


def _row(point: Point, checks: list[str], reports: frozenset[str]) -> dict[str, Any]:
    one = point.digest
    return {
        "run": text.one_line(one.run, 120),
        "link": link(one.run) if one.run in reports else "",
        "started": text.utc(one.started_at).removesuffix(" UTC"),
        "word": word(one.word),
        "figures": [_figures(figures(one, check)) for check in checks],
        "recovery": recovery(one),
        "broke": text.listed(list(point.broke)),
        "worse": "; ".join(point.worse),
    }


def _figures(check: CheckFigures | None) -> tuple[str, str]:
    if check is None:
        return NONE, NONE
    before, during = (NONE if value is None else text.duration(value) for value in check.p95)
    return f"{before} → {during}", ranged(check)


def ranged(check: CheckFigures) -> str:
    """A shift with its interval."""
    shift = check.shift
    if shift is None:
        return NONE
    told = text.duration(shift.value, sign=True)
    if shift.low is None or shift.high is None:
        return f"{told} (too few replies for an interval)"
    return f"{told} ({text.duration(shift.low, sign=True)} to {text.duration(shift.high, sign=True)})"
