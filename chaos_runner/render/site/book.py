"""What the site consists of: its pages, their names, their keys. No IO but the templates."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator

import msgspec

from chaos_runner._version import __version__
from chaos_runner.render.html import paper
from chaos_runner.render.site import following, matrix, runs, trends
from chaos_runner.render.site.rows import Row, row
from chaos_runner.review import coverage, trend
from chaos_runner.review.digest import Digest
from chaos_runner.review.follow import Action, DayLine, Skip
from chaos_runner.review.trend import Line

FOLDER = "site"
PAGE = 250
"""Runs a page of the whole list: pages that are full do not change any more."""

_ASSETS = ("style.css", "site/site.css", "site/site.js", "site/parts.html.j2", "site/index.html.j2",
           "site/runs.html.j2", "site/trend.html.j2", "site/trends.html.j2", "site/coverage.html.j2",
           "site/following.html.j2")  # fmt: skip


class Site(msgspec.Struct, frozen=True):
    """All that the site is made of. `reports` are the runs and days with a report in the folder; `now` is Unix time."""

    digests: tuple[Digest, ...]
    now: float
    reports: frozenset[str] = frozenset()
    days: tuple[DayLine, ...] = ()
    actions: tuple[Action, ...] = ()
    skips: tuple[Skip, ...] = ()


class Page(msgspec.Struct, frozen=True):
    """One file of the site: its name below the folder of reports, a key over its input, and what makes it."""

    name: str
    key: str
    make: Callable[[], bytes]


def pages(site: Site) -> Iterator[Page]:
    """Every page, each made only when asked for."""
    ordered = sorted(site.digests, key=lambda one: (one.started_at, one.run))
    lines = trend.lines(ordered)
    names = named(lines)
    points = {one.digest.run: one for line in lines for one in line.points}
    rows = [row(points[one.run], one.run in site.reports) for one in ordered]
    key = _Keys()

    yield Page("index.html", key.of(rows, len(site.actions)), lambda: runs.index(rows, lines, names, PAGE, site))
    for n in range(-(-len(rows) // PAGE)):
        yield _part(key, rows, n)
    yield Page(f"{FOLDER}/trends.html", key.of([_latest(one) for one in lines]), lambda: trends.overview(lines, names))
    for experiment, name in names.items():
        mine = [one for one in lines if one.experiment == experiment]
        shown = [trends.shown(one) for one in mine]
        known = [one.digest.run in site.reports for line in shown for one in line.points]
        totals = [len(one.points) for one in mine]
        yield Page(name, key.of(shown, known, totals), lambda mine=mine: trends.page(mine, site.reports))  # type: ignore[misc]
    matrix_of = coverage.coverage(ordered, site.now)
    yield Page(f"{FOLDER}/coverage.html", key.of(matrix_of), lambda: matrix.page(matrix_of, names))
    told = frozenset(name for one in site.days for name in (one.day, *one.runs)) & site.reports
    follow = (site.days, site.actions, site.skips, told)
    yield Page(f"{FOLDER}/following.html", key.of(follow), lambda: following.page(*follow))


def _part(key: _Keys, rows: list[Row], n: int) -> Page:
    part, more = rows[n * PAGE : (n + 1) * PAGE], len(rows) > (n + 1) * PAGE
    return Page(runs.part_name(n), key.of(part, more), lambda: runs.part(part, n, PAGE, more))


def _latest(line: Line) -> tuple[object, ...]:
    return line.experiment, line.environment, len(line.points), line.last


def named(lines: list[Line]) -> dict[str, str]:
    """Experiment -> the name of its trend page: no name of an experiment can lead out of the folder."""
    found = {}
    for experiment in dict.fromkeys(line.experiment for line in lines):
        plain = re.sub(r"[^a-z0-9-]+", "-", experiment.lower())[:63].strip("-")
        mark = hashlib.sha256(experiment.encode(errors="surrogatepass")).hexdigest()[:8]
        found[experiment] = f"{FOLDER}/trend-{plain or 'run'}-{mark}.html"
    return found


class _Keys:
    """Keys that change with the input, the templates and the program."""

    def __init__(self) -> None:
        self._stamp = hashlib.sha256(f"{__version__} {paper.fingerprint(*_ASSETS)}".encode())

    def of(self, *inputs: object) -> str:
        """The key of these inputs."""
        found = self._stamp.copy()
        found.update(msgspec.json.encode(inputs, order="deterministic"))
        return found.hexdigest()[:32]
