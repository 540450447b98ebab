"""The types of a scenario file: who plays which part, what is done in which order, and what is expected. No IO."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from chaos_runner import spelling
from chaos_runner.expect import Duration, written
from chaos_runner.model import Alerts, Count, Name, Text, Value, Where

Role = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Person = Annotated[str, Meta(min_length=1, max_length=200)]
Line = Annotated[str, Meta(min_length=1, max_length=400)]

ROLES = ("facilitator", "operator", "abort_authority", "incident_commander", "scribe", "responders")
"""The parts that the program gives something to do; any other is free text."""
NEEDED = ("facilitator", "operator", "abort_authority")

Whole = Annotated[int, Meta(ge=1, le=100)]
Choice = Literal["go_on", "ask", "stop"]


class GoNoGo(Value, frozen=True):
    """Who is asked whether to go on, and who may say no beside them."""

    ask: Annotated[Role, Meta(description="the role that says go")]
    unless: Annotated[str, Meta(description="a role that may say no-go", max_length=63)] = ""


class Tighten(Value, frozen=True):
    """What this day allows less of than the experiment's file; never more."""

    for_: Annotated[Annotated[Duration, Meta(ge=1)] | None, Meta(description="each fault stays at most so long")] = (
        msgspec.field(name="for", default=None)
    )
    baseline: Annotated[Annotated[Duration, Meta(le=86400)] | None, Meta(description="at least so long a baseline")] = (
        None
    )
    at_once: Annotated[Count | None, Meta(description="targets with an open fault at the same time")] = None
    in_total: Annotated[Count | None, Meta(description="targets over the whole run")] = None
    percent_of_selector: Annotated[Whole | None, Meta(description="share of what a selector matches, in percent")] = (
        None
    )
    max_duration: Annotated[
        Annotated[Duration, Meta(ge=1)] | None, Meta(description="no fault of the run lives longer")
    ] = None
    violated_for: Annotated[
        Annotated[Duration, Meta(ge=1)] | None, Meta(description="stops after so long a violation")
    ] = None
    recovery: Annotated[
        Annotated[Duration, Meta(ge=1)] | None, Meta(description="must be well again within so long")
    ] = None


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
    tighten: Annotated[Tighten, Meta(description="what this day allows less of")] = Tighten()
    on: Annotated[On, Meta(description="what follows another outcome than HELD: go_on, ask or stop")] = On()


class AskStep(Value, frozen=True, tag_field="step", tag="go_no_go"):
    """A checkpoint: nothing goes on without a name that says go."""

    go_no_go: Annotated[GoNoGo, Meta(description="who is asked, and who may say no")]


class NoteStep(Value, frozen=True, tag_field="step", tag="note"):
    """People write down what they saw; the checkpoint ends with `next`."""

    note: Annotated[str, Meta(description="what people write down", min_length=1, max_length=400)]


Step = RunStep | AskStep | NoteStep


class Targets(Value, frozen=True):
    """How fast people and machines want to be; what has no stamp or check reads `not recorded`."""

    detect: Annotated[Duration | None, Meta(description="from the confirmed fault to its detection")] = None
    acknowledge: Annotated[Duration | None, Meta(description="from detection")] = None
    mitigate: Annotated[Duration | None, Meta(description="from the confirmed fault")] = None
    rto: Annotated[Duration | None, Meta(description="from the confirmed fault to the steady state")] = None
    rpo: Annotated[Duration | None, Meta(description="data lost, as time; needs `rpo_check`")] = None
    rpo_check: Annotated[str, Meta(description="the check that reads the loss: experiment#check#metric")] = ""


class Planned(Value, frozen=True):
    """One line of the agenda."""

    at: Annotated[Duration, Meta(description="after the start of the day")]
    what: Annotated[Line, Meta(description="what is done then")]


class Agenda(Value, frozen=True):
    """The planned times; at `hard_end` no further step begins and what runs is stopped."""

    hard_end: Annotated[
        Duration, Meta(description="after the start of the day: no step begins, what runs is stopped", le=86400)
    ] = 4 * 3600.0
    items: Annotated[tuple[Planned, ...], Meta(description="what is planned when, in order", max_length=50)] = ()

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        late = [n for n, one in enumerate(self.items) if one.at > self.hard_end]
        end = written("duration", self.hard_end)
        if len(late) > 1:
            last = written("duration", self.items[late[-1]].at)
            yield ("hard_end",), f"the agenda goes on until {last}, and {end} is earlier"
        elif late:
            at = written("duration", self.items[late[0]].at)
            yield ("items", late[0], "at"), f"{at} is after the hard end, which is {end}"
        for n in self._astray([n for n in range(len(self.items)) if n not in late]):
            yield (
                ("items", n, "at"),
                f"{written('duration', self.items[n].at)} is not in order; the agenda goes by time",
            )

    def _astray(self, numbers: list[int]) -> list[int]:
        """The fewest items without which the others are in order."""
        best: dict[int, list[int]] = {}
        for n in numbers:
            before = (best[m] for m in best if self.items[m].at <= self.items[n].at)
            best[n] = [*max(before, key=len, default=[]), n]
        kept = max(best.values(), key=len, default=[])
        return [n for n in numbers if n not in kept]


