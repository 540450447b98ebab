"""The types of a scenario file: who plays which part, what is done in which order, and what is expected. No IO."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from chaos_runner import spelling
from chaos_runner.expect import Duration, Percent
from chaos_runner.model import Alerts, Name, Text, Value, Where

Role = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Person = Annotated[str, Meta(min_length=1, max_length=200)]
Line = Annotated[str, Meta(min_length=1, max_length=400)]

ROLES = ("facilitator", "operator", "abort_authority", "incident_commander", "scribe", "responders")
"""The parts that the program gives something to do; any other is free text."""
NEEDED = ("facilitator", "operator", "abort_authority")

Choice = Literal["go_on", "ask", "stop"]


class GoNoGo(Value, frozen=True):
    """Who is asked whether to go on, and who may say no beside them."""

    ask: Annotated[Role, Meta(description="the role that says go")]
    unless: Annotated[str, Meta(description="a role that may say no-go", max_length=63)] = ""


class Tighten(Value, frozen=True):
    """What this day allows less of than the experiment's file; never more."""

    for_: Annotated[Duration, Meta(description="each fault stays at most so long", ge=1)] | None = msgspec.field(
        name="for", default=None
    )
    baseline: Annotated[Duration, Meta(description="at least so long a baseline", le=86400)] | None = None
    at_once: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    in_total: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    percent_of_selector: Annotated[Percent, Meta(le=1)] | None = None
    violated_for: Annotated[Duration, Meta(description="stops after so long a violation", ge=1)] | None = None


class On(Value, frozen=True):
    """What follows an outcome: the next step, a question to the facilitator, or the end of the day."""

    unknown: Choice = "ask"
    deviated: Choice = "ask"
    aborted: Choice = "ask"


class RunStep(Value, frozen=True, tag_field="step", tag="run"):
    """One experiment, tightened only."""

    run: Annotated[str, Meta(description="the experiment's file, from the scenario's folder", min_length=1)]
    name: Annotated[str, Meta(description="what people see of it beforehand", max_length=200)] = ""
    expected: Annotated[str, Meta(description="what we expect people and machines to do", max_length=4000)] = ""
    tighten: Tighten = Tighten()
    on: On = On()


class AskStep(Value, frozen=True, tag_field="step", tag="go_no_go"):
    """A checkpoint: nothing goes on without a name that says go."""

    go_no_go: GoNoGo


class NoteStep(Value, frozen=True, tag_field="step", tag="note"):
    """People write down what they saw; the checkpoint ends with `next`."""

    note: Annotated[str, Meta(min_length=1, max_length=400)]


Step = RunStep | AskStep | NoteStep


class Targets(Value, frozen=True):
    """How fast people and machines want to be; what has no stamp or check reads `not recorded`."""

    detect: Annotated[Duration, Meta(description="from the confirmed fault to its detection")] | None = None
    acknowledge: Annotated[Duration, Meta(description="from detection")] | None = None
    mitigate: Annotated[Duration, Meta(description="from the confirmed fault")] | None = None
    rto: Annotated[Duration, Meta(description="from the confirmed fault to the steady state")] | None = None
    rpo: Annotated[Duration, Meta(description="data lost, as time; needs `rpo_check`")] | None = None
    rpo_check: Annotated[str, Meta(description="the check that reads the loss: experiment#check#metric")] = ""


class Planned(Value, frozen=True):
    """One line of the agenda."""

    at: Annotated[Duration, Meta(description="after the start of the day")]
    what: Line


class Agenda(Value, frozen=True):
    """The planned times; at `hard_end` no further step begins and what runs is stopped."""

    hard_end: Annotated[Duration, Meta(description="after the start of the day", le=86400)] = 4 * 3600.0
    items: Annotated[tuple[Planned, ...], Meta(max_length=50)] = ()


class Actions(Value, frozen=True):
    """Defaults of action items."""

    due_in: Annotated[Duration, Meta(le=366 * 86400)] = 30 * 86400.0
    rerun: Annotated[
        Literal["deviated", "all", "none"], Meta(description="for which outcomes an action names the experiment")
    ] = "deviated"


Hidden = Literal["method", "run_id", "target", "experiment", "agenda"]


class Scenario(Value, frozen=True):
    """A game day: experiments in order, the people, the checkpoints between them."""

    known_roles: ClassVar[tuple[str, ...]] = ROLES

    kind: Literal["scenario/v1"]
    name: Name
    environment: Name
    roles: Annotated[dict[Role, Person | tuple[Person, ...]], Meta(min_length=3, max_length=30)]
    steps: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=50)]
    title: Annotated[str, Meta(max_length=200)] = ""
    summary: Annotated[str, Meta(description="what happens in the story, for everybody", max_length=4000)] = ""
    severity_if_real: Annotated[str, Meta(description="such as SEV2", max_length=40)] = ""
    objectives: Annotated[
        dict[Role, Text], Meta(description="what we want to learn, by a short name", max_length=20)
    ] = msgspec.field(default_factory=dict)
    out_of_scope: Annotated[tuple[Line, ...], Meta(max_length=20)] = ()
    accepted_risks: Annotated[tuple[Line, ...], Meta(max_length=20)] = ()
    approvals: Annotated[tuple[Person, ...], Meta(description="who has to say yes beforehand", max_length=20)] = ()
    checklist: Annotated[
        tuple[Line, ...], Meta(description="ticked by a name before the first fault", max_length=50)
    ] = ()
    drill: Annotated[bool, Meta(description="pull the lever once before the first fault")] = True
    targets: Targets = Targets()
    alerts: Alerts = Alerts()
    runbooks: Annotated[dict[str, str], Meta(description="alert or step -> address", max_length=50)] = msgspec.field(
        default_factory=dict
    )
    hidden: Annotated[tuple[Hidden, ...], Meta(description="what responders do not see")] = (
        "method",
        "run_id",
        "target",
        "experiment",
    )
    agenda: Agenda = Agenda()
    actions: Actions = Actions()

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        for role in NEEDED:
            if role not in self.roles:
                yield ("roles",), f"a game day needs a {role}"
        abort, operator = self.people("abort_authority"), self.people("operator")
        if same := sorted(set(abort) & set(operator)):
            yield (
                ("roles", "abort_authority"),
                f"'{same[0]}' is the operator: whoever may stop the day must be somebody else",
            )
        for n, step in enumerate(self.steps):
            if isinstance(step, AskStep):
                yield from self._misasked(n, step.go_no_go)
        if not any(isinstance(step, RunStep) for step in self.steps):
            yield ("steps",), "a game day needs a step that runs an experiment: `run: FILE`"
        if self.targets.rpo is not None and not self.targets.rpo_check:
            yield ("targets", "rpo"), "say what reads the loss: `rpo_check: EXPERIMENT#CHECK#METRIC`"

    def people(self, role: str) -> tuple[str, ...]:
        """Who plays a part; empty where nobody does."""
        named = self.roles.get(role, ())
        return (named,) if isinstance(named, str) else tuple(named)

    def _misasked(self, n: int, asked: GoNoGo) -> Iterator[Where]:
        for field, role in (("ask", asked.ask), ("unless", asked.unless)):
            if role and role not in self.roles:
                yield ("steps", n, "go_no_go", field), spelling.unknown("role", role, self.roles)


def from_builtins(value: dict[str, Any]) -> Scenario:
    """The scenario as a day keeps it. Raises msgspec.ValidationError."""
    return msgspec.convert(value, Scenario)
