"""What a console shows of a day, as values; the same for plain lines, Textual and pages. No IO, no clock.

Responders get their own: give `shown` the role, and it takes away what the file hides (see `responder`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from chaos_runner.gameday import day as days
from chaos_runner.gameday import facts, responder
from chaos_runner.gameday.day import Day, StepView
from chaos_runner.gameday.facts import Entry
from chaos_runner.gameday.running import Running
from chaos_runner.gameday.scenario import AskStep, RunStep, Scenario
from chaos_runner.gameday.sentences import step_name, tell

Tone = Literal["", "ask", "people", "bad"]


class Row(msgspec.Struct, frozen=True):
    """One line of the agenda: a planned time, a step with its real ones, or both."""

    what: str
    planned_at: float | None = None
    began_at: float | None = None
    ended_at: float | None = None
    state: str = ""  # of a step: waiting, going, ended, skipped
    headline: str = ""
    step: int = -1


class Waiting(msgspec.Struct, frozen=True):
    """What the day waits for: who may answer, and what they type. `missing` keeps a `go` from counting."""

    question: str
    kind: str
    roles: tuple[str, ...]
    people: tuple[str, ...]
    words: tuple[str, ...]
    missing: tuple[str, ...] = ()


class Person(msgspec.Struct, frozen=True):
    """One line of the roll call."""

    name: str
    roles: tuple[str, ...]
    state: str  # present, absent, "" for nobody knows
    why: str = ""


class Item(msgspec.Struct, frozen=True):
    """One line of the checklist or of the approvals; `by` is empty until it is done."""

    what: str
    by: str = ""


class Believed(msgspec.Struct, frozen=True):
    """One prediction for the step that is next or goes on."""

    who: str
    believed: str
    confidence: float
    text: str = ""


class Told(msgspec.Struct, frozen=True):
    """One line of the timeline; `seq` is what `retract` takes."""

    seq: int
    at: float
    t: float
    text: str
    tone: Tone = ""
    retracted: bool = False


class Key(msgspec.Struct, frozen=True):
    """One key that makes sense now, and the words that it begins. `asks` is what is typed after them."""

    key: str
    line: str
    help: str
    asks: str = ""


class Screen(msgspec.Struct, frozen=True):
    """Everything that a console shows at one moment."""

    day: str
    title: str
    environment: str
    severity: str = ""
    role: str = ""
    began_at: float = 0.0
    now: float = 0.0
    ended: str = ""
    hard_end_in_s: float | None = None
    current: str = ""
    agenda: tuple[Row, ...] = ()
    waiting: Waiting | None = None
    roll_call: tuple[Person, ...] = ()
    checklist: tuple[Item, ...] = ()
    approvals: tuple[Item, ...] = ()
    predictions: tuple[Believed, ...] = ()
    alerts: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    running: Running | None = None
    timeline: tuple[Told, ...] = ()
    keys: tuple[Key, ...] = ()


# key, words that it begins, what it does, what is typed after them; those for `later` also after the end
KEYS = (
    Key("n", "note", "note", "what you saw"),
    Key("d", "mark detected", "detected"),
    Key("a", "mark acknowledged", "acknowledged"),
    Key("m", "mark mitigated", "mitigated"),
    Key("r", "mark restored", "restored"),
    Key("s", "surprise", "surprise", "what was otherwise than expected"),
    Key("t", "action", "action item", "what is to be done [--owner NAME] [--due 2026-12-24]"),
    Key("g", "go", "go", "reason, if there is one"),
    Key("x", "no-go", "no-go", "reason"),
    Key("p", "predict", "predict", "holds|deviates|aborts 70% [WHY]"),
    Key("h", "halt", "halt", "why, if you like; Enter halts, Escape does not"),
    Key("I", "incident", "REAL INCIDENT", "type incident, then what happened"),
)
_ANSWERS = {"g", "x"}
_WHILE_OPEN = {"h", "I"}
_PEOPLE = (facts.Said, facts.Marked, facts.Predicted, facts.ActionAdded, facts.ObjectiveJudged)
_BAD = (facts.HaltAsked, facts.IncidentDeclared, facts.AlertFired, facts.AlertsUnread)


def shown(entries: Sequence[Entry], running: Running | None, now: float, as_role: str = "") -> Screen:
    """The screen for somebody in this role; a responder's lacks what the file hides from them."""
    if as_role == responder.ROLE:
        full = days.fold(entries)
        entries, running = responder.facts_for(entries), responder.run_for(full, running)
    day = days.fold(entries)
    scenario = day.scenario
    return Screen(
        day=day.id,
        title=_title(scenario),
        environment=scenario.environment if scenario else "",
        severity=scenario.severity_if_real if scenario else "",
        role=as_role,
        began_at=day.started_at,
        now=now,
        ended=tell(day.ended) if day.ended else "",
        hard_end_in_s=_hard_end(day, now),
        current=_current(day),
        agenda=tuple(agenda(day)),
        waiting=_waiting(day),
        roll_call=tuple(_roll_call(day)),
        checklist=tuple(_checklist(day)),
        approvals=tuple(Item(name, name if name in day.approved else "") for name in _approvers(scenario)),
        predictions=tuple(_predictions(day)),
        alerts=tuple(_firing(day)),
        actions=tuple(view.added.finding for view in day.actions.values() if view.state == "open"),
        running=running,
        timeline=tuple(told(entries, day)),
        keys=tuple(keys(day)),
    )


