"""The difference of two runs as a page, as text and as JSON. No IO but the template."""

from __future__ import annotations

from typing import Any

import msgspec

from chaos_runner.render import text
from chaos_runner.render.html import paper
from chaos_runner.render.site.rows import word
from chaos_runner.review.difference import Difference, Row, Unit, Value
from chaos_runner.review.digest import Digest, values

SCHEMA_VERSION = 1
NONE = "–"
CELL_MAX = 300


def as_json(found: Difference) -> bytes:
    """For programs: both digests, and every difference."""
    told: dict[str, Any] = msgspec.to_builtins(found)
    told["schemaVersion"] = SCHEMA_VERSION
    told["first"], told["second"] = values(found.first), values(found.second)
    document = msgspec.json.format(msgspec.json.encode(told, order="deterministic"), indent=2)
    return text.harmless_json(document) + b"\n"


def as_html(found: Difference) -> bytes:
    """For people."""
    return paper.printed(
        "site/diff.html.j2",
        "",
        "site/site.css",
        first=found.first,
        second=found.second,
        words=[word(one.word) for one in (found.first, found.second)],
        started=[text.utc(one.started_at) for one in (found.first, found.second)],
        sentence=sentence(found),
        verdict=[_shown(one) for one in found.verdict],
        figures=[_shown(one) for one in found.figures],
        lines=[(_kind(line), text.clean(line)) for line in found.file],
        plan=[_shown(one) for one in found.plan],
        environment=[_shown(one) for one in found.environment],
        cut=found.cut,
    )


def as_text(found: Difference) -> str:
    """For a terminal: no control character of anybody's is in it."""
    lines = [f"first   {_head(found.first)}", f"second  {_head(found.second)}", "", sentence(found)]
    for title, rows in (("verdict", found.verdict), ("figures", found.figures), ("plan", found.plan),
                        ("environment", found.environment)):  # fmt: skip
        lines += ["", title, *_table([_shown(one) for one in rows if one.differs])]
    lines += ["", "file", *([f"  {text.one_line(line)}" for line in found.file] or ["  the same"])]
    lines += [f"({one})" for one in found.cut]
    return "\n".join(lines) + "\n"


def sentence(found: Difference) -> str:
    """Whether the figures may be compared, and how the verdicts differ."""
    old, new = (word(one.word).label for one in (found.first, found.second))
    verdict = f"Both are {old}." if old == new else f"The verdict went from {old} to {new}."
    if not found.comparable:
        return f"{verdict} Plan, load, environment and clauses are the same: the figures can be compared."
    return f"{verdict} Not the same: {text.listed(list(found.comparable))}; figures beside each other may mislead."


def _head(one: Digest) -> str:
    parts = (one.run, word(one.word).label, one.experiment, one.environment, text.utc(one.started_at))
    return "  ".join(text.one_line(part, 120) for part in parts)


def _table(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return ["  the same"]
    cells = [[text.one_line(one[key], 80) for key in ("what", "first", "second", "change")] for one in rows]
    widths = [max(len(row[n]) for row in cells) for n in range(3)]
    return [("  " + "  ".join([*(row[n].ljust(widths[n]) for n in range(3)), row[3]])).rstrip() for row in cells]


def _shown(row: Row) -> dict[str, Any]:
    return {
        "what": text.one_line(row.what, CELL_MAX),
        "first": _value(row.first, row.unit),
        "second": _value(row.second, row.unit),
        "change": _change(row),
        "differs": row.differs,
    }


def _value(value: Value, unit: Unit) -> str:
    if value is None:
        return NONE
    if isinstance(value, str):
        return text.one_line(value, CELL_MAX)
    return {"duration": text.duration, "share": text.share}.get(unit, text.number)(value)


def _change(row: Row) -> str:
    if not isinstance(row.first, float | int) or not isinstance(row.second, float | int) or not row.differs:
        return ""
    moved = row.second - row.first
    if row.unit == "duration":
        return text.duration(moved, sign=True)
    if row.unit == "share":
        return f"{'−' if moved < 0 else '+'}{text.number(abs(moved) * 100)} points"
    return ("−" if moved < 0 else "+") + text.number(abs(moved))


def _kind(line: str) -> str:
    if line.startswith(("+++", "---", "@@")):
        return "head"
    return {"+": "plus", "-": "minus"}.get(line[:1], "same")
