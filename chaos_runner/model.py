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


# --- what belongs to the operator --------------------------------------------------------------------------------


class Toxiproxy(Value, frozen=True):
    """A Toxiproxy server; the word `embedded` means the demo's own."""

    url: Annotated[str, Meta(pattern=r"^(embedded|https?://[^\s\x00-\x1f\x7f-\x9f]+)$", max_length=2000)]
    token: SecretRef | None = None
    http_stage: Annotated[
        str,
        Meta(
            description="this machine's address as a real Toxiproxy reaches it, such as 127.0.0.1: allows faults of"
            " single requests to lead a proxy through a process of the runner's here",
            pattern=r"^([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])?$",
            max_length=255,
        ),
    ] = ""


class Cluster(Value, frozen=True):
    """A Kubernetes cluster, bound to its uid; the word `pocket` means the pocket cluster."""

    kubeconfig: Annotated[
        str,
        Meta(
            pattern=r"^(pocket|in-cluster|env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$",
            max_length=4096,
            description="file:PATH (several as in KUBECONFIG), env:KUBECONFIG, or in-cluster",
        ),
    ]
    context: Annotated[str, Meta(max_length=253, description="the context to use; by default the current one")] = ""
    uid: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9-]*$",
            max_length=64,
            description="the uid of the namespace kube-system; nothing is done in a cluster with another one",
        ),
    ] = ""
    exec_plugins: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=1000)], ...],
        Meta(max_length=20, description="programs that the kubeconfig may run to log in, as it names them"),
    ] = ()


_URL = Annotated[str, Meta(pattern=r"^https?://[^\s\x00-\x1f\x7f-\x9f]+$", max_length=2000)]
Query = Annotated[str, Meta(min_length=1, max_length=4000, description="PromQL")]


class Prometheus(Value, frozen=True):
    """A Prometheus server, or what speaks its query API."""

    url: _URL
    token: SecretRef | None = None


class Alertmanager(Value, frozen=True):
    """An Alertmanager with its API v2."""

    url: _URL
    token: SecretRef | None = None


class AlwaysOn(Value, frozen=True):
    """An alert that always fires: while it is heard, that another one is not there means something."""

    alert: Annotated[AlertRef, Meta(description="its name, or labels")] = "Watchdog"
    heard_within: Annotated[
        Duration,
        Meta(description="how long ago Alertmanager may have heard it last; Prometheus repeats it once a minute", gt=0),
    ] = 150.0


class Ratio(Value, frozen=True):
    """Events: all of them, and the good or the bad ones. A plain selector of a counter, or PromQL with `$window`."""

    total: Query
    good: Annotated[str, Meta(max_length=4000)] = ""
    bad: Annotated[str, Meta(max_length=4000)] = ""
    counter: Annotated[bool, Meta(description="false where a plain selector's samples are counts themselves")] = True


class Threshold(Value, frozen=True):
    """A measured value that must keep to a limit; the time in which it does not is bad."""

    query: Query
    op: Literal["<=", "<", ">=", ">"]
    value: float
    slice: Annotated[Duration, Meta(description="how long a slice of time is", ge=1)] = 60.0


class Slo(Value, frozen=True):
    """A service level objective: exactly one of `ratio`, `threshold`, `openslo`."""

    service: Annotated[str, Meta(max_length=200, description="the service it belongs to; by default its own name")] = ""
    objective: Annotated[Percent, Meta(description="the share that must be good, such as 99.9%", lt=1)] = 0.0
    over: Annotated[Duration, Meta(description="the rolling period, such as 30d", ge=60, le=31_622_400)] = 2_592_000.0
    ratio: Ratio | None = None
    threshold: Threshold | None = None
    openslo: Annotated[str, Meta(max_length=4096, description="FILE#NAME of an OpenSLO v1 file")] = ""

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        if sum((self.ratio is not None, self.threshold is not None, bool(self.openslo))) != 1:
            yield (), "name exactly one of ratio, threshold, openslo"
        elif self.openslo and (self.objective or self.over != 2_592_000.0):
            yield ("openslo",), "the OpenSLO file says the objective and its period"
        elif not self.openslo and not self.objective:
            yield (), "missing key 'objective'; write one such as 99.9%"
        if self.ratio is not None and bool(self.ratio.good) == bool(self.ratio.bad):
            yield ("ratio",), "name either `good` or `bad`, beside `total`"


class Ceilings(Value, frozen=True):
    """What no experiment may exceed in this environment."""

    at_once: Count = 1
    in_total: Count = 3
    percent_of_selector: Annotated[int, Meta(ge=1, le=100)] = 100
    max_duration: Duration = 300.0
    runs_at_once: Count = 1