def role_for(day: Day, who: str) -> str:
    """As whom somebody looks: the part they play, `responders` only where that is all they are."""
    if responder.only(day, who):
        return responder.ROLE
    return next((role for role, people in day.roles.items() if who in people and role != responder.ROLE), "")


def _title(scenario: Scenario | None) -> str:
    return (scenario.title or scenario.name) if scenario else ""


def _hard_end(day: Day, now: float) -> float | None:
    if day.scenario is None or day.ended is not None:
        return None
    return day.started_at + day.scenario.agenda.hard_end - now


def _current(day: Day) -> str:
    if day.ended is not None:
        return "over"
    if day.drilling:
        return "abort drill"
    view = day.step or next((one for one in day.steps if one.state == "waiting"), None)
    if view is None:
        return "all steps are over"
    lead = "" if view.state == "going" else "next: "
    return f"{lead}step {view.step + 1} of {len(day.steps)}: {step_name(day.scenario, view.step)}"


# --- agenda ------------------------------------------------------------------------------------------------------


def agenda(day: Day) -> list[Row]:
    """The steps in order with their real times; a planned line that names one is put on it, the others stand first."""
    if day.scenario is None:
        return []
    planned = list(day.scenario.agenda.items)
    steps: list[Row] = []
    for view in day.steps:
        name = step_name(day.scenario, view.step)
        found = next((one for one in planned if isinstance(_at(day, view), RunStep) and _names(one.what, name)), None)
        if found is not None:
            planned.remove(found)
        steps.append(_row(view, name, day.started_at + found.at if found else None))
    return [Row(what=one.what, planned_at=day.started_at + one.at) for one in planned] + steps


def _at(day: Day, view: StepView) -> object:
    return day.scenario.steps[view.step] if day.scenario else None


def _names(text: str, name: str) -> bool:
    return name.casefold() in text.casefold()


def _row(view: StepView, name: str, planned_at: float | None) -> Row:
    return Row(
        what=name,
        planned_at=planned_at,
        began_at=view.began_at,
        ended_at=view.ended_at,
        state=view.state,
        headline=view.headline,
        step=view.step,
    )


# --- what is waited for ------------------------------------------------------------------------------------------


def _waiting(day: Day) -> Waiting | None:
    asked = day.asked
    if asked is None:
        return None
    words: tuple[str, ...] = ("go [REASON]", "no-go REASON")
    if day.drilling:
        words = ("halt",)
    elif asked.kind == "prediction":
        words = ("predict holds|deviates|aborts 70% [WHY]", *words)
    elif asked.kind == "note":
        words = ("note TEXT", "surprise TEXT", *words)
    people = tuple(dict.fromkeys(name for role in asked.of for name in day.people(role)))
    return Waiting(asked.question, asked.kind, asked.of, people, words, tuple(_missing(day)))


