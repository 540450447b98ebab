"""What people tell of a game day: notes, stamps, actions, judgements, and what they take back. No IO, no clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import get_args

import msgspec

from chaos_runner.expect import quantity
from chaos_runner.gameday import typed
from chaos_runner.gameday.day import Day
from chaos_runner.gameday.facts import (
    ActionAdded,
    ActionSettled,
    AnyFact,
    Confident,
    Mark,
    Marked,
    ObjectiveJudged,
    Priority,
    Retracted,
    Said,
)
from chaos_runner.gameday.scenario import RunStep
from chaos_runner.gameday.typed import NAME_MAX, Line, Speaker


def saying(kind: str) -> Callable[[Line, Day, Speaker], AnyFact]:
    def read(line: Line, day: Day, speaker: Speaker) -> AnyFact:
        text = typed.wanted(line.text, line, "what")
        return msgspec.convert(
            {"type": "Said", "who": speaker.who, "text": text, "kind": kind, "step": typed.now(day)}, Said
        )

    return read


def mark(line: Line, day: Day, speaker: Speaker) -> AnyFact:
    mark, text = line.first()
    return Marked(
        mark=typed.one_of(mark, get_args(Mark), "mark"),  # type: ignore[arg-type]
        happened_at=_when(line.options.get("at", ""), day, speaker),
        who=speaker.who,
        step=typed.step(line, day) if "step" in line.options else typed.now(day),
        text=text,
    )


def _when(told: str, day: Day, speaker: Speaker) -> float:
    """`-90s`, or a time of today such as 14:05:30 in UTC; never in the future, never before the day."""
    at = speaker.now
    if told.startswith("-"):
        at -= quantity("duration", told[1:])
    elif told:
        try:
            clock = datetime.strptime(told, "%H:%M:%S" if told.count(":") == 2 else "%H:%M").time()
        except ValueError:
            msg = f"--at: '{typed.short(told)}' is neither -90s nor a time of today in UTC such as 14:05:30"
            raise ValueError(msg) from None
        at = datetime.combine(datetime.fromtimestamp(speaker.now, UTC).date(), clock, UTC).timestamp()
    if at > speaker.now:
        msg = f"--at: '{typed.short(told)}' is in the future"
        raise ValueError(msg)
    if at < day.started_at - 1:
        msg = f"--at: '{typed.short(told)}' is before the game day began"
        raise ValueError(msg)
    return at


def retract(line: Line, day: Day, speaker: Speaker) -> AnyFact:
    number, why = line.first()
    if not (number.isascii() and number.isdigit() and 1 < int(number) <= day.last_seq):
        msg = f"'{typed.short(number)}' is no number of a fact; the timeline shows them as #2 … #{day.last_seq}"
        raise ValueError(msg)
    if int(number) not in day.retractable:
        msg = f"#{number} was not said by a person, or is retracted already; only what people said can be taken back"
        raise ValueError(msg)
    return Retracted(seq=int(number), who=speaker.who, reason=typed.wanted(why, line, "why"))


def action(line: Line, day: Day, speaker: Speaker) -> AnyFact:
    due_in = day.scenario.actions.due_in if day.scenario else 30 * 86400.0
    default = datetime.fromtimestamp(speaker.now + due_in, UTC).date().isoformat()
    return ActionAdded(
        id=f"{day.id.rsplit('-', 1)[-1]}-{speaker.token}",
        finding=typed.wanted(line.text, line, "what is to be done"),
        who=speaker.who,
        owner=typed.name(line.options.get("owner", speaker.who), "--owner"),
        due=_date(line.options.get("due", default)),
        priority=typed.one_of(line.options.get("priority", "P2"), get_args(Priority), "priority"),  # type: ignore[arg-type]
        rerun=line.options.get("rerun", "") or _rerun(day),
        ticket=line.options.get("ticket", "")[:NAME_MAX],
        step=typed.now(day),
    )


def _rerun(day: Day) -> str:
    """The experiment that an action names by itself: the one of the step that just deviated."""
    scenario, step = day.scenario, typed.now(day)
    if scenario is None or scenario.actions.rerun == "none" or not 0 <= step < len(scenario.steps):
        return ""
    file = scenario.steps[step]
    wanted = scenario.actions.rerun == "all" or day.steps[step].headline in {"DEVIATED", "ABORTED", "NOT_REVERTED"}
    return file.run if isinstance(file, RunStep) and wanted else ""


def _date(told: str) -> str:
    try:
        return datetime.strptime(told, "%Y-%m-%d").date().isoformat()
    except ValueError:
        msg = f"--due: '{typed.short(told)}' is no day such as 2026-12-24"
        raise ValueError(msg) from None


def settling(state: str) -> Callable[[Line, Day, Speaker], AnyFact]:
    def read(line: Line, day: Day, speaker: Speaker) -> AnyFact:
        name, why = line.first()
        return ActionSettled(
            id=typed.one_of(name, day.actions, "action"),
            state=state,  # type: ignore[arg-type]
            who=speaker.who,
            reason=typed.wanted(why, line, "why"),
        )

    return read


def judging(result: str) -> Callable[[Line, Day, Speaker], AnyFact]:
    def read(line: Line, day: Day, speaker: Speaker) -> AnyFact:
        objective, text = line.first()
        known = day.scenario.objectives if day.scenario else {}
        return ObjectiveJudged(
            objective=typed.one_of(objective, known, "objective"),
            result=result,  # type: ignore[arg-type]
            who=speaker.who,
            text=text,
        )

    return read


def trust(line: Line, day: Day, speaker: Speaker) -> AnyFact:
    share = quantity("percent", line.text)
    if not 0 <= share <= 1:
        msg = f"'{typed.short(line.text)}' is not between 0% and 100%"
        raise ValueError(msg)
    began = any(view.runs for view in day.steps)
    return Confident(who=speaker.who, when="after" if began else "before", confidence=share)
