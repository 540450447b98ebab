"""The answers of a report's first screen: what people ask first, from the fold and the samples alone. No IO."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from chaos_runner.gameday.harm import harm
from chaos_runner.history import FaultView, Run
from chaos_runner.records import ClauseJudged, Finding, Sample
from chaos_runner.render import story, text, windows
from chaos_runner.render.planned import Planned

Tone = Literal["good", "bad", "unsure", "alarm"]
FOUND: dict[Finding, tuple[str, Tone]] = {
    "HELD": ("Yes", "good"),
    "DEVIATED": ("No", "bad"),
    "UNKNOWN": ("Not known", "unsure"),
}
RANK = ("HELD", "DEVIATED", "ABORTED", "NOT_REVERTED")  # the conclusive ones, in order of weight
SURE = 3.0  # standard errors between two shares of bad requests, before one is called worse
LARGER, SMALLER = "more bad requests", "fewer bad requests"


class Answer(msgspec.Struct, frozen=True):
    """A question that people come with, the answer in a few words, and what it rests on."""

    key: str
    question: str
    short: str
    rest: str
    tone: Tone


def answers(run: Run, plan: Planned, samples: Sequence[Sample], earlier: Run | None = None) -> tuple[Answer, ...]:
    """In the order of asking; `earlier` is the last conclusive run of the same experiment there."""
    return (held(run), hurt(run, samples), back(run, plan), worse(run, earlier))


def held(run: Run) -> Answer:
    """Did what we believed hold?"""
    ask, key = "Did what we believed hold?", story.headline(run)
    met = sum(one.state == "ok" for one in run.clauses)
    rest = f"{met} of {text.counted(len(run.clauses), 'expectation')} met" if run.clauses else "nothing was judged"
    if key == "NOT_STARTED":
        return Answer("held", ask, "Not tested", "the run did not start", "unsure")
    finding = run.outcome.finding if run.outcome is not None else "UNKNOWN"
    short, tone = FOUND[finding]
    return Answer("held", ask, short, rest, tone)


def hurt(run: Run, samples: Sequence[Sample]) -> Answer:
    """Were customers hurt? In requests, and in seconds with at least one."""
    ask, found = "Were customers hurt?", harm(run, samples)
    if found.requests is None:
        untouched = not any(windows.touched(view) for view in run.faults.values())
        if untouched:
            return Answer("hurt", ask, "No fault was injected", "", "good")
        return Answer("hurt", ask, "Not measured", found.why, "unsure")
    unknown = f"; {text.number(found.unknown)} more with unknown outcome" if found.unknown else ""
    rest = f"of {text.counted(found.of, 'request')} from injection to end{unknown}"
    if not found.requests:
        sure = not found.unknown
        return Answer("hurt", ask, "No: 0 requests" if sure else "None seen", rest, "good" if sure else "unsure")
    told = f"{text.counted(found.requests, 'request')} in {text.counted(found.seconds or 0, 'second')}"
    return Answer("hurt", ask, f"Yes: {told}", rest, "bad")


def back(run: Run, plan: Planned) -> Answer:
    """Is everything put back?"""
    ask = "Is everything put back?"
    views = [view for view in run.faults.values() if windows.touched(view)]
    if not views:
        return Answer("back", ask, "Nothing was changed", "", "good")
    left = sum(windows.left(view) for view in views)
    cleanup = run.outcome.cleanup if run.outcome is not None else ("CLEAN" if not left else "LEFT")
    total = text.counted(len(views), "fault")
    if cleanup == "LEFT":
        return Answer("back", ask, f"NO: {left or 'some'} of {total} left", f"run: {plan.recover()}", "alarm")
    if cleanup == "CLEAN":
        return Answer("back", ask, "Yes", _gone(views), "good")
    short = "Yes, and still watched" if cleanup == "WATCHING" else "Not verified"
    return Answer("back", ask, short, _gone(views), "unsure")


def _gone(views: Sequence[FaultView]) -> str:
    read = sum(view.verified for view in views)
    spent = sum(not view.reversible for view in views)
    parts = [f"{read} of {text.counted(len(views), 'fault')} read back as gone"] if read or not spent else []
    return "; ".join([*parts, *([f"{spent} with nothing to undo"] if spent else [])])


def worse(run: Run, earlier: Run | None) -> Answer:
    """Worse than last time? By the outcome; where that is the same, by the share of bad requests of each clause."""
    ask, key = "Worse than last time?", story.headline(run)
    if earlier is None:
        return Answer("worse", ask, "Not known", "no earlier conclusive run is at hand", "unsure")
    then, since = story.headline(earlier), f"against {text.utc(earlier.started_at)[:10]}{_changed(run, earlier)}"
    if key not in RANK or then not in RANK:
        return Answer("worse", ask, "Not known", f"one of the two is not conclusive; {since}", "unsure")
    if key != then:
        more = RANK.index(key) > RANK.index(then)
        short = f"{'Yes' if more else 'No, better'}: {_label(key)} after {_label(then)}"
        return Answer("worse", ask, short, since, "bad" if more else "good")
    moved = _moved(run.clauses, earlier.clauses)
    grown = next((one for one in moved if one.startswith(LARGER)), "")
    if grown:
        return Answer("worse", ask, f"Yes: {LARGER}", f"{grown.removeprefix(LARGER + ' ')}; {since}", "bad")
    return Answer("worse", ask, f"No, better: {SMALLER}" if moved else "No: as last time", since, "good")


def _label(key: str) -> str:
    return story.WORDS[key].label


def _changed(run: Run, earlier: Run) -> str:
    same = run.plan.get("sha256") == earlier.plan.get("sha256") and run.plan.get("connections") == earlier.plan.get(
        "connections"
    )
    return "" if same else "; file or environment changed since"


def _moved(now: Sequence[ClauseJudged], then: Sequence[ClauseJudged]) -> list[str]:
    """Clauses whose share of bad requests is surely another than before, in words; the larger ones first."""
    before = {(one.check, one.clause): one for one in then}
    pairs = [(one, before[one.check, one.clause]) for one in now if (one.check, one.clause) in before]
    return sorted(
        (told for new, old in pairs if (told := _shares(new, old))), key=lambda told: told.startswith(SMALLER)
    )


def _shares(new: ClauseJudged, old: ClauseJudged) -> str:
    n, m = new.good + new.bad, old.good + old.bad
    if not n or not m:
        return ""
    here, there, both = new.bad / n, old.bad / m, (new.bad + old.bad) / (n + m)
    spread = math.sqrt(both * (1 - both) * (1 / n + 1 / m))
    if spread == 0 or abs(here - there) <= SURE * spread:
        return ""
    word = LARGER if here > there else SMALLER
    return f"{word} {text.share(here)} after {text.share(there)} of {text.one_line(new.clause, 40)}"
