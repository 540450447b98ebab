"""What is left to do after game days, and what schedules did not do: for the list beside all runs. No IO."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import msgspec

from chaos_runner.gameday.day import ActionView, Day


class DayLine(msgspec.Struct, frozen=True):
    """One game day; `unreadable` says why there is no more to tell."""

    day: str
    scenario: str
    environment: str
    started_at: float
    how: str = ""
    runs: tuple[str, ...] = ()
    actions: int = 0
    open: int = 0
    unreadable: str = ""


class Action(msgspec.Struct, frozen=True):
    """An open action item; `late` where its due date has passed."""

    id: str
    day: str
    finding: str
    owner: str
    due: str
    priority: str
    rerun: str
    late: bool


class Skip(msgspec.Struct, frozen=True):
    """A due instant of a schedule at which nothing ran, and why; `missed` counts the instants it stands for."""

    schedule: str
    environment: str
    instant: float
    reason: str
    missed: int = 0


def day_line(day: Day, scenario: str, environment: str) -> DayLine:
    """A day as a line."""
    return DayLine(
        day=day.id,
        scenario=scenario,
        environment=environment,
        started_at=day.started_at,
        how=day.ended.how if day.ended else "not over",
        runs=tuple(run for step in day.steps for run in step.runs),
        actions=len(day.actions),
        open=sum(one.state == "open" for one in day.actions.values()),
    )


def open_actions(days: Iterable[Day], now: float) -> list[Action]:
    """Overdue first, then by due date; those without one are last."""
    today = dt.datetime.fromtimestamp(now, dt.UTC).date().isoformat()
    found = [_action(one, today) for day in days for one in day.actions.values() if one.state == "open"]
    return sorted(found, key=lambda one: (one.due == "", one.due, one.priority, one.id))


def _action(view: ActionView, today: str) -> Action:
    added = view.added
    late = bool(added.due) and added.due < today
    return Action(added.id, view.day, added.finding, added.owner, added.due, added.priority, added.rerun, late)
