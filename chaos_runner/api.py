"""What a plug-in author reads: Fault, Probe, Notifier, Renderer, and the words they answer with. No IO here.

A plug-in is one file, one entry-point line and one test file that calls the conformance check of
`chaos_runner.testing`. Faults and probes are frozen msgspec Structs whose fields are the YAML keys under `with:`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import msgspec

from chaos_runner.alerts import Heard
from chaos_runner.environment import Environment
from chaos_runner.expect import Clause, percentile
from chaos_runner.history import Run
from chaos_runner.plan import Limit, Part
from chaos_runner.records import Entry, Sample, Target

LEASE_TTL_S = 5.0  # how long a target keeps a fault whose lease nobody renews


class Doubt(Exception):
    """It cannot be told whether a request took effect (lost reply, 5xx, timeout); it is treated as done."""


class Refused(Exception):
    """A definite no, in a sentence: the target answered, and nothing was changed."""


class Unknown(Exception):
    """A probe has no valid answer; the sentence says why. Unknown is never ok."""


class Undo(msgspec.Struct, frozen=True):
    """All that inject and revert need, in any process, as plain JSON: data, never code.

    `params` are the fault's own fields, `before` what the target looked like, `mark` names the run on the target.
    """

    kind: str
    version: int
    mark: str
    target: Target
    params: dict[str, Any]
    before: dict[str, Any] = {}

    @property
    def run(self) -> str:
        """The run id inside the mark `cx.<run>.<n>.<expiry>`."""
        return self.mark.split(".")[1]


class Present(msgspec.Struct, frozen=True):
    """The fault is on the target, as injected."""

    why: str = ""


class Absent(msgspec.Struct, frozen=True):
    """The fault is not on the target, and our fields are what they were; `drift` names changes by others.

    Where nothing can be read back and only the undo's own word says so, it is not `verified`: such a run is no HELD
    for a pipeline.
    """

    drift: str = ""
    verified: bool = True


class Drifted(msgspec.Struct, frozen=True):
    """Something of ours is there but not as injected: somebody else changed it."""

    why: str


class Unreadable(msgspec.Struct, frozen=True):
    """The target does not answer, or not in words we understand."""

    why: str


Observation = Present | Absent | Drifted | Unreadable


class Rights(msgspec.Struct, frozen=True):
    """Whether both the deed and its undo are allowed; `why` is a sentence when not.

    `note` is what people should know beforehand that the fault's name does not say; `plan` prints it.
    """

    allowed: bool = True
    why: str = ""
    note: str = ""


class Proof(msgspec.Struct, frozen=True):
    """The effect of a fault, measured; `evidence` is a sentence with figures."""

    how: Literal["counters", "exchange"]
    evidence: str
    figures: dict[str, float] = {}


class Env:
    """The connections of one environment for one process, opened when first asked for and closed together.

    `secrets` maps a reference to its resolved value; nothing here is ever written down.
    """

    def __init__(self, name: str, environment: Environment, secrets: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.environment = environment
        self._secrets = dict(secrets or {})
        self._opened: dict[str, Any] = {}
        self._lock: Any = None
        self._closers = contextlib.AsyncExitStack()

    def secret(self, reference: str) -> str:
        """The resolved value. Raises Refused naming the reference when it was not resolved."""
        if reference not in self._secrets:
            msg = f"the secret {reference} is not resolved"
            raise Refused(msg)
        return self._secrets[reference]

    def address(self, service: str) -> str:
        """The address of a service of this environment. Raises Refused naming the known ones."""
        if service not in self.environment.services:
            known = ", ".join(sorted(self.environment.services)) or "none"
            msg = f"environment '{self.name}' has no service '{service}'; it has: {known}"
            raise Refused(msg)
        return self.environment.services[service]

    async def opened(
        self, key: str, opener: Callable[[Env], Awaitable[contextlib.AbstractAsyncContextManager[Any]]]
    ) -> Any:
        """The connection under `key`, opened once."""
        import anyio  # here, so that reading a file costs no event loop

        self._lock = self._lock or anyio.Lock()
        async with self._lock:
            if key not in self._opened:
                self._opened[key] = await self._closers.enter_async_context(await opener(self))
            return self._opened[key]

    async def aclose(self) -> None:
        """Closes every connection."""
        self._opened.clear()
        await self._closers.aclose()


class Fault(Protocol):
    """A kind of harm that knows how to undo itself.

    `selector` is the Struct that `target:` must fit. All methods are bounded in time by their client; each raises
    Refused for a definite no and Doubt when it cannot tell, and lets no other error out.
    """

    kind: ClassVar[str]
    version: ClassVar[int]
    reversible: ClassVar[bool]
    selector: ClassVar[type[msgspec.Struct]]

    def aspect(self) -> str:
        """The place on a target that this fault occupies; toxics: `toxic:<stream>:<type>`."""
        ...

    async def targets(self, env: Env, selector: Any) -> tuple[Target, ...]:
        """Everything that matches, in a stable order; reads only."""
        ...

    async def rights(self, env: Env, target: Target) -> Rights:
        """Whether forward and inverse are allowed; reads only."""
        ...

    async def prepare(self, env: Env, target: Target, mark: str) -> Undo:
        """All that inject and revert need; reads only. Raises Refused when the target is already harmed."""
        ...

    async def inject(self, env: Env, undo: Undo) -> None:
        """Does the harm: one request, no retries."""
        ...

    async def observe(self, env: Env, undo: Undo) -> Observation:
        """What is on the target now, by a fresh read."""
        ...

    async def revert(self, env: Env, undo: Undo) -> None:
        """Takes the harm back. Safe to repeat, in any process, also when nothing was injected."""
        ...


@runtime_checkable
class Confirms(Protocol):
    """A fault that can measure its own effect."""

    async def before(self, env: Env, undo: Undo) -> dict[str, float]:
        """Figures read before injecting, to compare with."""
        ...

    async def effect(self, env: Env, undo: Undo, before: dict[str, float]) -> Proof | None:
        """The effect so far, or None while nothing shows it; read once a tick."""
        ...


@runtime_checkable
class Fences(Protocol):
    """A fault whose place on the target can be occupied, so that a late request cannot land."""

    async def fence(self, env: Env, undo: Undo) -> None:
        """Occupies the name; safe to repeat."""
        ...

    async def unfence(self, env: Env, undo: Undo) -> None:
        """Gives the name free; safe to repeat."""
        ...


@runtime_checkable
class Lasting(Protocol):
    """A fault whose undo may take longer than one request: how long one attempt may take."""

    def undo_limit_s(self, undo: Undo) -> float:
        """Seconds for one attempt to revert; bounded by the fault itself."""
        ...


@runtime_checkable
class Leases(Protocol):
    """A fault whose target can undo it by itself when nobody renews a lease."""

    async def leasable(self, env: Env) -> bool:
        """Whether the target knows leases; reads only."""
        ...

    async def lease(self, env: Env, undo: Undo, ttl_s: float) -> bool:
        """Makes or renews the lease of this run at the target; False where the target knows no leases."""
        ...

    async def leased(self, env: Env, undo: Undo) -> bool:
        """Whether somebody keeps this run's lease alive now; reads only."""
        ...

    async def release(self, env: Env, undo: Undo) -> None:
        """Ends the lease of this run; called once all its faults are closed."""
        ...