Layer = Literal["runner", "guardian", "lease"]


class Require(Value, frozen=True):
    """What must be there before a run may start."""

    layer: Annotated[Layer, Meta(description="the weakest acceptable undo layer")] = "guardian"
    silent_alerts: Annotated[
        tuple[AlertRef, ...], Meta(max_length=20, description="alerts that must not fire when a run starts")
    ] = ()


class ProcessRef(Value, frozen=True):
    """A process that faults and probes may name: by a pid file, or by pid and start time (clock ticks since boot)."""

    pid_file: str = ""
    pid: int = 0
    start_time: int = 0


class Signal(Value, frozen=True):
    """What is asked before each run of a schedule: exactly one thing, and whatever is no clear yes is a no.

    In an address `{service}`, `{experiment}` and `{environment}` stand for those of the run.
    """

    not_used: Annotated[str, Meta(description="why nobody is asked; kept with every decision", max_length=1000)] = ""
    url: Annotated[
        str,
        Meta(
            description='asked with GET: {"ok": true, "reason": "..."} allows; anything else is a no', max_length=2000
        ),
    ] = ""
    answers: Annotated[str, Meta(description="allows while a GET of it is answered with 2xx", max_length=2000)] = ""
    slo: Annotated[str, Meta(description="allows while enough of this SLO's error budget is left", max_length=63)] = ""
    left: Annotated[Percent, Meta(description="slo: how much must be left", le=1)] = 0.25
    query: Annotated[str, Meta(description="allows while this PromQL comes to 1", max_length=4000)] = ""
    silent: Annotated[
        tuple[AlertRef, ...],
        Meta(description="allows while none of these alerts fires, and the always-on alert is heard", max_length=20),
    ] = ()
    limit: Annotated[Duration, Meta(description="how long the answer may take", ge=0.1, le=10)] = 2.0

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        forms = ("not_used", "url", "answers", "slo", "query", "silent")
        given = [field for field in forms if getattr(self, field)]
        if len(given) != 1:
            yield (), f"say exactly one of {', '.join(forms)}"
        address = self.url or self.answers
        if address and not address.startswith(("http://", "https://")):
            yield (given[0],), f"'{address}' is not an address such as http://localhost:9000/health"


class Gates(Value, frozen=True):
    """What is asked before each run of a schedule, in this environment. One that is not configured is a no."""

    healthy: Annotated[Signal | None, Meta(description="is the service well now")] = None
    deploy: Annotated[Signal | None, Meta(description="is no deploy under way")] = None
    incident: Annotated[Signal | None, Meta(description="is there no incident, and no alert that pages")] = None
    budget: Annotated[Signal | None, Meta(description="is error budget left")] = None
    external: Annotated[Signal | None, Meta(description="whatever else has a say")] = None


class Environment(Value, frozen=True):
    """A named set of connections and ceilings that the operator owns."""

    confirm: Annotated[
        Literal["none", "type-name"], Meta(description="type-name: a person types the environment's name before a run")
    ] = "none"
    toxiproxy: Toxiproxy | None = None
    cluster: Cluster | None = None
    prometheus: Prometheus | None = None
    alertmanager: Alertmanager | None = None
    always_on: Annotated[
        AlwaysOn | None, Meta(description="the alert that always fires; without it no absence of an alert is believed")
    ] = None
    slos: Annotated[dict[Name, Slo], Meta(max_length=200, description="service level objectives by name")] = {}
    services: Annotated[dict[str, Address], Meta(description="service name -> base URL or host:port")] = {}
    processes: Annotated[dict[str, ProcessRef], Meta(description="process name -> where its pid is")] = {}
    commands: Annotated[
        tuple[str, ...], Meta(description="absolute paths of the programs that `command` faults and probes may start")
    ] = ()
    protected: Annotated[tuple[str, ...], Meta(description="targets that no experiment may touch")] = ()
    ceilings: Ceilings = Ceilings()
    require: Require = Require()
    gates: Annotated[Gates, Meta(description="what is asked before each run of a schedule")] = Gates()

    def deaf(self) -> str:
        """Why nobody could tell here that an alert does not fire, in words after its name; empty where one can."""
        if self.alertmanager is None and self.prometheus is None:
            return "has neither `alertmanager:` nor `prometheus:`: there is no source of alerts"
        if self.always_on is None:
            return "has no `always_on:` alert, such as Watchdog: that an alert is not there would mean nothing"
        return ""

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        for n, path in enumerate(self.commands):
            if not path.startswith("/"):
                yield ("commands", n), f"'{path}' is not an absolute path"
        for name in Gates.__struct_fields__:
            signal = getattr(self.gates, name)
            if signal is not None and (why := self._unasked(signal)):
                yield ("gates", name), why

    def _unasked(self, signal: Signal) -> str:
        """Why a signal has nobody to ask here."""
        if signal.slo and signal.slo not in self.slos:
            return spelling.unknown("SLO", signal.slo, self.slos)
        if (signal.slo or signal.query) and self.prometheus is None:
            return "it asks Prometheus, and this environment has no `prometheus:`"
        if signal.silent and (self.alertmanager is None or self.always_on is None):
            return "that no alert fires means something only with `alertmanager:` and `always_on:`"
        return ""