def _missing(day: Day) -> list[str]:
    """What has to be there before the first step."""
    if day.scenario is None or day.drilling or any(view.state != "waiting" for view in day.steps):
        return []
    unticked = [f"tick {n + 1}" for n in range(len(day.scenario.checklist)) if n not in day.ticked]
    return unticked + [f"approve {name}" for name in day.scenario.approvals if name not in day.approved]


def keys(day: Day) -> list[Key]:
    """The keys that do something now."""
    if day.started is None:
        return []
    absent: set[str] = set()
    if day.ended is not None:
        absent |= _WHILE_OPEN
    if day.asked is None:
        absent |= _ANSWERS
    if not _predictable(day):
        absent.add("p")
    return [key for key in KEYS if key.key not in absent]


def _predictable(day: Day) -> bool:
    steps = day.scenario.steps if day.scenario else ()
    waits = any(view.state == "waiting" and isinstance(steps[view.step], RunStep) for view in day.steps)
    return waits and day.ended is None


# --- people ------------------------------------------------------------------------------------------------------


def _roll_call(day: Day) -> list[Person]:
    parts: dict[str, list[str]] = {}
    for role, people in day.roles.items():
        for name in people:
            parts.setdefault(name, []).append(role)
    for name in day.present:
        parts.setdefault(name, [])
    return [_person(day, name, tuple(roles)) for name, roles in parts.items()]


def _person(day: Day, name: str, roles: tuple[str, ...]) -> Person:
    seen = day.present.get(name)
    state = "" if seen is None else "absent" if seen.absent else "present"
    return Person(name, roles, state, seen.absent if seen else "")


def _checklist(day: Day) -> list[Item]:
    items = day.scenario.checklist if day.scenario else ()
    return [Item(what, day.ticked[n][1].who if n in day.ticked else "") for n, what in enumerate(items)]


def _approvers(scenario: Scenario | None) -> tuple[str, ...]:
    return scenario.approvals if scenario else ()


def _predictions(day: Day) -> list[Believed]:
    """For the step that goes on, else for the next one that runs something; each person's last word."""
    steps = day.scenario.steps if day.scenario else ()
    next_up = (one for one in day.steps if one.state == "waiting" and isinstance(steps[one.step], RunStep))
    view = day.step if day.step is not None and not isinstance(steps[day.step.step], AskStep) else next(next_up, None)
    if view is None:
        return []
    last = {one.who: one for _, one in day.predictions if one.step == view.step}
    return [Believed(one.who, one.believed, one.confidence, one.text) for one in last.values()]


def _firing(day: Day) -> list[str]:
    """The alerts that fire now, by name."""
    events = [(at, 0, one.name, one.labels) for at, one in day.alerts if one.state == "firing"]
    events += [(at, 1, gone.name, gone.labels) for at, gone in day.alerts_over]
    firing: dict[str, str] = {}
    for _, over, name, labels in sorted(events, key=lambda event: event[:2]):
        key = f"{name} {sorted(labels.items())}"
        if over:
            firing.pop(key, None)
        else:
            firing[key] = name
    return list(dict.fromkeys(firing.values()))


# --- timeline ----------------------------------------------------------------------------------------------------


def told(entries: Sequence[Entry], day: Day) -> list[Told]:
    """The day, line by line."""
    return [line(one, day) for one in entries]


def line(entry: Entry, day: Day) -> Told:
    """One fact as a line of the timeline. A mark that was backdated says by how much."""
    text = tell(entry.fact, day.scenario)
    if isinstance(entry.fact, facts.Marked) and entry.at - entry.fact.happened_at >= 1:
        text += f" ({round(entry.at - entry.fact.happened_at)} s earlier)"
    return Told(entry.seq, entry.at, entry.t, text, _tone(entry), entry.seq in day.retracted)


def _tone(entry: Entry) -> Tone:
    fact = entry.fact
    if isinstance(fact, _BAD) or (isinstance(fact, facts.StepEnded) and fact.headline not in {"", "HELD"}):
        return "bad"
    if isinstance(fact, facts.Asked):
        return "ask"
    return "people" if isinstance(fact, _PEOPLE) else ""