@runtime_checkable
class Reaches(Protocol):
    """A kind of fault that acts through an endpoint of the environment; the guardian tries it before anything is done.

    Asked of the kind, not of one fault.
    """

    def endpoint(self, env: Env) -> str:
        """Its address; empty where the environment has none. Reads nothing."""
        ...

    async def reach(self, env: Env) -> None:
        """One read, with the rights and over the connection that an undo will use. Raises Refused or Doubt."""
        ...


@runtime_checkable
class Scans(Protocol):
    """A fault whose leftovers can be found by their marks when the ledger is lost."""

    async def leftovers(self, env: Env) -> tuple[Undo, ...]:
        """Everything on this environment's targets that carries a mark of ours."""
        ...


@runtime_checkable
class Replaces(Protocol):
    """An irreversible fault that knows when something took the target's place."""

    async def replaced(self, env: Env, undo: Undo) -> str:
        """What took its place, or an empty string so far."""
        ...


class Bounds(msgspec.Struct, frozen=True):
    """Targets that are not free of each other: how many may be harmed together, and what is harmed with one of them."""

    targets: tuple[Target, ...]
    limits: tuple[Limit, ...] = ()
    parts: dict[str, tuple[Part, ...]] = {}  # target key -> what comes with it


@runtime_checkable
class Bounded(Protocol):
    """A fault whose targets share something: a quorum, a budget, what must stay available (`keep`: name -> least)."""

    async def bounded(self, env: Env, selector: Any, keep: Mapping[str, int]) -> Bounds:
        """What `targets` finds, with its limits; reads only. Raises Refused for a name in `keep` that is nothing."""
        ...

    async def no_room(self, env: Env, target: Target, keep: Mapping[str, int]) -> str:
        """Why this target must not be harmed now, as a sentence; empty where it may. Read right before the harm."""
        ...


