"""Made-up days for the tests of their report: as they are, with every kind of fact, and with every text poisoned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from chaos_runner.gameday import facts
from chaos_runner.gameday.facts import Entry
from chaos_runner.gameday.stamps import Executed
from chaos_runner.history import fold
from chaos_runner.render.gameday import RENDERERS, Before, Told
from tests.render import hostile
from tools import sample_day
from tools.sample_day import BEGAN, DAY
from tools.sample_history import History

MATCHED = "CheckoutSlow"  # an alert's name decides what matches; it has a law of its own


def rendered(told: Told, kind: str = "html") -> str:
    """A report as text."""
    return RENDERERS[kind](told).decode()


def everything() -> Told:
    """A day on which every kind of fact was said."""
    told = sample_day.not_reverted()
    more: list[facts.AnyFact] = [
        facts.RoleTaken("scribe", ("Uwe", "Vera"), "Fay Lindqvist"),
        facts.ConsoleAttached("Sue Park", "terminal"),
        facts.StepRepeated(1, "Fay Lindqvist", "once more"),
        facts.StepSkipped(3, "Fay Lindqvist", "no time"),
        facts.AlertFired("OddAlert", {"team": "shop"}, BEGAN + 3650.0),
        facts.AlertEnded("OddAlert", {"team": "shop"}),
        facts.AlertsUnread("the source refused"),
        facts.Marked("evidence", BEGAN + 3645.0, "Sue Park", step=1, text="the board is red"),
        facts.Marked("detected", BEGAN + 20.0, "Sue Park"),
        *(facts.Said("Sue Park", f"a {kind} of the day", kind) for kind in KINDS),
        facts.ObjectiveJudged("detect", "partly", "Inge Moreau", "late"),
        facts.ActionAdded("a1", "finding", "Sue Park", "Otto Brandt", "2026-09-09", "P0", "x.yaml", "T-1", 1),
        facts.ActionAdded("a2", "other", "Sue Park"),
        facts.ActionSettled("a2", "accepted", "Anna Weiss", "cheap", "r-9"),
        facts.Retracted(len(told.entries) + 8, "Sue Park", "wrong board"),
        facts.IncidentDeclared("Inge Moreau", "it is real"),
        facts.EndAsked("Fay Lindqvist", "enough"),
        facts.Confident("Rob Diaz", "after", 0.2),
    ]
    start = len(told.entries)
    added = [Entry(DAY, start + n, BEGAN + 4000 + n, 4000.0 + n, fact) for n, fact in enumerate(more, 1)]
    return msgspec.structs.replace(told, entries=(*told.entries, *added), lost={"r-gone": "a damaged record"})


KINDS = ("note", "surprise", "went_well", "logistics", "cause")


def poisoned(told: Told, change: Callable[[str], str]) -> Told:
    """The day with `change` applied to every free text in its facts, runs and samples."""
    return Told(
        tuple(_fact(one, change) for one in told.entries),
        tuple(_run(one, change) for one in told.runs),
        {change(run): Before(_run(one.ran, change)) for run, one in told.before.items()},
        {change(run): link for run, link in told.links.items()},
        {change(run): change(why) for run, why in told.lost.items()},
    )


def _run(ran: Executed, change: Callable[[str], str]) -> Executed:
    history = hostile.poisoned(History(list(ran.entries), list(ran.samples)), change)
    return Executed(ran.step, fold(history.entries), tuple(history.entries), tuple(history.samples))


def _fact(entry: Entry, change: Callable[[str], str]) -> Entry:
    built: dict[str, Any] = msgspec.to_builtins(entry)
    for path in _paths(built["fact"]):
        trial = _replaced(built, ("fact", *path), change)
        try:
            fits = type(msgspec.convert(trial, Entry).fact) is type(entry.fact) and _folds(trial)
        except msgspec.ValidationError:
            continue
        built = trial if fits else built
    return msgspec.convert(built, Entry)


def _folds(built: dict[str, Any]) -> bool:
    from chaos_runner.gameday import scenario

    fact = built["fact"]
    if fact["type"] == "DayStarted":
        scenario.from_builtins(fact["scenario"])
    return True


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if "alerts" in path or (path == ("name",) and value == MATCHED):
        return []
    if isinstance(value, dict):
        found = [deeper for key, inner in value.items() for deeper in _paths(inner, (*path, key))]
        free = path and path[-1] in ("labels", "files", "versions", "runbooks")
        return [*found, *([(*path, None)] if free else [])]
    if isinstance(value, list | tuple):
        return [deeper for n, inner in enumerate(value) for deeper in _paths(inner, (*path, n))]
    return [path] if isinstance(value, str) and value and path != ("type",) else []


def _replaced(value: Any, path: tuple[Any, ...], change: Callable[[str], str]) -> Any:
    return hostile._replaced(value, path, change)
