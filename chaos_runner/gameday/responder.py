"""What somebody sees who is only a responder: nothing that tells what is done, where, and by which run. No IO.

It holds while the day goes on. What others typed is withheld as a whole: to mask words in it would tell which words
are the right ones. Structured facts stay, without the parts that `hidden` names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from chaos_runner.gameday import day as days
from chaos_runner.gameday import facts
from chaos_runner.gameday.day import Day
from chaos_runner.gameday.facts import AnyFact, Entry
from chaos_runner.gameday.running import Running
from chaos_runner.gameday.scenario import Agenda, AskStep, NoteStep, RunStep, Scenario, Tighten, from_builtins
from chaos_runner.model import Alerts

ROLE = "responders"
TELLING = frozenset({"method", "run_id", "target", "experiment"})  # what people's words could tell
WITHHELD = "(withheld)"
QUESTIONS = {
    "go_no_go": "go or no-go",
    "outcome": "how to go on after what was seen",
    "note": "notes",
    "prediction": "predictions",
    "ready": "ready",
}

# fact -> the fields that hold words of people or of the conductor; a fact that is not here is not shown at all
TEXTS: dict[type[facts.Fact], tuple[str, ...]] = {
    facts.DayStarted: (),
    facts.ConductorBegan: ("why",),
    facts.RoleTaken: (),
    facts.Present: ("absent",),
    facts.Ticked: (),
    facts.Approved: (),
    facts.DrillBegan: (),
    facts.DrillEnded: ("why",),
    facts.StepBegan: (),
    facts.StepEnded: ("why",),
    facts.StepSkipped: ("reason",),
    facts.StepRepeated: ("reason",),
    facts.Asked: ("question",),
    facts.Answered: ("reason",),
    facts.Predicted: ("text",),
    facts.Marked: ("text",),
    facts.Retracted: ("reason",),
    facts.Said: ("text",),
    facts.AlertFired: (),
    facts.AlertEnded: (),
    facts.AlertsUnread: ("why",),
    facts.ActionAdded: ("finding", "rerun", "ticket"),
    facts.ActionSettled: ("reason",),
    facts.ObjectiveJudged: ("text",),
    facts.Confident: (),
    facts.HaltAsked: ("scope", "reason"),
    facts.IncidentDeclared: (),  # meant for everybody
    facts.EndAsked: ("reason",),
    facts.ConsoleAttached: (),
    facts.DayEnded: (),  # nothing is hidden any more
}


def only(day: Day, who: str) -> bool:
    """Whether this person is a responder and plays no other part."""
    return bool(who) and day.ended is None and {role for role, people in day.roles.items() if who in people} == {ROLE}


def facts_for(entries: Sequence[Entry]) -> list[Entry]:
    """The facts as responders see them; all of them once the day is over."""
    day = days.fold(entries)
    if day.scenario is None or day.ended is not None:
        return list(entries)
    theirs, hidden = _theirs(entries), frozenset[str](day.scenario.hidden)
    return [
        msgspec.structs.replace(one, fact=_bare(one.fact, hidden, theirs)) for one in entries if type(one.fact) in TEXTS
    ]


def run_for(day: Day, running: Running | None) -> Running | None:
    """The run as responders see it: what their own monitoring shows, and no more of it than `hidden` leaves."""
    if running is None or day.scenario is None or day.ended is not None:
        return running
    hidden = day.scenario.hidden
    if "run_id" in hidden:
        running = msgspec.structs.replace(running, run="")
    if "experiment" in hidden or "method" in hidden:
        running = msgspec.structs.replace(running, title="An experiment")
    if "method" in hidden or "target" in hidden:
        running = msgspec.structs.replace(running, faults=())
    if "method" in hidden:
        checks = tuple(msgspec.structs.replace(one, margin=None) for one in running.checks)
        running = msgspec.structs.replace(running, checks=checks, phase="", step=-1, steps=0, left_s=0.0)
    return running


def scenario_for(scenario: Scenario) -> Scenario:
    """The file as responders see it."""
    hidden = scenario.hidden
    steps = tuple(_step(step, n, hidden) for n, step in enumerate(scenario.steps))
    out = msgspec.structs.replace(scenario, steps=steps, agenda=_agenda(scenario))
    if "method" in hidden:
        out = msgspec.structs.replace(out, alerts=Alerts(), runbooks={})
    if "experiment" in hidden:
        targets = msgspec.structs.replace(scenario.targets, rpo=None, rpo_check="")
        out = msgspec.structs.replace(out, name="game-day", title=scenario.title and "Game day", targets=targets)
    return out


def _step(step: RunStep | AskStep | NoteStep, n: int, hidden: tuple[str, ...]) -> RunStep | AskStep | NoteStep:
    if not isinstance(step, RunStep) or not {"experiment", "method"} & set(hidden):
        return step
    return RunStep(run=WITHHELD, name=f"experiment {n + 1}", tighten=Tighten(), on=step.on)


def _agenda(scenario: Scenario) -> Agenda:
    """Without the lines, or without what they call the experiments."""
    agenda = scenario.agenda
    if "agenda" in scenario.hidden:
        return Agenda(hard_end=agenda.hard_end)
    if not {"experiment", "method"} & set(scenario.hidden):
        return agenda
    items = tuple(msgspec.structs.replace(one, what=_line(one.what, scenario)) for one in agenda.items)
    return msgspec.structs.replace(agenda, items=items)


def _line(what: str, scenario: Scenario) -> str:
    for n, step in enumerate(scenario.steps):
        if isinstance(step, RunStep) and any(called in what.casefold() for called in _called(step)):
            return f"experiment {n + 1}"
    return what


def _called(step: RunStep) -> list[str]:
    stem = step.run.rpartition("/")[2].removesuffix(".yaml")
    return [name.casefold() for name in (step.name, stem, stem.replace("-", " ")) if name]


def _theirs(entries: Sequence[Entry]) -> frozenset[str]:
    """Those who never played another part: their words tell responders nothing new."""
    folded = days.fold(entries[:1]).roles
    cast = [*folded.items(), *((e.fact.role, e.fact.people) for e in entries if isinstance(e.fact, facts.RoleTaken))]
    return frozenset(_names(cast, of=True)) - frozenset(_names(cast, of=False))


def _names(cast: Iterable[tuple[str, tuple[str, ...]]], *, of: bool) -> list[str]:
    return [name for role, people in cast if (role == ROLE) is of for name in people]


def _bare(fact: AnyFact, hidden: frozenset[str], theirs: frozenset[str]) -> AnyFact:
    if isinstance(fact, facts.DayStarted):
        bare = msgspec.to_builtins(scenario_for(from_builtins(fact.scenario)))
        return msgspec.structs.replace(fact, scenario=bare, file=WITHHELD, files={}, command=())
    changed: dict[str, Any] = {}
    if hidden & TELLING and getattr(fact, "who", "") not in theirs:
        changed = {name: _withheld(fact, name) for name in TEXTS[type(fact)] if getattr(fact, str(name))}
    if "run_id" in hidden and hasattr(fact, "run"):
        changed["run"] = ""
    return msgspec.structs.replace(fact, **changed) if changed else fact


def _withheld(fact: AnyFact, field: str) -> str:
    if isinstance(fact, facts.Asked):
        return QUESTIONS[fact.kind]
    return "" if field in {"rerun", "ticket", "scope"} else WITHHELD