class Metric(msgspec.Struct, frozen=True):
    """Something a clause may name. Event metrics count good and bad events, gauges have one value a sample.

    A `name` that ends in a dot stands for every metric with that prefix; `pNN` for every percentile.
    """

    name: str
    kind: Literal["event", "gauge"]
    unit: Literal["duration", "percent", "number", "text", "any"]
    doc: str

    def covers(self, name: str) -> bool:
        """Whether a clause's metric is this one."""
        if self.name == "pNN":
            return percentile(name) is not None
        return name.startswith(self.name) if self.name.endswith(".") else name == self.name


class Reading(msgspec.Struct, frozen=True):
    """What a probe read: gauge values, and for event metrics whether the one event was good."""

    values: dict[str, Any]
    latency_s: float | None = None
    unknown: dict[str, str] = {}  # metric -> why it is not among the values


class Probe(Protocol):
    """Reads something and never changes it."""

    kind: ClassVar[str]

    def metrics(self) -> tuple[Metric, ...]:
        """What its clauses may name, given its fields."""
        ...

    def reads(self, env: Env) -> str:
        """What it reads, for `plan`: an address or a name. Raises Refused when the environment lacks it."""
        ...

    async def read(self, env: Env) -> Reading:
        """One sample. Raises Unknown for named I/O and parse errors; any other error is our bug."""
        ...


@runtime_checkable
class Follows(Protocol):
    """A probe that keeps up with what it reads between two samples."""

    def following(self, env: Env) -> contextlib.AbstractAsyncContextManager[None]:
        """Follows for as long as the block runs. Does not wait, and raises nothing: `read` tells what is wrong."""
        ...


@runtime_checkable
class Asks(Protocol):
    """A probe whose question can be wrong by itself, which whoever answers knows beforehand."""

    async def understood(self, env: Env) -> None:
        """Asks whether the question is understood; reads only. Raises Refused in a sentence, or Doubt."""
        ...


@runtime_checkable
class Secretive(Protocol):
    """A probe whose fields name secrets."""

    def secrets(self) -> tuple[str, ...]:
        """The references, such as env:TOKEN."""
        ...


class SampleStream(Protocol):
    """The samples of a probe that runs by itself."""

    def take(self) -> tuple[Sample, ...]:
        """What has come since the last call, without waiting."""
        ...

    async def beat(self) -> None:
        """Tells it that the control loop is alive."""
        ...

    async def finish(self) -> tuple[Sample, ...]:
        """Stops sending, waits within its limit for what is under way, and returns the last samples."""
        ...


@runtime_checkable
class Streams(Protocol):
    """A probe that can measure in a process of its own."""

    def streaming(self) -> bool:
        """Whether these fields ask for it."""
        ...

    def events_per_second(self) -> float:
        """How many events each clause will have."""
        ...

    def lag_s(self, clause: Clause) -> float:
        """How long after its tick a sample of this clause can still come."""
        ...

    def stream(
        self, env: Env, check: str, clauses: tuple[Clause, ...], t0_ns: int
    ) -> contextlib.AbstractAsyncContextManager[SampleStream]:
        """Begins to measure; `t0_ns` of CLOCK_MONOTONIC is the start of tick 0."""
        ...


class AlertSource(Protocol):
    """Where alerts are read."""

    async def heard(self, env: Env) -> Heard:
        """What is there now of the alerts it was made for. Raises Refused or Doubt."""
        ...


class Notifier(Protocol):
    """Sends word of a run's end; knows only how to send once. A frozen Struct of one field, the file's reference."""

    kind: ClassVar[str]

    async def send(self, env: Env, run: Run) -> None:
        """One attempt. Raises Doubt when it failed and may be tried again, Refused when not."""
        ...


class Notice(msgspec.Struct, frozen=True):
    """What is about to happen: whom it hits, by when it is undone at the latest (Unix time), and how to stop it."""

    run: str
    experiment: str
    environment: str
    hypothesis: str
    targets: tuple[str, ...]
    undone_by: float
    halt: str
    actor: str = ""


@runtime_checkable
class Announces(Protocol):
    """A notifier that also says what is about to happen, before the first injection."""

    async def announce(self, env: Env, notice: Notice) -> None:
        """One attempt. Raises Doubt when it failed and may be tried again, Refused when not."""
        ...


Renderer = Callable[[Run, list[Entry], list[Sample]], bytes]
"""A report format: a pure function of the records and samples; the same input gives the same bytes."""
