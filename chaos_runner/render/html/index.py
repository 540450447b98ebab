"""The list of runs: reports/index.html."""

from __future__ import annotations

from typing import Literal

import msgspec

from chaos_runner.records import Headline
from chaos_runner.render import story, text
from chaos_runner.render.html import paper

RUNS_MAX = 1000


class Summary(msgspec.Struct, frozen=True):
    """One run in the list; `verdict` also takes what stands for it where there is none."""

    run: str
    verdict: Headline | Literal["NOT_STARTED", "UNFINISHED"]
    experiment: str
    environment: str
    started_at: float
    link: str
    why: str = ""


def render(summaries: list[Summary]) -> bytes:
    """The newest runs first."""
    ordered = sorted(summaries, key=lambda one: (one.started_at, one.run), reverse=True)
    rows = [(one, story.WORDS[one.verdict], text.utc(one.started_at), _local(one.link)) for one in ordered[:RUNS_MAX]]
    counts = [(word.label, sum(one.verdict == key for one in summaries)) for key, word in story.WORDS.items()]
    return paper.printed(
        "index.html.j2",
        rows=rows,
        counts=[(label, count) for label, count in counts if count],
        hidden=max(0, len(summaries) - RUNS_MAX),
        total=text.counted(len(summaries), "run"),
    )


def _local(link: str) -> str:
    """The link if it is a plain relative path; a scheme or a host in it would lead elsewhere."""
    plain = text.one_line(link, 2000)
    return "" if ":" in plain or plain.startswith(("/", "\\")) or plain != link else plain
