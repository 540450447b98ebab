"""Where experiments may run, and what an operator allows there: the types of `environments:`. No IO."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from chaos_runner import spelling
from chaos_runner.expect import Duration, Percent
from chaos_runner.model import Address, AlertRef, Count, Name, SecretRef, Value, Where


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


class Burn(msgspec.Struct, frozen=True):
    """How fast a budget may burn: `rate` times evenly, over a long window and also over a short one."""

    written: ClassVar[str] = "14.4, 6, 3 or 1 times evenly, or a share of the budget such as 2 %/h"

    text: str
    rate: float
    long_s: float
    short_s: float


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
    burn: Annotated[
        tuple[Burn, ...],
        Meta(description="slo: allows only while its budget burns slower than each: 14.4, 2 %/h", max_length=10),
    ] = ()
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
        if self.burn and not self.slo:
            yield ("burn",), "a budget burns: name it with `slo:`"
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
    slos: Annotated[dict[Name, Slo], Meta(max_length=200, description="service level objectives by name")] = (
        msgspec.field(default_factory=dict)
    )
    services: Annotated[dict[str, Address], Meta(description="service name -> base URL or host:port")] = msgspec.field(
        default_factory=dict
    )
    processes: Annotated[dict[str, ProcessRef], Meta(description="process name -> where its pid is")] = msgspec.field(
        default_factory=dict
    )
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
