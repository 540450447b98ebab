"""The Markdown report: a short summary for a pull request's comment. No IO."""

from __future__ import annotations

import re

from chaos_runner.history import Run
from chaos_runner.records import Entry, Sample
from chaos_runner.render import measured, planned, story, tables, text, windows
from chaos_runner.render.planned import Planned
from chaos_runner.render.story import Story
from chaos_runner.render.tables import CheckTable, ClauseRow

CLAUSES_MAX = 30
MARKS = {"ok": "✅ ok", "violated": "❌ violated", "unknown": "❔ unknown", "not judged": "➖ not judged"}
TONES = {"good": "✅", "bad": "❌", "unsure": "❔", "alarm": "🚨"}


def render(run: Run, entries: list[Entry], samples: list[Sample]) -> bytes:
    """The outcome, the expectations, and how to run it again."""
    plan = planned.read(run)
    spans = windows.spans(run, entries, samples)
    tale = story.told(run, plan, spans)
    compared = tables.compared(plan, measured.gathered(samples), spans)
    lines = [
        f"## {TONES[tale.word.tone]} {tale.word.label}: {plain(plan.heading(run.id))}",
        "",
        *_left(tale),
        plain(tale.meaning),
        "",
        f"- **Believed:** {plain(tale.believed)}",
        f"- **Done:** {plain(tale.did)}",
        f"- **Happened:** {plain(tale.happened)}",
        f"- **So what:** {plain(tale.so_what)}",
        "",
        *_clauses(tables.clauses(run, plan)),
        *_shifts(compared),
        *_end(run, plan),
    ]
    return ("\n".join(lines) + "\n").encode()


_MEANS = re.compile(r"(^[-+>=]|[\\`*_\[\]#|~@])")  # people edit these files: no more than what would mean something
_NUMBERED = re.compile(r"^(\d{1,9})([.)])")


def plain(foreign: str) -> str:
    """Foreign text that Markdown shows as written: no markup, no link, no mention, no HTML."""
    escaped = _NUMBERED.sub(r"\1\\\2", _MEANS.sub(r"\\\1", text.one_line(foreign, 4000)))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace("://", ":\u200b//").replace("www.", "www\u200b.")


def code(foreign: str) -> str:
    """Foreign text as code; the fence is longer than any in it."""
    told = text.one_line(foreign, 2000)
    fence = "`" * (1 + max((len(run) for run in re.findall(r"`+", told)), default=0))
    space = " " if told.startswith("`") or told.endswith("`") else ""
    return f"{fence}{space}{told}{space}{fence}"


def _cell(foreign: str) -> str:
    return code(foreign).replace("|", "\\|")


def _left(tale: Story) -> list[str]:
    if not tale.left:
        return [f"> {plain(tale.caution)}", ""] if tale.caution else []
    return [
        "> [!CAUTION]",
        "> Something may still be on its target:",
        *(f"> - {plain(one.target)}: {plain(one.what)}. {plain(one.why)}" for one in tale.left),
        ">",
        f"> Run {code(tale.recover)}",
        "",
    ]


def _clauses(rows: list[ClauseRow]) -> list[str]:
    if not rows:
        return []
    shown = [
        f"| {plain(one.check)} | {_cell(one.clause)} | {MARKS.get(one.state, plain(one.state))} | {one.share} | "
        f"{one.allowed} | {plain(one.why)} |"
        for one in rows[:CLAUSES_MAX]
    ]
    more = [f"\n{len(rows) - CLAUSES_MAX} more in the full report."] if len(rows) > CLAUSES_MAX else []
    return ["| Check | Expectation | Result | Bad | Allowed | Why |", "|---|---|---|--:|--:|---|", *shown, *more, ""]


def _shifts(compared: list[CheckTable]) -> list[str]:
    found = [
        f"- {plain(one.title)}: {plain(shift)}"
        for one in compared
        for shift in one.shifts[:1]
        if tables.NO_SHIFT not in shift
    ]
    return [*found[:10], ""] if found else []


def _end(run: Run, plan: Planned) -> list[str]:
    again = plan.reproduce()
    told = [f"Run {code(run.id or text.MISSING)}", plain(plan.environment or text.MISSING), text.utc(run.started_at)]
    told += [f"again: {code(again)}"] if again else []
    return [" · ".join(told)]
