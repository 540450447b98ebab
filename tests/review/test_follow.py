"""What is left to do after game days."""

from __future__ import annotations

from chaos_runner.gameday.facts import ActionAdded, ActionSettled, DayEnded, StepBegan
from chaos_runner.review import follow
from tests.gameday.kit import STARTED_AT, a_day


def _added(id_: str, due: str = "", **fields: str) -> ActionAdded:
    return ActionAdded(id=id_, finding=f"finding {id_}", who="fay", due=due, **fields)  # type: ignore[arg-type]


def test_overdue_actions_are_first_and_those_without_a_date_last() -> None:
    day = a_day(_added("a"), _added("b", "2026-12-01"), _added("c", "2026-11-21"), _added("d", "2026-11-22"))
    found = follow.open_actions([day], STARTED_AT)
    assert [(one.id, one.late) for one in found] == [("c", True), ("d", False), ("b", False), ("a", False)]


def test_a_settled_action_is_left_to_nobody_until_it_is_opened_again() -> None:
    settled = ActionSettled(id="a", state="accepted", who="fay", reason="we can live with it")
    again = ActionSettled(id="a", state="open", who="fay", reason="we cannot")
    assert follow.open_actions([a_day(_added("a"), settled)], STARTED_AT) == []
    assert [one.id for one in follow.open_actions([a_day(_added("a"), settled, again)], STARTED_AT)] == ["a"]


def test_a_day_is_a_line_with_its_runs_and_open_actions() -> None:
    over = a_day(StepBegan(step=1, run="r1"), StepBegan(step=1, run="r2", attempt=2), _added("a"), DayEnded("stopped"))
    line = follow.day_line(over, "outage", "demo")
    assert (line.how, line.runs, line.actions, line.open) == ("stopped", ("r1", "r2"), 1, 1)
    assert follow.day_line(a_day(), "outage", "demo").how == "not over"
