"""The frozen types an experiment, and the operator's configuration, are made of. No IO.

Field names are the YAML keys; values are in base units (seconds, shares, bytes). The loader reports problems with
positions; these types state the shapes, the limits and the words that `schema` and `explain` print.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from chaos_runner import spelling
from chaos_runner.expect import Clause, Duration, Percent, written

Name = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
Text = Annotated[str, Meta(min_length=1, max_length=4000)]
Count = Annotated[int, Meta(ge=1, le=10_000)]
SecretRef = Annotated[str, Meta(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$", max_length=4096)]
Address = Annotated[  # urlsplit would drop a tab or a line break without a word
    str, Meta(pattern=r"^[^\s\x00-\x1f\x7f-\x9f]+$", max_length=2000, description="an address without blanks")
]
Where = tuple[tuple[str | int, ...], str]  # a path below the value, and a sentence


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A frozen value of a file; unknown keys are errors."""


class Check(Value, frozen=True, kw_only=True):
    """A probe with expectations; each expectation comes out ok, violated or unknown."""

    overridable: ClassVar[tuple[str, ...]] = ("expect", "during")  # what may stand beside `use: FILE#NAME`

    probe: Annotated[str, Meta(description="the kind of probe that reads")]
    title: Annotated[str, Meta(description="what the check says, in a sentence", max_length=200)] = ""
    with_: Annotated[dict[str, Any], Meta(description="the probe's own fields; see `explain PROBE`")] = msgspec.field(
        name="with", default_factory=dict
    )
    expect: Annotated[tuple[Clause, ...], Meta(description="clauses that must hold", min_length=1, max_length=20)]
    during: Annotated[
        tuple[Clause, ...],
        Meta(
            description="clauses that replace `expect` while a fault is open: what the fault itself breaks",
            max_length=20,
        ),
    ] = ()
    interval: Annotated[
        Duration, Meta(description="time between two samples of a probe that reads once a sample", ge=0.2)
    ] = 1.0

    def clauses(self) -> tuple[Clause, ...]:
        """Every clause once: those of `expect`, then those that only `during` has. Samples count in this order."""
        return self.expect + tuple(clause for clause in self.during if clause not in self.expect)

    def judged(self, fault_open: bool) -> tuple[int, ...]:
        """The indices into `clauses()` that decide now."""
        chosen = self.during if fault_open and self.during else self.expect
        every = self.clauses()
        return tuple(every.index(clause) for clause in chosen)


class BlastRadius(Value, frozen=True):
    """Which and how many targets may be touched, for how long, and what must stay available."""

    at_once: Annotated[Count, Meta(description="targets with an open fault at the same time")] = 1
    in_total: Annotated[Count, Meta(description="targets over the whole run")] = 1
    percent_of_selector: Annotated[
        int, Meta(ge=1, le=100, description="share of what a selector matches, in percent; rounded down")
    ] = 100
    keep_available: Annotated[
        dict[str, Count], Meta(description="what must stay available, with its least number")
    ] = {}
    max_duration: Annotated[
        Duration, Meta(description="no fault of this run lives longer, whatever happens", le=86400)
    ] = 120.0

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        if self.in_total < self.at_once:
            yield ("at_once",), f"{self.at_once} at once is more than {self.in_total} in total"


class CheckAbort(Value, frozen=True):
    """Another patience for one check."""

    check: str
    violated_for: Annotated[Duration, Meta(description="how long a clause of this check must be violated", ge=1)]


class ErrorBudget(Value, frozen=True):
    """Abort once this run has spent a stated part of an SLO's error budget."""

    check: str
    slo: Annotated[Percent, Meta(description="the objective, such as 99.9%", lt=1)]
    over: Annotated[Duration, Meta(description="the objective's period, such as 30d")]
    spend: Annotated[Percent, Meta(description="the part of the period's budget this run may spend, such as 2%", le=1)]


class Abort(Value, frozen=True):
    """When to stop early. Blindness, levers and the deadline are always on."""

    violated_for: Annotated[Duration, Meta(description="how long a clause must be violated", le=3600, ge=1)] = 5.0
    per_check: Annotated[tuple[CheckAbort, ...], Meta(max_length=50)] = ()
    error_budget: ErrorBudget | None = None

    def patience(self, check: str) -> float:
        """Seconds a clause of this check must be violated."""
        return next((own.violated_for for own in self.per_check if own.check == check), self.violated_for)


AlertRef = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=400,
        description="an alert's name, or labels: `DataLoss`, `severity=page`, `alertname=DataLoss,team=shop`",
    ),
]


class ExpectedAlert(Value, frozen=True):
    """An alert that must fire within a time after the fault was confirmed."""

    name: AlertRef
    within: Annotated[Duration, Meta(description="counted from when the first fault was confirmed", gt=0, le=86400)]


