"""The list of all runs: a first page that filters them with a script, and pages of all of them without. No IO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chaos_runner.render import text
from chaos_runner.render.html import paper
from chaos_runner.render.site.rows import Row, word
from chaos_runner.review.trend import Line

if TYPE_CHECKING:
    from chaos_runner.render.site.book import Site

FIRST = 50
YEAR_10000 = 253_402_300_800
FILTERED_MAX = 20_000
WORSE_MAX = 20
_STYLE = "site/site.css"


def part_name(n: int) -> str:
    """The file of one part of the list."""
    return f"site/runs-{n + 1:04}.html"


def index(
    rows: list[Row],
    lines: list[Line],
    names: dict[str, str],
    size: int,
    site: Site,
    most: int = FILTERED_MAX,
) -> bytes:
    """The first page: verdicts, what got worse, the newest runs; with scripts all of them, filtered."""
    kept = rows[-most:]
    worse = [(line, names[line.experiment]) for line in lines if line.last.worse]
    counts = _counted(rows)
    return paper.printed(
        "site/index.html.j2",
        "site/site.js",
        _STYLE,
        here="index.html",
        up="",
        down="site/",
        total=text.counted(len(rows), "run"),
        counts=[(word(key), text.number(count)) for key, count in counts],
        worse=worse[:WORSE_MAX],
        worse_hidden=max(0, len(worse) - WORSE_MAX),
        late=sum(one.late for one in site.actions),
        actions=len(site.actions),
        rows=rows[: -FIRST - 1 : -1],
        services=_choices(kept, "service"),
        verdicts=[(key, word(key).label) for key, _ in _counted(kept)],
        classes=sorted({failure for one in kept for failure in one.classes}),
        experiments=_choices(kept, "experiment"),
        listed=[_part(n, size, len(rows)) for n in reversed(range(-(-len(rows) // size)))],
        unfiltered=max(0, len(rows) - most),
        block=paper.json_block(packed(kept)),
    )


def part(rows: list[Row], n: int, size: int, more: bool) -> bytes:
    """One page of the whole list."""
    return paper.printed(
        "site/runs.html.j2",
        "",
        _STYLE,
        here="runs",
        up="../",
        down="",
        first=text.number(n * size + 1),
        last=text.number(n * size + len(rows)),
        rows=rows[::-1],
        older=part_name(n - 1).removeprefix("site/") if n else "",
        newer=part_name(n + 1).removeprefix("site/") if more else "",
    )


def _part(n: int, size: int, total: int) -> tuple[str, str]:
    first, last = n * size + 1, min((n + 1) * size, total)
    return part_name(n), f"{text.number(first)}–{text.number(last)}"


def _counted(rows: list[Row]) -> list[tuple[str, int]]:
    found: dict[str, int] = {}
    for one in rows:
        found[one.word] = found.get(one.word, 0) + 1
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))


def _choices(rows: list[Row], name: str) -> list[str]:
    return sorted({str(getattr(one, name)) for one in rows})


class _Words:
    """Words, each kept once and named by its place."""

    def __init__(self) -> None:
        self.kept: dict[str, int] = {}

    def place(self, said: str) -> int:
        return self.kept.setdefault(said, len(self.kept))


def packed(rows: list[Row]) -> dict[str, Any]:
    """All rows for the script, the newest first; what repeats is named by its place in `words`."""
    words = _Words()
    packed_rows = [
        [
            one.run,
            int(one.started_at) if 0 < one.started_at < YEAR_10000 else 0,
            words.place(one.word),
            words.place(one.experiment),
            words.place(one.service),
            words.place(one.environment),
            [words.place(failure) for failure in one.classes],
            words.place(one.took),
            words.place(one.shift),
            words.place(one.recovery),
            1 if one.worse else 0,
            1 if one.link else 0,
        ]
        for one in reversed(rows)
    ]
    verdicts = {key: [word(key).label, word(key).tone] for key in {one.word for one in rows}}
    return {
        "words": [text.clean(one) for one in words.kept],
        "verdicts": dict(sorted(verdicts.items())),
        "rows": packed_rows,
    }
