"""Machine records, people's words and alerts on one axis. No IO."""

from __future__ import annotations

import msgspec

from chaos_runner.gameday import facts
from chaos_runner.gameday.sentences import tell
from chaos_runner.render import text, words
from chaos_runner.render.gameday.told import Whole

LINES_MAX = 500
ALERTS = (facts.AlertFired, facts.AlertEnded, facts.AlertsUnread)
MACHINE = (
    facts.DayStarted, facts.ConductorBegan, facts.Asked, facts.StepBegan, facts.StepEnded, facts.DrillBegan,
    facts.DrillEnded, facts.DayEnded,
)  # fmt: skip
RUN_ALERTS = ("AlertSeen", "AlertGone", "AlertsUnheard", "AlertsHeard")


class Line(msgspec.Struct, frozen=True):
    """One line: when (Unix time, and T+ since the day's start), who speaks, what; `gone` if it was taken back."""

    at: float
    since: str
    kind: str  # machine, people, alert
    said: str
    gone: str = ""
    seq: int = 0

    @property
    def utc(self) -> str:
        """The time of day."""
        return text.utc(self.at)[11:19]


def lines(whole: Whole) -> list[Line]:
    """Everything that happened, in the order in which it happened."""
    start = whole.day.started_at
    found = [_fact(whole, entry, start) for entry in whole.told.entries]
    for seen in whole.runs:
        for entry, told in zip(seen.entries, words.sentences(seen.entries), strict=True):
            at = seen.run.started_at + words.moment(entry)
            name = type(entry.record).__name__
            kind = "alert" if name in RUN_ALERTS else "people" if name == "Noted" else "machine"
            found.append(Line(at, _since(at, start), kind, told))
    return sorted(found, key=lambda one: one.at)


def _fact(whole: Whole, entry: facts.Entry, start: float) -> Line:
    at = moment(entry)
    kind = "alert" if isinstance(entry.fact, ALERTS) else "machine" if isinstance(entry.fact, MACHINE) else "people"
    gone = whole.day.retracted.get(entry.seq)
    why = f"taken back by {gone.who}: {gone.reason}" if gone is not None else ""
    told = text.one_line(tell(entry.fact, whole.day.scenario), 600)
    return Line(at, _since(at, start), kind, told, text.one_line(why), entry.seq)


def moment(entry: facts.Entry) -> float:
    """When it happened, in Unix time: a stamp may be backdated, a lever is written down after it was pulled."""
    match entry.fact:
        case facts.Marked(happened_at=at) | facts.HaltAsked(asked_at=at):
            return at
        case facts.AlertFired(starts_at=at, state="firing"):
            return at
        case _:
            return entry.at


def _since(at: float, start: float) -> str:
    """T+0 is the start of the day."""
    whole = text.clock(at - start, 0)
    return f"T{whole}" if whole.startswith("−") else f"T+{whole}"


def shown(every: list[Line]) -> tuple[list[Line], int]:
    """As many as a page holds, and how many are left out in the middle: of the machine's first."""
    if len(every) <= LINES_MAX:
        return every, 0
    told = [n for n, one in enumerate(every) if one.kind != "machine"]
    rest = [n for n, one in enumerate(every) if one.kind == "machine"]
    keep = set(_ends(told, LINES_MAX))
    keep |= set(_ends(rest, LINES_MAX - len(keep)))
    return [every[n] for n in sorted(keep)], len(every) - len(keep)


def _ends(places: list[int], most: int) -> list[int]:
    if len(places) <= most:
        return places
    half = most // 2
    return places[: most - half] + (places[-half:] if half else [])
