"""What happened on a game day: the fold over its facts. No IO, no clock."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from chaos_runner.gameday import scenario
from chaos_runner.gameday.facts import (
    ActionAdded,
    ActionSettled,
    AlertEnded,
    AlertFired,
    Answered,
    Approved,
    Asked,
    Confident,
    DayEnded,
    DayStarted,
    DrillBegan,
    DrillEnded,
    EndAsked,
    Entry,
    HaltAsked,
    IncidentDeclared,
    Marked,
    ObjectiveJudged,
    Predicted,
    Present,
    Retracted,
    RoleTaken,
    Said,
    StepBegan,
    StepEnded,
    StepRepeated,
    StepSkipped,
    Ticked,
)
from chaos_runner.gameday.scenario import Scenario

_WORDS = (
    ActionAdded,
    ActionSettled,
    Confident,
    Marked,
    ObjectiveJudged,
    Predicted,
    Present,
    Said,
)
"""What may be taken back: nothing that the day has gone on by."""


class StepView(msgspec.Struct):
    """One step as the facts tell it; `runs` are all its attempts, the last one counts."""

    step: int
    state: str = "waiting"  # waiting, going, ended, skipped
    runs: list[str] = msgspec.field(default_factory=list)
    headline: str = ""
    why: str = ""
    began_at: float | None = None
    ended_at: float | None = None
    skipped_by: str = ""


class ActionView(msgspec.Struct):
    """One action item and what became of it."""

    added: ActionAdded
    day: str
    added_at: float
    state: str = "open"
    settled: ActionSettled | None = None
    settled_at: float | None = None


class Day(msgspec.Struct):
    """One game day: the fold over its facts. Retracted facts count in no list but `retracted`."""

    id: str
    scenario: Scenario | None = None
    started: DayStarted | None = None
    started_at: float = 0.0
    ended: DayEnded | None = None
    ended_at: float | None = None
    roles: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    present: dict[str, Present] = msgspec.field(default_factory=dict)
    ticked: dict[int, tuple[float, Ticked]] = msgspec.field(default_factory=dict)
    approved: dict[str, float] = msgspec.field(default_factory=dict)
    drilling: str = ""  # the run of a drill that goes on
    drill: DrillEnded | None = None
    steps: list[StepView] = msgspec.field(default_factory=list)
    asked: Asked | None = None  # what the day waits for now
    answers: list[tuple[float, Answered]] = msgspec.field(default_factory=list)
    predictions: list[tuple[float, Predicted]] = msgspec.field(default_factory=list)
    marks: list[tuple[Entry, Marked]] = msgspec.field(default_factory=list)
    said: list[tuple[float, Said]] = msgspec.field(default_factory=list)
    alerts: list[tuple[float, AlertFired]] = msgspec.field(default_factory=list)
    alerts_over: list[tuple[float, AlertEnded]] = msgspec.field(default_factory=list)
    actions: dict[str, ActionView] = msgspec.field(default_factory=dict)
    objectives: dict[str, ObjectiveJudged] = msgspec.field(default_factory=dict)
    confidence: list[Confident] = msgspec.field(default_factory=list)
    halts: list[tuple[float, HaltAsked]] = msgspec.field(default_factory=list)
    incident: tuple[float, IncidentDeclared] | None = None
    end_asked: tuple[float, EndAsked] | None = None
    retracted: dict[int, Retracted] = msgspec.field(default_factory=dict)
    retractable: frozenset[int] = frozenset()  # what people said and did not take back
    last_seq: int = 0

    def people(self, role: str) -> tuple[str, ...]:
        """Who plays a part now."""
        return self.roles.get(role, ())

    def role_of(self, name: str) -> str:
        """The first part that somebody plays; empty for a guest."""
        return next((role for role, people in self.roles.items() if name in people), "")

    @property
    def step(self) -> StepView | None:
        """The step that goes on."""
        return next((one for one in self.steps if one.state == "going"), None)


def fold(entries: Iterable[Entry]) -> Day:
    """What happened, from the facts in order. Half a history folds as far as it goes."""
    kept = list(entries)
    gone = {one.fact.seq: one.fact for one in kept if isinstance(one.fact, Retracted)}
    day = Day(
        id=kept[0].day if kept else "",
        retracted=gone,
        retractable=frozenset(one.seq for one in kept if isinstance(one.fact, _WORDS) and one.seq not in gone),
        last_seq=kept[-1].seq if kept else 0,
    )
    for entry in kept:
        if entry.seq not in gone:
            _course(day, entry)
            _people(day, entry)
            _words(day, entry)
    return day


def _course(day: Day, entry: Entry) -> None:
    fact = entry.fact
    match fact:
        case DayStarted():
            day.started, day.started_at = fact, entry.at
            day.scenario = scenario.from_builtins(fact.scenario)
            day.roles = {role: day.scenario.people(role) for role in day.scenario.roles}
            day.steps = [StepView(step=n) for n in range(len(day.scenario.steps))]
        case StepBegan() | StepEnded() | StepSkipped() | StepRepeated() if 0 <= fact.step < len(day.steps):
            _step(day, day.steps[fact.step], entry)
        case Asked():
            day.asked = fact
        case Answered():
            day.answers.append((entry.at, fact))
            if day.asked is not None and day.asked.step == fact.step:
                day.asked = None
        case _:
            _turn(day, entry)


def _turn(day: Day, entry: Entry) -> None:
    fact = entry.fact
    match fact:
        case DrillBegan(run):
            day.drilling = run
        case DrillEnded():
            day.drill, day.drilling = fact, ""
            _waits_no_more(day, -1)
        case EndAsked():
            day.end_asked = (entry.at, fact)
        case IncidentDeclared():
            day.incident = (entry.at, fact)
        case DayEnded() if day.ended is None:
            day.ended, day.ended_at, day.asked = fact, entry.at, None
        case _:
            pass


def _step(day: Day, view: StepView, entry: Entry) -> None:
    match entry.fact:
        case StepBegan(_step, run, _attempt):
            view.state, view.began_at, view.ended_at = "going", entry.at, None
            if run:
                view.runs.append(run)
        case StepEnded(_step, _run, headline, why):
            view.state, view.headline, view.why, view.ended_at = "ended", headline, why, entry.at
            _waits_no_more(day, view.step)
        case StepSkipped(_step, who, reason):
            view.state, view.skipped_by, view.why, view.ended_at = "skipped", who, reason, entry.at
            _waits_no_more(day, view.step)
        case StepRepeated():
            view.state = "waiting"
            _waits_no_more(day, view.step)
        case _:
            pass


def _waits_no_more(day: Day, step: int) -> None:
    if day.asked is not None and day.asked.step == step:
        day.asked = None


def _people(day: Day, entry: Entry) -> None:
    fact = entry.fact
    match fact:
        case RoleTaken():
            day.roles[fact.role] = fact.people
        case Present():
            day.present[fact.name] = fact
        case Ticked():
            day.ticked.setdefault(fact.item, (entry.at, fact))
        case Approved():
            day.approved.setdefault(fact.name, entry.at)
        case Predicted():
            day.predictions.append((entry.at, fact))
        case ObjectiveJudged():
            day.objectives[fact.objective] = fact
        case Confident():
            day.confidence.append(fact)
        case _:
            pass


def _words(day: Day, entry: Entry) -> None:
    fact = entry.fact
    match fact:
        case Marked():
            day.marks.append((entry, fact))
        case Said():
            day.said.append((entry.at, fact))
        case AlertFired():
            day.alerts.append((entry.at, fact))
        case AlertEnded():
            day.alerts_over.append((entry.at, fact))
        case HaltAsked():
            day.halts.append((entry.at, fact))
        case ActionAdded():
            day.actions[fact.id] = ActionView(added=fact, day=day.id, added_at=entry.at)
        case ActionSettled() if fact.id in day.actions:
            view = day.actions[fact.id]
            view.state, view.settled, view.settled_at = fact.state, fact, entry.at
        case _:
            pass