class Alerts(Value, frozen=True):
    """Alerts that must fire, and alerts that must not; judged at the end."""

    expect: Annotated[tuple[ExpectedAlert, ...], Meta(max_length=20)] = ()
    forbid: Annotated[tuple[AlertRef, ...], Meta(max_length=20)] = ()

    def wanted(self) -> tuple[str, ...]:
        """Every alert that is looked for, each once."""
        return tuple(dict.fromkeys((*(one.name for one in self.expect), *self.forbid)))


class Pick(msgspec.Struct, frozen=True):
    """How many of the matching targets: a number, or a share that is rounded down."""

    written: ClassVar[str] = "a number or a percentage"

    number: int = 0
    share: float = 0.0

    def __str__(self) -> str:
        """As an author writes it."""
        return written("percent", self.share) if self.share else str(self.number)


class Confirmation(msgspec.Struct, frozen=True):
    """What shows that a fault took effect: a check's metric that rises or falls by a value, or `read-back`."""

    text: str
    check: str = ""
    metric: str = ""
    direction: Literal["rises", "falls", ""] = ""
    by: float = 0.0


class FaultStep(Value, frozen=True, tag_field="step", tag="fault"):
    """One fault on some targets, for a time."""

    fault: Annotated[str, Meta(description="the kind of fault")]
    name: Annotated[str, Meta(description="what happens, in a sentence", max_length=200)] = ""
    target: Annotated[dict[str, Any], Meta(description="which targets; the keys depend on the kind")] = {}
    with_: Annotated[dict[str, Any], Meta(description="the fault's own fields; see `explain FAULT`")] = msgspec.field(
        name="with", default_factory=dict
    )
    for_: Annotated[Duration, Meta(description="how long the fault stays (irreversible: how long to watch)", ge=1)] = (
        msgspec.field(name="for", default=30.0)
    )
    confirm: Annotated[tuple[Confirmation, ...], Meta(description="what shows the effect", max_length=10)] = ()


class PauseStep(Value, frozen=True, tag_field="step", tag="pause"):
    """Nothing happens for a while; the checks go on."""

    pause: Annotated[Duration, Meta(description="for how long", le=86400)]


class ParallelStep(Value, frozen=True, tag_field="step", tag="parallel"):
    """Steps that overlap; each counts in `at_once`."""

    parallel: Annotated[tuple[FaultStep, ...], Meta(min_length=1, max_length=20)]
    name: str = ""


Step = FaultStep | PauseStep | ParallelStep


class Recovery(Value, frozen=True):
    """How soon the system must be well again after the faults are gone."""

    within: Annotated[Duration, Meta(description="the time it may take", le=86400)] = 60.0


class Experiment(Value, frozen=True):
    """One file: hypothesis, steady state, blast radius, abort criteria, method."""

    kind: Literal["experiment/v1"]
    name: Annotated[Name, Meta(description="a short name: a-z, 0-9 and -, at most 63")]
    hypothesis: Annotated[Text, Meta(description="a sentence that can turn out false")]
    steady_state: Annotated[
        dict[Name, Check], Meta(description="the checks that say `the system is well`", min_length=1, max_length=50)
    ]
    blast_radius: BlastRadius
    method: Annotated[tuple[Step, ...], Meta(description="what is done, in order", max_length=50)]
    title: Annotated[str, Meta(max_length=200)] = ""
    owner: Annotated[str, Meta(max_length=200)] = ""
    service: Annotated[str, Meta(max_length=200)] = ""
    baseline: Annotated[Duration, Meta(description="how long to watch before the first fault", le=86400, ge=5)] = 30.0
    abort: Abort = Abort()
    alerts: Alerts | None = None
    recovery: Recovery = Recovery()

    def faults(self) -> tuple[FaultStep, ...]:
        """All fault steps in order, those inside `parallel:` included."""
        return tuple(step for _path, step in self.placed())

    def placed(self) -> Iterator[tuple[tuple[str | int, ...], FaultStep]]:
        """All fault steps in order, each with its path in the file."""
        for n, step in enumerate(self.method):
            if isinstance(step, FaultStep):
                yield ("method", n), step
            elif isinstance(step, ParallelStep):
                for lane, inner in enumerate(step.parallel):
                    yield ("method", n, "parallel", lane), inner

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        for n, own in enumerate(self.abort.per_check):
            if own.check not in self.steady_state:
                yield ("abort", "per_check", n, "check"), spelling.unknown("check", own.check, self.steady_state)
        if self.alerts is not None and self.alerts.expect and not self.faults():
            yield ("alerts", "expect"), "the method has no fault: nothing would make an alert fire"
        budget = self.abort.error_budget
        if budget is not None and budget.check not in self.steady_state:
            yield ("abort", "error_budget", "check"), spelling.unknown("check", budget.check, self.steady_state)
        most = self.blast_radius.max_duration
        for path, step in self.placed():
            if step.for_ > most:
                stays, allowed = written("duration", step.for_), written("duration", most)
                yield (*path, "for"), f"the fault would stay {stays}; blast_radius.max_duration allows {allowed}"