class Actions(Value, frozen=True):
    """Defaults of action items."""

    due_in: Annotated[Duration, Meta(description="how long an action has", le=366 * 86400)] = 30 * 86400.0
    rerun: Annotated[
        Literal["deviated", "all", "none"], Meta(description="for which outcomes an action names the experiment")
    ] = "deviated"


Hidden = Literal["method", "run_id", "target", "experiment", "agenda"]


class Scenario(Value, frozen=True):
    """A game day: experiments in order, the people, the checkpoints between them."""

    known_roles: ClassVar[tuple[str, ...]] = ROLES

    kind: Literal["scenario/v1"]
    name: Name
    environment: Annotated[Name, Meta(description="where it takes place, unless `-e` says otherwise")]
    roles: Annotated[
        dict[Role, Person | tuple[Person, ...]],
        Meta(
            description="part -> who plays it; facilitator, operator and an abort_authority who is somebody else are"
            " needed; incident_commander, scribe and responders are known, any other is free",
            min_length=3,
            max_length=30,
        ),
    ]
    steps: Annotated[
        tuple[Step, ...], Meta(description="experiments, checkpoints and notes, in order", min_length=1, max_length=50)
    ]
    title: Annotated[str, Meta(description="what it is about, in a line", max_length=200)] = ""
    summary: Annotated[str, Meta(description="what happens in the story, for everybody", max_length=4000)] = ""
    severity_if_real: Annotated[str, Meta(description="such as SEV2", max_length=40)] = ""
    objectives: Annotated[
        dict[Role, Text], Meta(description="what we want to learn, by a short name", max_length=20)
    ] = msgspec.field(default_factory=dict)
    out_of_scope: Annotated[tuple[Line, ...], Meta(description="what is not tried on this day", max_length=20)] = ()
    accepted_risks: Annotated[tuple[Line, ...], Meta(description="what is known and taken on", max_length=20)] = ()
    approvals: Annotated[tuple[Person, ...], Meta(description="who has to say yes beforehand", max_length=20)] = ()
    checklist: Annotated[
        tuple[Line, ...], Meta(description="ticked by a name before the first fault", max_length=50)
    ] = ()
    drill: Annotated[bool, Meta(description="pull the lever once before the first fault")] = True
    targets: Annotated[Targets, Meta(description="how fast people and machines want to be")] = Targets()
    alerts: Annotated[Alerts, Meta(description="what must fire, and what must not, over the whole day")] = Alerts()
    runbooks: Annotated[
        dict[str, str], Meta(description="alert, step's name or experiment -> address", max_length=50)
    ] = msgspec.field(default_factory=dict)
    hidden: Annotated[tuple[Hidden, ...], Meta(description="what responders do not see")] = (
        "method",
        "run_id",
        "target",
        "experiment",
    )
    agenda: Annotated[Agenda, Meta(description="the planned times")] = Agenda()
    actions: Annotated[Actions, Meta(description="defaults of action items")] = Actions()

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        yield from self._miscast()
        for n, step in enumerate(self.steps):
            if isinstance(step, AskStep):
                yield from self._misasked(n, step.go_no_go)
        if not any(isinstance(step, RunStep) for step in self.steps):
            yield ("steps",), "a game day needs a step that runs an experiment: `run: FILE`"
        if self.targets.rpo is not None and not self.targets.rpo_check:
            yield ("targets", "rpo"), "say what reads the loss: `rpo_check: EXPERIMENT#CHECK#METRIC`"
        expected = [one.name for one in self.alerts.expect]
        for n, alert in enumerate(self.alerts.forbid):
            if alert in expected:
                yield ("alerts", "forbid", n), f"{spelling.shown(alert)} is expected as well; keep one of them"

    def people(self, role: str) -> tuple[str, ...]:
        """Who plays a part; empty where nobody does."""
        named = self.roles.get(role, ())
        return (named,) if isinstance(named, str) else tuple(named)

    def _miscast(self) -> Iterator[Where]:
        """Parts that nobody has, or that one person must not have together."""
        free = [role for role in self.roles if role not in ROLES]
        for role in NEEDED:
            if role not in self.roles:
                near = spelling.nearest(role, free)
                meant = f", and {spelling.shown(near)} is none that is known" if near else ""
                yield ("roles", near) if near else ("roles",), f"a game day needs `{role}`{meant}"
        for role in self.roles:
            if not all(name.strip() for name in self.people(role)) or not self.people(role):
                yield ("roles", role), f"nobody is named for {role}"
        operators = {_folded(name) for name in self.people("operator")}
        for name in self.people("abort_authority"):
            if _folded(name) in operators:
                why = f"{spelling.shown(name)} is the operator: whoever may stop the day must be somebody else"
                yield ("roles", "abort_authority"), why

    def _misasked(self, n: int, asked: GoNoGo) -> Iterator[Where]:
        for field, role in (("ask", asked.ask), ("unless", asked.unless)):
            if role and role not in self.roles and role not in NEEDED:  # which are missed by themselves
                yield ("steps", n, "go_no_go", field), spelling.unknown("role", role, self.roles)


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def from_builtins(value: dict[str, Any]) -> Scenario:
    """The scenario as a day keeps it. Raises msgspec.ValidationError."""
    return msgspec.convert(value, Scenario)