class Checks(Value, frozen=True):
    """Shared checks, for `use: FILE#NAME`."""

    kind: Literal["checks/v1"]
    checks: Annotated[dict[Name, Check], Meta(min_length=1, max_length=200)]


class Notification(Value, frozen=True):
    """Where to send word of a run's end: a kind of notifier with its one reference, and after which verdicts."""

    keyed: ClassVar[tuple[str, str]] = ("notifier", "reference")  # `webhook: env:URL`

    notifier: str
    reference: Annotated[SecretRef, Meta(description="a reference to where it goes, such as env:CHAOS_URL")]
    on: Annotated[
        tuple[Literal["before", "held", "unknown", "deviated", "aborted", "not_reverted"], ...],
        Meta(description="the verdicts; `before` is before the first injection"),
    ] = ("aborted", "not_reverted")


# --- when experiments may run on their own -----------------------------------------------------------------------

ALWAYS = "always"  # the calendar that everybody has: every day, every hour, UTC


class Days(msgspec.Struct, frozen=True):
    """Days of the week, such as mon-fri; Monday is 0."""

    written: ClassVar[str] = "days such as mon-fri or mon,wed,sat"

    text: str
    numbers: tuple[int, ...]

    def __str__(self) -> str:
        return self.text


class Hours(msgspec.Struct, frozen=True):
    """Hours of the day in minutes; an end that is not after the start is on the next day."""

    written: ClassVar[str] = "hours such as 10:00-15:00"

    start: int
    end: int

    @property
    def until(self) -> int:
        """The end in minutes after the midnight before the start."""
        return self.end if self.end > self.start else self.end + 1440

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (self.start, self.end))


class Zone(msgspec.Struct, frozen=True):
    """A time zone by its name in the tz database."""

    written: ClassVar[str] = "a zone such as Europe/Berlin, or UTC"

    name: str

    def __str__(self) -> str:
        return self.name


class Closed(msgspec.Struct, frozen=True):
    """When nothing may run: days or times of the calendar's own clock, or a file that says so."""

    written: ClassVar[str] = "a day such as 2026-12-25, 2026-12-24..2027-01-01 year's end, or file:freeze.ics"

    text: str
    file: str = ""
    start: str = ""  # local times, YYYY-MM-DDTHH:MM
    end: str = ""  # the first minute that is not closed any more
    why: str = ""


class Calendar(Value, frozen=True):
    """When experiments may run: days, hours, a time zone, and exceptions. The whole run must fit, recovery included."""

    days: Annotated[Days, Meta(description="days such as mon-fri or mon,wed,sat")]
    between: Annotated[Hours, Meta(description="hours such as 10:00-15:00; 22:00-04:00 ends on the next day")]
    timezone: Annotated[Zone, Meta(description="a zone such as Europe/Berlin, or UTC")]
    except_: Annotated[
        tuple[Closed, ...],
        Meta(
            description="holidays and freezes: days, times, or file:PATH of an iCalendar file or of YAML"
            " (`kind: closed/v1`); a file that cannot be read closes the calendar",
            max_length=1000,
        ),
    ] = msgspec.field(name="except", default=())


class ClosedDays(Value, frozen=True):
    """Holidays and freezes in a file of their own, for a calendar's `except:`."""

    kind: Literal["closed/v1"]
    closed: Annotated[tuple[Closed, ...], Meta(max_length=10_000)]


class Cron(msgspec.Struct, frozen=True):
    """When, as Debian's cron reads it; six fields begin with seconds."""

    written: ClassVar[str] = "a cron line such as '30 10 * * mon-fri'"

    text: str

    def __str__(self) -> str:
        return self.text


class Every(msgspec.Struct, frozen=True):
    """A mean time between runs in workdays: each workday a coin is thrown, then a minute is drawn."""

    written: ClassVar[str] = "a mean such as '2 workdays'"

    workdays: float

    def __str__(self) -> str:
        return f"{self.workdays:g} workday{'' if self.workdays == 1 else 's'}"


