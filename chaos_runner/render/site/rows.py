"""One run as a row of a table. No IO."""

from __future__ import annotations

import urllib.parse

import msgspec

from chaos_runner.render import story, text
from chaos_runner.render.story import Word
from chaos_runner.review.digest import Digest, Shift
from chaos_runner.review.trend import Point

UNREADABLE = "UNREADABLE"
WORDS: dict[str, Word] = {
    **story.WORDS,
    UNREADABLE: Word("UNREADABLE", "The records of this run are damaged.", "Look at the ledger.", "alarm"),
}
NONE = "–"


class Row(msgspec.Struct, frozen=True):
    """What a table of runs shows of one; `link` is a report beside the page, empty where there is none."""

    run: str
    word: str
    experiment: str
    service: str
    environment: str
    started_at: float
    took: str
    shift: str
    recovery: str
    classes: tuple[str, ...]
    why: str
    worse: tuple[str, ...] = ()
    link: str = ""

    @property
    def label(self) -> Word:
        """The verdict in words."""
        return word(self.word)

    @property
    def started(self) -> str:
        """When, for people."""
        return text.utc(self.started_at).removesuffix(" UTC")


def word(key: str) -> Word:
    """The words for a verdict, also for one that a newer program wrote."""
    return WORDS.get(key) or Word(text.one_line(key, 40), "", "", "unsure")


def row(point: Point, reported: bool) -> Row:
    """A run as a row."""
    one = point.digest
    worst = max((check.shift for check in one.checks if check.shift is not None), key=_value, default=None)
    return Row(
        run=text.one_line(one.run, 120),
        word=one.word,
        experiment=one.experiment or text.MISSING,
        service=one.service or "(no service)",
        environment=one.environment or text.MISSING,
        started_at=one.started_at,
        took=NONE if one.took_s is None else text.duration(round(one.took_s, 1)),
        shift=NONE if worst is None else text.duration(worst.value, sign=True),
        recovery=recovery(one),
        classes=one.classes,
        why=text.one_line(one.why, 200),
        worse=point.worse,
        link=link(one.run) if reported else "",
    )


def _value(shift: Shift) -> float:
    return shift.value


def recovery(one: Digest) -> str:
    """How long it took to be steady again."""
    if one.recovery_s is None:
        return NONE
    return text.duration(round(one.recovery_s, 1)) if one.recovered else f"not in {text.duration(one.recovery_s)}"


def link(run: str) -> str:
    """The file of a run's report, beside the list of runs."""
    return urllib.parse.quote(run, safe="") + ".html"
