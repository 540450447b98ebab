"""What is kept of a game day: past-tense facts, append-only, said by people and by the conductor. No IO, no clock.

`step` counts the scenario's steps from 0; -1 is the day as a whole. `who` is a person's name or `conductor`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from chaos_runner.records import Headline

Mark = Literal["detected", "acknowledged", "mitigated", "restored", "evidence"]
"""What people stamp: they detected it, took it on, ended the harm to users, were back to normal, saw the cause."""
Source = Literal["tool", "alertmanager", "person"]
Believed = Literal["holds", "deviates", "aborts"]
Priority = Literal["P0", "P1", "P2", "P3"]
Answer = Literal["go", "no-go"]
Done = Literal["done", "accepted", "dropped", "open"]


class Fact(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """One past-tense fact of a day; the tag is the class name."""


class DayStarted(Fact, frozen=True):
    """The day is durable. `scenario` is the whole file as values, `files` path -> sha-256 of all that it names."""

    scenario: dict[str, Any]
    file: str
    files: dict[str, str]
    versions: dict[str, str]
    actor: str
    command: tuple[str, ...] = ()


class ConductorBegan(Fact, frozen=True):
    """A conductor conducts: the first one, or one after another's death."""

    pid: int
    epoch: int
    why: str = ""


class RoleTaken(Fact, frozen=True):
    """From here on these people play a part."""

    role: str
    people: tuple[str, ...]
    who: str


class Present(Fact, frozen=True):
    """Somebody answered the roll call; or is absent, and why."""

    name: str
    who: str
    absent: str = ""


class Ticked(Fact, frozen=True):
    """An item of the checklist was ticked; `item` counts from 0."""

    item: int
    who: str


class Approved(Fact, frozen=True):
    """Somebody whose approval the file asks for gave it."""

    name: str
    who: str


class DrillBegan(Fact, frozen=True):
    """The abort drill is under way; `run` is the reserved id of its harmless run."""

    run: str


class DrillEnded(Fact, frozen=True):
    """The lever was pulled for practice: from the pull to the fault gone took `halt_s`; `run` has the records."""

    run: str
    who: str
    halt_s: float | None = None
    why: str = ""  # why there is no time


class StepBegan(Fact, frozen=True):
    """A step is under way; `run` is the reserved run id of one that runs, `attempt` counts from 1."""

    step: int
    run: str = ""
    attempt: int = 1


class StepEnded(Fact, frozen=True):
    """A step is over. `headline` is its run's; empty where nothing ran, and `why` says so."""

    step: int
    run: str = ""
    headline: Headline | Literal[""] = ""
    why: str = ""


class StepSkipped(Fact, frozen=True):
    """Somebody left a step out."""

    step: int
    who: str
    reason: str


class StepRepeated(Fact, frozen=True):
    """Somebody wants a step once more."""

    step: int
    who: str
    reason: str


class Asked(Fact, frozen=True):
    """The day waits for an answer of somebody in one of these roles."""

    step: int
    question: str
    of: tuple[str, ...]
    kind: Literal["go_no_go", "outcome", "note", "prediction", "ready"] = "go_no_go"


class Answered(Fact, frozen=True):
    """Somebody answered what the day waited for."""

    step: int
    who: str
    role: str
    answer: Answer
    reason: str = ""


class Predicted(Fact, frozen=True):
    """Before an injection: what somebody believes will come out, and how sure they are (0 to 1)."""

    step: int
    who: str
    believed: Believed
    confidence: float
    text: str = ""


class Marked(Fact, frozen=True):
    """A moment that the metrics are made of. `happened_at` is Unix time and may be earlier than the fact's own."""

    mark: Mark
    happened_at: float
    who: str
    source: Source = "person"
    step: int = -1
    text: str = ""


class Retracted(Fact, frozen=True):
    """An earlier fact (by its seq) was a mistake; it stays in the history and counts no more."""

    seq: int
    who: str
    reason: str


class Said(Fact, frozen=True):
    """A note; a surprise is a note that says what was expected instead."""

    who: str
    text: str
    kind: Literal["note", "surprise", "went_well", "logistics", "cause"] = "note"
    step: int = -1


class AlertFired(Fact, frozen=True):
    """An alert that the day names was read as firing, by its own start."""

    name: str
    labels: dict[str, str]
    starts_at: float
    state: Literal["firing", "suppressed", "pending"] = "firing"
    step: int = -1


class AlertEnded(Fact, frozen=True):
    """It was not there any more."""

    name: str
    labels: dict[str, str]


class AlertsUnread(Fact, frozen=True):
    """From here on it could not be told which alerts fire; the next alert fact, or `readable`, ends it."""

    why: str = ""
    readable: bool = False


class ActionAdded(Fact, frozen=True):
    """Something to do. `id` is unique in the state folder, `due` a date, `rerun` an experiment's file."""

    id: str
    finding: str
    who: str
    owner: str = ""
    due: str = ""
    priority: Priority = "P2"
    rerun: str = ""
    ticket: str = ""
    step: int = -1


class ActionSettled(Fact, frozen=True):
    """An action is done, accepted as a risk (by `who`), dropped, or open again."""

    id: str
    state: Done
    who: str
    reason: str
    run: str = ""  # the run that showed it


class ObjectiveJudged(Fact, frozen=True):
    """Whether an objective was met, in somebody's judgement."""

    objective: str
    result: Literal["met", "partly", "not"]
    who: str
    text: str = ""


class Confident(Fact, frozen=True):
    """How much somebody trusts the system, 0 to 1, before or after the day."""

    who: str
    when: Literal["before", "after"]
    confidence: float


class HaltAsked(Fact, frozen=True):
    """Somebody pulled a lever; `asked_at` is the pull itself."""

    who: str
    scope: str
    asked_at: float
    reason: str = ""


class IncidentDeclared(Fact, frozen=True):
    """It is no exercise any more: all is halted, and the day is over."""

    who: str
    text: str


class EndAsked(Fact, frozen=True):
    """Somebody wants the day to end: what runs is stopped and undone, then DayEnded follows."""

    who: str
    reason: str = ""


class ConsoleAttached(Fact, frozen=True):
    """Somebody looks at the day and may speak."""

    who: str
    where: str  # terminal, textual, web


class DayEnded(Fact, frozen=True):
    """Nothing follows but notes, marks, judgements and what becomes of the actions."""

    how: Literal["finished", "stopped", "incident", "hard_end", "died"]
    why: str = ""
    who: str = "conductor"


AnyFact = (
    DayStarted
    | ConductorBegan
    | RoleTaken
    | Present
    | Ticked
    | Approved
    | DrillBegan
    | DrillEnded
    | StepBegan
    | StepEnded
    | StepSkipped
    | StepRepeated
    | Asked
    | Answered
    | Predicted
    | Marked
    | Retracted
    | Said
    | AlertFired
    | AlertEnded
    | AlertsUnread
    | ActionAdded
    | ActionSettled
    | ObjectiveJudged
    | Confident
    | HaltAsked
    | IncidentDeclared
    | EndAsked
    | ConsoleAttached
    | DayEnded
)


class Entry(msgspec.Struct, frozen=True):
    """A fact with its place. `at` is Unix time for people.

    `t` is seconds since the day's start by a clock that nobody sets, and that goes on while the machine sleeps.
    """

    day: str
    seq: int
    at: float
    t: float
    fact: AnyFact