class Growth(Value, frozen=True):
    """How the blast radius grows: one step further after clean runs, one back after a failure."""

    steps: Annotated[
        tuple[Pick, ...], Meta(description="targets or shares, smallest first; then the file's own", max_length=10)
    ] = (Pick(number=1), Pick(share=0.05), Pick(share=0.25))
    clean: Annotated[Count, Meta(description="clean runs in a row before the next step")] = 3


class Schedule(Value, frozen=True):
    """When an experiment runs on its own: `cron:` or `every:`, inside a calendar."""

    experiment: Annotated[
        str, Meta(description="the experiment's file, from the folder of chaos-runner.yaml", min_length=1)
    ]
    environment: Annotated[Name, Meta(description="where; it must be armed")]
    calendar: Annotated[str, Meta(description="one of `calendars:`, or always", min_length=1, max_length=63)]
    name: Annotated[
        str,
        Meta(
            description="a short name, by default the experiment's file and the environment: a-z, 0-9 and -",
            pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$",
            max_length=127,
        ),
    ] = ""
    cron: Annotated[
        Cron | None, Meta(description="a cron line such as '30 10 * * mon-fri', in the calendar's zone")
    ] = None
    every: Annotated[Every | None, Meta(description="a mean such as '2 workdays'")] = None
    jitter: Annotated[Duration, Meta(description="at most so much later, drawn for each slot", le=43200)] = 0.0
    max_runs: Annotated[Count | None, Meta(description="runs in one window of the calendar")] = None
    min_gap: Annotated[Duration, Meta(description="between the starts of two runs", le=31 * 86400)] = 900.0
    cooldown: Annotated[
        Duration,
        Meta(description="rest after a run's end; twice as long after each failure in a row", le=31 * 86400),
    ] = 900.0
    tolerance: Annotated[Duration, Meta(description="how late a run may still start", le=86400)] = 900.0
    criticality: Annotated[
        int, Meta(description="which goes first when several could; a negative one never runs", ge=-1, le=10)
    ] = 1
    growth: Growth | None = None

    @property
    def label(self) -> str:
        """Its name, or the one made of file and environment."""
        return self.name or f"{_stem(self.experiment)}-{self.environment}"[:127].strip("-")

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        if self.cron is None and self.every is None:
            yield (), "say when: `cron: '30 10 * * mon-fri'` or `every: 2 workdays`"
        if self.cron is not None and self.every is not None:
            yield ("every",), "`cron:` and `every:` do not go together; keep one of them"
        if self.every is not None and self.jitter:
            yield ("jitter",), "`every:` draws a minute by itself; remove `jitter:`"


def _stem(path: str) -> str:
    """`experiments/slow_Payments.yaml` -> `slow-payments`."""
    stem = path.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower()
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in stem).strip("-") or "schedule"


class ScheduleFile(msgspec.Struct, frozen=True):
    """A file of schedules, or a folder of such files."""

    written: ClassVar[str] = "file:PATH of a file or folder of schedules"

    path: str


class Schedules(Value, frozen=True):
    """Schedules in a file of their own."""

    kind: Literal["schedules/v1"]
    schedules: Annotated[tuple[Schedule, ...], Meta(min_length=1, max_length=10_000)]


class Config(Value, frozen=True):
    """chaos-runner.yaml: what belongs to the operator and not to the author of an experiment."""

    kind: Literal["config/v1"]
    environments: Annotated[dict[Name, Environment], Meta(min_length=1, max_length=100)]
    notify: tuple[Notification, ...] = ()
    calendars: Annotated[dict[Name, Calendar], Meta(description="when experiments may run", max_length=1000)] = {}
    schedules: Annotated[
        tuple[Schedule | ScheduleFile, ...],
        Meta(description="what runs on its own, and when; file:PATH for more of them", max_length=10_000),
    ] = ()

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        if ALWAYS in self.calendars:
            yield ("calendars", ALWAYS), f"the calendar '{ALWAYS}' is there already: every day, every hour, UTC"
        seen: dict[str, int] = {}
        for n, one in enumerate(self.schedules):
            if isinstance(one, Schedule):
                for path, why in self.misfits(one):
                    yield ("schedules", n, *path), why
                first = seen.setdefault(one.label, n)
                if first != n:
                    yield ("schedules", n), f"schedules[{first}] is named '{one.label}' too; give one a `name:`"

    def misfits(self, schedule: Schedule) -> Iterator[Where]:
        """What a schedule names that is not here."""
        if schedule.environment not in self.environments:
            yield ("environment",), spelling.unknown("environment", schedule.environment, self.environments)
        if schedule.calendar != ALWAYS and schedule.calendar not in self.calendars:
            yield ("calendar",), spelling.unknown("calendar", schedule.calendar, [*self.calendars, ALWAYS])
