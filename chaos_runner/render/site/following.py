"""What is left to do: open action items, game days, and what schedules left out. No IO."""

from __future__ import annotations

from chaos_runner.render import text
from chaos_runner.render.html import paper
from chaos_runner.render.site.rows import link
from chaos_runner.review.follow import Action, DayLine, Skip

SHOWN_MAX = 300
RUNS_MAX = 20


def page(
    days: tuple[DayLine, ...], actions: tuple[Action, ...], skips: tuple[Skip, ...], reports: frozenset[str]
) -> bytes:
    """The page; days and runs lead to their reports where there are some."""
    return paper.printed(
        "site/following.html.j2",
        "",
        "site/site.css",
        here="following.html",
        up="../",
        down="",
        actions=actions[:SHOWN_MAX],
        days=[
            (
                one,
                text.utc(one.started_at),
                [(run, link(run) if run in reports else "") for run in one.runs[:RUNS_MAX]],
                link(one.day) if one.day in reports else "",
            )
            for one in days[:SHOWN_MAX]
        ],
        skips=[(one, text.utc(one.instant), text.one_line(one.reason)) for one in skips[:SHOWN_MAX]],
        hidden=[(what, len(found) - SHOWN_MAX)
                for what, found in (("actions", actions), ("game days", days), ("skips", skips))
                if len(found) > SHOWN_MAX],
    )  # fmt: skip
