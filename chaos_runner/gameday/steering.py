"""What moves a game day on: who is there, what is ready, go or no-go, predictions, hand-overs, halt. No IO."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from chaos_runner.expect import quantity
from chaos_runner.gameday import typed
from chaos_runner.gameday.day import Day
from chaos_runner.gameday.facts import (
    Answered,
    AnyFact,
    Approved,
    Believed,
    EndAsked,
    HaltAsked,
    IncidentDeclared,
    Predicted,
    Present,
    RoleTaken,
    StepRepeated,
    StepSkipped,
    Ticked,
)
from chaos_runner.gameday.scenario import AskStep, RunStep
from chaos_runner.gameday.typed import Line, Speaker


def here(line: Line, day: Day, speaker: Speaker) -> AnyFact:
    return Present(name=typed.person(day, typed.name(line.text or speaker.who, "a name")), who=speaker.who)


def absent(line: Line, day: Day, speaker: Speaker) -> AnyFact:
    name, why = line.first()
    return Present(
        name=typed.person(day, typed.name(name, "a name")), who=speaker.who, absent=typed.wanted(why, line, "why")
    )


def tick(line: Line, day: Day, speaker: Speaker) -> AnyFact:
    items = day.scenario.checklist if day.scenario else ()
    if line.text.isascii() and line.text.isdigit() and 1 <= int(line.text) <= len(items):
        return Ticked(item=int(line.text) - 1, who=speaker.who)
    matching = [n for n, item in enumerate(items) if line.text and item.lower().startswith(line.text.lower())]
    if len(matching) == 1:
        return Ticked(item=matching[0], who=speaker.who)
    msg = (
        f"'{typed.short(line.text)}' names no item of the checklist; it has {len(items)}: say tick 1"
        if items
        else ("this game day has no checklist")
    )
    raise ValueError(msg)


def approve(line: Line, day: Day, speaker: Speaker) -> AnyFact:
    name = line.text or speaker.who
    wanted = day.scenario.approvals if day.scenario else ()
    meant = [one for one in wanted if one.casefold().startswith(f"{name.casefold()} ")]
    approver = meant[0] if len(meant) == 1 else typed.one_of(name, wanted, "approver")
    return Approved(name=approver, who=speaker.who)


def go(line: Line, day: Day, speaker: Speaker) -> AnyFact:
    step, role = _answering(line, day, speaker, ())
    return Answered(step=step, who=speaker.who, role=role, answer="go", reason=line.text)


def no_go(line: Line, day: Day, speaker: Speaker) -> AnyFact:
    step, role = _answering(line, day, speaker, (*_unless(day), "abort_authority"))
    return Answered(
        step=step, who=speaker.who, role=role, answer="no-go", reason=typed.wanted(line.text, line, "the reason")
    )


def _answering(line: Line, day: Day, speaker: Speaker, also: Iterable[str]) -> tuple[int, str]:
    """The step that waits, and the role in which this person may answer."""
    if day.asked is None:
        msg = "nothing waits for an answer now"
        raise ValueError(msg)
    may = tuple(dict.fromkeys((*day.asked.of, *also)))
    wanted = line.options.get("as")
    for role in may:
        if speaker.who in day.people(role) and wanted in {None, role}:
            return day.asked.step, role
    people = ", ".join(f"{role} ({', '.join(day.people(role)) or 'nobody'})" for role in may)
    msg = f"this waits for {people}; '{typed.short(speaker.who)}' is none of them: say --by NAME"
    raise ValueError(msg)


def _unless(day: Day) -> tuple[str, ...]:
    asked, scenario = day.asked, day.scenario
    if asked is None or scenario is None or not 0 <= asked.step < len(scenario.steps):
        return ()
    step = scenario.steps[asked.step]
    return (step.go_no_go.unless,) if isinstance(step, AskStep) and step.go_no_go.unless else ()


def predict(line: Line, day: Day, speaker: Speaker) -> AnyFact:
    believed, rest = line.first()
    sure, _, text = rest.partition(" ")
    try:
        confidence = quantity("percent", sure)
    except ValueError:
        msg = f"say how sure: {line.usage}"
        raise ValueError(msg) from None
    if not 0 <= confidence <= 1:
        msg = f"'{typed.short(sure)}' is not between 0% and 100%"
        raise ValueError(msg)
    return Predicted(
        step=_next_run(line, day),
        who=speaker.who,
        believed=typed.one_of(believed, get_args(Believed), "prediction"),  # type: ignore[arg-type]
        confidence=confidence,
        text=text.strip(),
    )


def _next_run(line: Line, day: Day) -> int:
    """The step that is predicted: the first that runs something and has not begun."""
    steps = day.scenario.steps if day.scenario else ()
    if "step" in line.options:
        step = typed.step(line, day)
        if not isinstance(steps[step], RunStep) or day.steps[step].state != "waiting":
            msg = f"step {step + 1} is {day.steps[step].state} or runs nothing: a prediction comes before the injection"
            raise ValueError(msg)
        return step
    for view in day.steps:
        if view.state == "waiting" and isinstance(steps[view.step], RunStep):
            return view.step
    msg = "there is no experiment to come that could be predicted"
    raise ValueError(msg)


def hand(line: Line, day: Day, speaker: Speaker) -> AnyFact:
    role, rest = line.first()
    people = tuple(
        typed.person(day, typed.name(one.strip(), "a name"))
        for one in rest.removeprefix("to ").split(",")
        if one.strip()
    )
    if not people:
        msg = f"say: {line.usage}"
        raise ValueError(msg)
    role = typed.one_of(role, day.roles, "role")
    other = {"operator": "abort_authority", "abort_authority": "operator"}.get(role, "")
    if same := sorted(set(people) & set(day.people(other))):
        msg = f"'{typed.short(same[0])}' is the {other}: whoever may stop the day must not be the operator"
        raise ValueError(msg)
    return RoleTaken(role=role, people=people, who=speaker.who)


def skip(line: Line, day: Day, speaker: Speaker) -> AnyFact:
    _leads(day, speaker, "skip")
    step = typed.step(line, day) if "step" in line.options else _waiting(day)
    if day.steps[step].state != "waiting":
        msg = f"step {step + 1} is {day.steps[step].state}; only one that waits can be left out (`halt` stops a run)"
        raise ValueError(msg)
    return StepSkipped(step=step, who=speaker.who, reason=typed.wanted(line.text, line, "why"))


def repeat(line: Line, day: Day, speaker: Speaker) -> AnyFact:
    _leads(day, speaker, "repeat")
    step = typed.step(line, day) if "step" in line.options else typed.now(day)
    if step < 0 or day.steps[step].state not in {"ended", "skipped"}:
        msg = "only a step that is over can be repeated; say --step N"
        raise ValueError(msg)
    return StepRepeated(step=step, who=speaker.who, reason=typed.wanted(line.text, line, "why"))


def _leads(day: Day, speaker: Speaker, what: str) -> None:
    people = (*day.people("facilitator"), *day.people("operator"))
    if speaker.who not in people:
        msg = f"{what} is for the facilitator or the operator ({', '.join(people)}); say --by NAME"
        raise ValueError(msg)


def _waiting(day: Day) -> int:
    for view in day.steps:
        if view.state == "waiting":
            return view.step
    msg = "no step waits"
    raise ValueError(msg)


def end(line: Line, day: Day, speaker: Speaker) -> AnyFact:
    people = day.people("facilitator")
    if speaker.who not in people:
        msg = f"end is for the facilitator ({', '.join(people)}), `halt` and `incident` for everybody; say --by NAME"
        raise ValueError(msg)
    return EndAsked(who=speaker.who, reason=typed.wanted(line.text, line, "why"))


def halt(line: Line, day: Day, speaker: Speaker) -> AnyFact:
    return HaltAsked(who=speaker.who, scope=lever(day), asked_at=speaker.now, reason=line.text)


def incident(line: Line, day: Day, speaker: Speaker) -> AnyFact:
    return IncidentDeclared(who=speaker.who, text=typed.wanted(line.text, line, "what happened"))


def lever(day: Day) -> str:
    """The lever that `halt` and `incident` pull: that of the day's environment."""
    return f"environment.{day.scenario.environment}" if day.scenario else "global"
