"""The five answers of the first screen, from the fold alone. No IO."""

from __future__ import annotations

from typing import Literal

import msgspec

from chaos_runner.gameday.day import ActionView
from chaos_runner.render import story, text, windows
from chaos_runner.render.gameday import before
from chaos_runner.render.gameday.told import Seen, Whole

Tone = Literal["good", "bad", "unsure", "alarm", "plain"]
RANK = ("HELD", "NOT_STARTED", "UNKNOWN", "DEVIATED", "ABORTED", "UNFINISHED", "NOT_REVERTED")
PRIORITIES = ("P0", "P1", "P2", "P3")


class Answer(msgspec.Struct, frozen=True):
    """A question that people come with, the answer in a few words, and what it rests on."""

    key: str
    question: str
    short: str
    rest: str
    tone: Tone


def answers(whole: Whole) -> tuple[Answer, ...]:
    """What a manager asks, in the order of asking."""
    return (held(whole), hurt(whole), back(whole), worse(whole), does(whole))


def headline(whole: Whole) -> str:
    """The worst outcome that counts; NOT_STARTED where nothing ran."""
    found = [one.story.key for one in whole.counted]
    left = [one.story.key for one in [*whole.runs, *([whole.drill] if whole.drill else [])]]
    if any(key == "NOT_REVERTED" for key in left):
        return "NOT_REVERTED"
    return max(found, key=RANK.index, default="NOT_STARTED")


def held(whole: Whole) -> Answer:
    """Did what we believed hold?"""
    seen = whole.counted
    good = sum(one.story.key == "HELD" for one in seen)
    missing = len(whole.steps()) - len(seen)
    total = f"{good} of {text.counted(len(seen), 'experiment')} held"
    rest = "; ".join(f"{text.one_line(whole.name(one), 60)}: {one.story.word.label}" for one in seen if _bad(one))
    if missing > 0:
        rest = "; ".join([*([rest] if rest else []), f"{text.counted(missing, 'experiment')} not run"])
    if not seen:
        return Answer("held", "Did what we believed hold?", "Nothing was tested", rest or "no experiment ran", "unsure")
    refuted = any(one.story.key in ("DEVIATED", "ABORTED", "NOT_REVERTED") for one in seen)
    word, tone = ("No", "bad") if refuted else ("Yes", "good") if good == len(seen) else ("Not known", "unsure")
    return Answer("held", "Did what we believed hold?", f"{word}: {total}", rest or "every clause was measured", tone)  # type: ignore[arg-type]


def _bad(seen: Seen) -> bool:
    return seen.story.key != "HELD"


def hurt(whole: Whole) -> Answer:
    """Were customers hurt?"""
    harm, ask = whole.measured.harm, "Were customers hurt?"
    if harm.requests is None:
        if harm.why == "no fault was injected":
            return Answer("hurt", ask, "No fault was injected", "so nothing of ours could harm anybody", "plain")
        return Answer("hurt", ask, "Not measured", harm.why, "unsure")
    unknown = f"; {text.number(harm.unknown)} more with unknown outcome" if harm.unknown else ""
    beside = f"of {text.number(harm.known)} measured from injection to the end of each run{unknown}"
    beside += f"; {harm.why}" if harm.why else ""
    sure = not (harm.unknown or harm.why)
    if not harm.requests:
        return Answer("hurt", ask, "No: 0 requests" if sure else "None seen", beside, "good" if sure else "unsure")
    told = f"{text.counted(harm.requests, 'request')} in {text.counted(harm.seconds or 0, 'second')}"
    share = f"{text.share(harm.requests / harm.known)} {beside}"
    if any(_beyond(whole, one) for one in whole.runs):
        return Answer("hurt", ask, f"Yes: {told}", share, "bad")
    return Answer(
        "hurt", ask, f"{'Within limits' if sure else 'At least'}: {told}", share, "good" if sure else "unsure"
    )


def _beyond(whole: Whole, seen: Seen) -> bool:
    """Whether users had it worse than the experiment allows."""
    return whole.of(seen).told.harm.first_t is not None or any(one.state == "violated" for one in seen.run.clauses)


def back(whole: Whole) -> Answer:
    """Is everything put back?"""
    ask = "Is everything put back?"
    every = [*([whole.drill] if whole.drill else []), *whole.runs]
    left = [one for seen in every for one in seen.run.faults.values() if one.reversible and windows.left(one)]
    if left:
        names = text.listed([text.one_line(one.target.key, 60) for one in left[:3]])
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        return Answer("back", ask, f"NO: {text.counted(len(left), 'fault')} may still be there", names + more, "alarm")
    doubtful = [one for one in every if one.run.outcome is None or one.run.outcome.cleanup != "CLEAN"]
    if doubtful or whole.told.lost:
        runs = [*(one.run.id for one in doubtful), *whole.told.lost]
        told = text.listed([text.one_line(one, 60) for one in runs[:3]])
        return Answer("back", ask, "Not proven", f"no proof for {told}", "unsure")
    touched = [one for seen in every for one in seen.run.faults.values() if windows.touched(one)]
    if not touched:
        return Answer("back", ask, "Yes: nothing was touched", "no fault reached a target", "good")
    told = f"each of {text.counted(len(touched), 'fault')} was read back as gone, or replaced"
    return Answer("back", ask, "Yes", told, "good")


def worse(whole: Whole) -> Answer:
    """Worse than last time?"""
    ask, found = "Worse than last time?", before.compared(whole)
    if not found:
        return Answer("worse", ask, "First time", "no earlier run of these experiments is in the store", "plain")
    bad = [one for one in found if one.worse]
    if bad:
        rest = "; ".join(f"{text.one_line(one.name, 60)}: {one.worse[0]}" for one in bad)
        return Answer("worse", ask, f"Yes: {len(bad)} of {text.counted(len(found), 'experiment')}", rest, "bad")
    unlike = [one for one in found if one.unlike]
    if len(unlike) == len(found):
        return Answer("worse", ask, "Cannot be compared", found[0].unlike, "unsure")
    better = "; ".join(f"{text.one_line(one.name, 60)}: {one.better[0]}" for one in found if one.better)
    return Answer("worse", ask, "No", better or "nothing got worse by the stated rule", "good")


def does(whole: Whole) -> Answer:
    """Who does what by when?"""
    ask, opened = "Who does what by when?", due(list(whole.day.actions.values()))
    if not opened:
        told = "every action item is settled" if whole.day.actions else "no action item was written down"
        return Answer("does", ask, "Nothing is open", told, "plain")
    first = opened[0].added
    who, when = first.owner or "nobody yet", first.due or "no date"
    told = f"{text.one_line(who, 40)} by {text.one_line(when, 20)}: {text.one_line(first.finding, 90)}"
    more = f"{text.counted(len(opened), 'open action')}" + (", most urgent first below" if len(opened) > 1 else "")
    return Answer("does", ask, told, more, "plain")


def due(views: list[ActionView]) -> list[ActionView]:
    """Open actions, the most urgent first; without a date comes last."""
    return sorted(
        (one for one in views if one.state == "open"),
        key=lambda one: (one.added.due or "9999", PRIORITIES.index(one.added.priority), one.added.id),
    )


def word(whole: Whole) -> story.Word:
    """The headline with its meaning and tone."""
    return story.WORDS[headline(whole)]
