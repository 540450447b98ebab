"""A scenario and its days, for tests that have no file and no store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from chaos_runner.gameday import day, verbs
from chaos_runner.gameday.day import Day
from chaos_runner.gameday.facts import AnyFact, DayStarted, Entry
from chaos_runner.gameday.scenario import Scenario
from chaos_runner.gameday.typed import Speaker

STARTED_AT = 1_795_356_000.0  # 2026-11-22 14:00 UTC
DAY = "day-20261122-140000-a1b2"


def scenario(**changed: Any) -> Scenario:
    """A day of one checkpoint, one experiment and one note."""
    values: dict[str, Any] = {
        "kind": "scenario/v1",
        "name": "payments-outage",
        "environment": "demo",
        "roles": {
            "facilitator": "fay",
            "operator": "otto",
            "abort_authority": "abe",
            "scribe": "sue",
            "responders": ["rob", "rita"],
        },
        "objectives": {"detect": "on-call sees it without being told"},
        "approvals": ["anna"],
        "checklist": ["stakeholders told", "dashboards open"],
        "steps": [
            {"step": "go_no_go", "go_no_go": {"ask": "facilitator", "unless": "abort_authority"}},
            {"step": "run", "run": "../experiments/slow-payments.yaml", "name": "payments answers late"},
            {"step": "note", "note": "hot notes"},
        ],
    }
    return msgspec.convert({**values, **changed}, Scenario)


def entries(*facts: AnyFact, of: Scenario | None = None, every_s: float = 1.0) -> list[Entry]:
    """A day's facts, one a second, after its start."""
    started = DayStarted(
        scenario=msgspec.to_builtins(of or scenario()), file="scenario.yaml", files={}, versions={}, actor="fay"
    )
    return [
        Entry(day=DAY, seq=n, at=STARTED_AT + (n - 1) * every_s, t=(n - 1) * every_s, fact=fact)
        for n, fact in enumerate((started, *facts), start=1)
    ]


def a_day(*facts: AnyFact, of: Scenario | None = None) -> Day:
    """Their fold."""
    return day.fold(entries(*facts, of=of))


def said(line: str, on: Day, who: str = "fay", now: float = STARTED_AT + 600) -> AnyFact:
    """What a line comes to."""
    return verbs.parse(line, on, Speaker(who=who, now=now, token="77"))


def names(facts: Sequence[AnyFact]) -> list[str]:
    """Their kinds."""
    return [type(one).__name__ for one in facts]
