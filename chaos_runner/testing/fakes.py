"""A world in memory with targets that can be harmed, and faults and probes that work on it. No socket, file or thread.

Time is anyio's, so that it can be virtual. Every answer can be scripted: `world.will("inject", LOST_REPLY)`.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import weakref
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar, Literal

import anyio
import msgspec

from chaos_runner.api import (
    Absent,
    Doubt,
    Env,
    Metric,
    Observation,
    Present,
    Proof,
    Reading,
    Refused,
    Rights,
    SampleStream,
    Undo,
    Unknown,
    Unreadable,
)
from chaos_runner.environment import Environment
from chaos_runner.expect import Clause, Rate, percentile
from chaos_runner.model import Pick, Value
from chaos_runner.records import ClauseCount, Sample, Target

SERVICE = "fake-world"
Operation = Literal["targets", "prepare", "inject", "observe", "revert", "fence", "unfence", "lease", "effect", "read"]


class Reply(msgspec.Struct, frozen=True):
    """How the world answers one request: whether and when it lands, and what the asker learns and when."""

    lands: bool = True
    error: Literal["", "refused", "doubt", "bug"] = ""
    why: str = "as scripted"
    wait_s: float = 0.0  # before answering
    late_s: float = 0.0  # lands so long after the answer


FINE = Reply()
REFUSED = Reply(lands=False, error="refused")
LOST_REPLY = Reply(error="doubt", why="the reply was lost")
LOST_REQUEST = Reply(lands=False, error="doubt", why="no reply")
HANGS = Reply(lands=False, wait_s=math.inf)
LANDS_AND_HANGS = Reply(wait_s=math.inf)


def late(seconds: float) -> Reply:
    """The asker hears nothing, and the request lands so much later."""
    return Reply(error="doubt", why="no reply yet", late_s=seconds)


def slow(seconds: float) -> Reply:
    """All is well, after a while."""
    return Reply(wait_s=seconds)


class FakeWorld:
    """Targets by key, the harm on them, and a script of answers.

    `harm` maps (target key, place) to the mark that did it; `foreign` is what belongs to somebody else; `asked` logs
    (time, operation, target key). `reading` is what probes see; by default bad while anything is harmed.
    """

    _all: ClassVar[weakref.WeakValueDictionary[str, FakeWorld]] = weakref.WeakValueDictionary()
    _ids: ClassVar[itertools.count[int]] = itertools.count()

    def __init__(self, *names: str, leases: bool = False, traffic: bool = True) -> None:
        self.targets = [Target(key=f"fake/{name}") for name in names or ("one",)]
        self.harm: dict[tuple[str, str], str] = {}
        self.gone: set[str] = set()
        self.fences: set[str] = set()
        self.foreign: dict[str, str] = {}
        self.leases: dict[str, float] = {}
        self.knows_leases = leases
        self.traffic = traffic
        self.asked: list[tuple[float, Operation, str]] = []
        self.reading: Callable[[str, float], Reading | Unknown] = self._well_unless_harmed
        self._script: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self._always: dict[str, Reply] = {}
        self._late: list[tuple[float, Callable[[], None]]] = []
        self.id = f"world-{next(self._ids)}"
        self._all[self.id] = self

    def environment(self) -> Environment:
        """An environment that leads here."""
        return Environment(services={SERVICE: self.id})

    def env(self, name: str = "fake") -> Env:
        """Its connections."""
        return Env(name, self.environment())

    @classmethod
    def of(cls, env: Env) -> FakeWorld:
        """The world that an environment leads to."""
        return cls._all[env.address(SERVICE)]

    def will(self, operation: Operation, *replies: Reply) -> None:
        """The next requests of this kind are answered so, one after the other; later ones are fine again."""
        self._script[operation].extend(replies)

    def always(self, operation: Operation, reply: Reply) -> None:
        """Every request of this kind is answered so, once the script is used up."""
        self._always[operation] = reply

    def count(self, operation: Operation) -> int:
        """How many requests of this kind came."""
        return sum(1 for _t, asked, _key in self.asked if asked == operation)

    @property
    def broken(self) -> bool:
        """Whether anything is harmed now."""
        self.settle()
        return bool(self.harm or self.gone)

    def settle(self) -> None:
        """Lets land what is due, and lapse what nobody renewed."""
        now = anyio.current_time()
        due = [deed for t, deed in self._late if t <= now]
        self._late = [(t, deed) for t, deed in self._late if t > now]
        for deed in due:
            with contextlib.suppress(Refused):
                deed()
        for run in [run for run, end in self.leases.items() if end <= now]:
            del self.leases[run]
            self.harm = {place: mark for place, mark in self.harm.items() if mark.split(".")[1] != run}

    async def ask(self, operation: Operation, key: str, deed: Callable[[], None] = lambda: None) -> None:
        """One request: `deed` lands, or not, and the asker hears what the script says."""
        self.settle()
        self.asked.append((anyio.current_time(), operation, key))
        script = self._script[operation]
        reply = script.popleft() if script else self._always.get(operation, FINE)
        await anyio.lowlevel.checkpoint()
        if reply.lands and reply.late_s:
            self.later(reply.wait_s + reply.late_s, deed)
        elif reply.lands and not reply.error:
            deed()
        elif reply.lands:
            with contextlib.suppress(Refused):
                deed()
        await self._answer(reply)

    def later(self, seconds: float, deed: Callable[[], None]) -> None:
        """Lets something happen by itself, once time has passed."""
        self._late.append((anyio.current_time() + seconds, deed))

    async def _answer(self, reply: Reply) -> None:
        if reply.wait_s:
            await (anyio.sleep_forever() if math.isinf(reply.wait_s) else anyio.sleep(reply.wait_s))
        match reply.error:
            case "refused":
                raise Refused(reply.why)
            case "doubt":
                raise Doubt(reply.why)
            case "bug":
                raise RuntimeError(reply.why)
            case _:
                return

    def do(self, undo: Undo, place: str) -> None:
        """The harm lands; a name or a place that is taken refuses it."""
        at = (undo.target.key, place)
        if undo.mark in self.fences or at in self.harm:
            raise Refused(f"{undo.target.key}: {place} is taken")
        self.harm[at] = undo.mark

    def take_back(self, undo: Undo, place: str) -> None:
        """The harm of this mark is gone."""
        if self.harm.get((undo.target.key, place)) == undo.mark:
            del self.harm[undo.target.key, place]

    def _well_unless_harmed(self, _name: str, _t: float) -> Reading:
        bad = self.broken
        seconds = 2.0 if bad else 0.05
        return Reading({"success": not bad, "value": 0.0 if bad else 1.0}, latency_s=seconds)

    async def state(self) -> Any:
        """All there is, to compare with: this is a `World` of the conformance check."""
        self.settle()
        return (dict(self.harm), set(self.gone), set(self.fences), dict(self.foreign))

    async def disturb(self) -> None:
        """Somebody else puts something on a target."""
        self.foreign[self.targets[0].key] = "somebody else's"


class FakeSelector(Value, frozen=True, kw_only=True):
    """One target by name, or all of them."""

    name: str = ""
    pick: Pick = Pick(number=1)


class PlainFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Harms a target of a FakeWorld, and has no further abilities."""

    kind: ClassVar[str] = "fake_plain"
    version: ClassVar[int] = 1
    reversible: ClassVar[bool] = True
    selector: ClassVar[type[msgspec.Struct]] = FakeSelector

    place: str = "harm"
    allowed: bool = True

    def aspect(self) -> str:
        """The place."""
        return self.place

    async def targets(self, env: Env, selector: FakeSelector) -> tuple[Target, ...]:
        """The targets of that name, or all."""
        world = FakeWorld.of(env)
        await world.ask("targets", "")
        found = tuple(one for one in sorted(world.targets) if selector.name in {"", one.name})
        if selector.name and not found:
            raise Refused(f"there is no target '{selector.name}'")
        return found

    async def rights(self, env: Env, target: Target) -> Rights:
        """As the field says."""
        return Rights(self.allowed, "" if self.allowed else "not allowed here")

    async def prepare(self, env: Env, target: Target, mark: str) -> Undo:
        """Nothing is needed but the mark."""
        world = FakeWorld.of(env)
        await world.ask("prepare", target.key)
        if (target.key, self.place) in world.harm or target.key in world.gone:
            raise Refused(f"{target.key} is harmed already")
        return Undo(kind=self.kind, version=self.version, mark=mark, target=target, params=msgspec.to_builtins(self))

    async def inject(self, env: Env, undo: Undo) -> None:
        """Harms."""
        world = FakeWorld.of(env)
        await world.ask("inject", undo.target.key, lambda: world.do(undo, self.place))

    async def observe(self, env: Env, undo: Undo) -> Observation:
        """Looks."""
        world = FakeWorld.of(env)
        try:
            await world.ask("observe", undo.target.key)
        except (Refused, Doubt) as why:
            return Unreadable(str(why))
        return Present() if world.harm.get((undo.target.key, self.place)) == undo.mark else Absent()

    async def revert(self, env: Env, undo: Undo) -> None:
        """Heals."""
        world = FakeWorld.of(env)
        await world.ask("revert", undo.target.key, lambda: world.take_back(undo, self.place))


class FakeFault(PlainFault, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Harms a target of a FakeWorld; can be fenced, leased, confirmed and scanned for."""

    kind: ClassVar[str] = "fake"

    async def fence(self, env: Env, undo: Undo) -> None:
        """Occupies the mark."""
        world = FakeWorld.of(env)
        await world.ask("fence", undo.target.key, lambda: world.fences.add(undo.mark))

    async def unfence(self, env: Env, undo: Undo) -> None:
        """Gives the mark free."""
        world = FakeWorld.of(env)
        await world.ask("unfence", undo.target.key, lambda: world.fences.discard(undo.mark))

    async def leasable(self, env: Env) -> bool:
        """As the world was made."""
        return FakeWorld.of(env).knows_leases

    async def lease(self, env: Env, undo: Undo, ttl_s: float) -> bool:
        """Makes or renews the run's lease."""
        world = FakeWorld.of(env)
        if world.knows_leases:
            end = anyio.current_time() + ttl_s
            await world.ask("lease", undo.target.key, lambda: world.leases.update({undo.run: end}))
        return world.knows_leases

    async def leased(self, env: Env, undo: Undo) -> bool:
        """Whether it lives."""
        world = FakeWorld.of(env)
        world.settle()
        return undo.run in world.leases

    async def release(self, env: Env, undo: Undo) -> None:
        """Ends it."""
        FakeWorld.of(env).leases.pop(undo.run, None)

    async def before(self, env: Env, undo: Undo) -> dict[str, float]:
        """A figure to compare with, where there is traffic at all."""
        return {"affected": 0.0} if FakeWorld.of(env).traffic else {}

    async def effect(self, env: Env, undo: Undo, before: dict[str, float]) -> Proof | None:
        """Traffic that was hit."""
        world = FakeWorld.of(env)
        await world.ask("effect", undo.target.key)
        if not world.traffic or world.harm.get((undo.target.key, self.place)) != undo.mark:
            return None
        return Proof(how="counters", evidence="1 stream was affected", figures={"affected": 1.0})

    async def leftovers(self, env: Env) -> tuple[Undo, ...]:
        """Every harm, by its mark."""
        return tuple(
            Undo(kind=self.kind, version=self.version, mark=mark, target=Target(key), params={"place": place})
            for (key, place), mark in sorted(FakeWorld.of(env).harm.items())
        )


class FakeKill(PlainFault, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Makes a target go away for good; `replaced_after` seconds later something takes its place."""

    kind: ClassVar[str] = "fake_kill"
    reversible: ClassVar[bool] = False

    replaced_after: float = 5.0

    async def inject(self, env: Env, undo: Undo) -> None:
        """Kills."""
        world = FakeWorld.of(env)

        def replace() -> None:
            world.gone.discard(undo.target.key)

        def kill() -> None:
            world.gone.add(undo.target.key)
            world.later(self.replaced_after, replace)

        await world.ask("inject", undo.target.key, kill)

    async def observe(self, env: Env, undo: Undo) -> Observation:
        """Whether it is gone: the one that took its place is another one."""
        world = FakeWorld.of(env)
        try:
            await world.ask("observe", undo.target.key)
        except (Refused, Doubt) as why:
            return Unreadable(str(why))
        return (
            Present()
            if any(asked == "inject" for _t, asked, key in world.asked if key == undo.target.key)
            else Absent()
        )

    async def revert(self, env: Env, undo: Undo) -> None:
        """Nothing."""

    async def replaced(self, env: Env, undo: Undo) -> str:
        """What took its place."""
        world = FakeWorld.of(env)
        world.settle()
        return "" if undo.target.key in world.gone else f"{undo.target.key} again"


class FakeProbe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Reads what `world.reading(name, time)` says; with a `rate` as a stream of whole ticks."""

    kind: ClassVar[str] = "fake"

    name: str = "shop"
    rate: Rate | None = None

    def metrics(self) -> tuple[Metric, ...]:
        """Events, and one gauge."""
        return (
            Metric("success", "event", "percent", "whether it was well"),
            Metric("pNN", "event", "duration", "how long it took"),
            Metric("value", "gauge", "any", "a value"),
        )

    def reads(self, env: Env) -> str:
        """Its name."""
        return f"fake {self.name}"

    async def read(self, env: Env) -> Reading:
        """One reading."""
        world = FakeWorld.of(env)
        try:
            await world.ask("read", self.name)
        except (Refused, Doubt) as why:
            raise Unknown(str(why)) from None
        said = world.reading(self.name, anyio.current_time())
        if isinstance(said, Unknown):
            raise said
        return said

    def streaming(self) -> bool:
        """With a rate."""
        return self.rate is not None

    def events_per_second(self) -> float:
        """The rate."""
        return self.rate or 0.0

    def lag_s(self, clause: Clause) -> float:
        """None: a tick is known as soon as it is over."""
        return 0.0

    @contextlib.asynccontextmanager
    async def stream(
        self, env: Env, check: str, clauses: tuple[Clause, ...], t0_ns: int
    ) -> AsyncIterator[SampleStream]:
        """Samples of every whole second since t0."""
        yield FakeStream(self, FakeWorld.of(env), check, clauses, t0_ns / 1e9)


class FakeStream:
    """Whole ticks, each judged by what the world says when it is first looked at."""

    def __init__(self, probe: FakeProbe, world: FakeWorld, check: str, clauses: tuple[Clause, ...], t0: float) -> None:
        self._probe, self._world, self._check, self._clauses, self._t0 = probe, world, check, clauses, t0
        self._next = 0
        self.beats = 0

    def take(self) -> tuple[Sample, ...]:
        """The ticks that are over."""
        over = math.floor(anyio.current_time() - self._t0 + 1e-9)
        fresh = tuple(self._sample(n) for n in range(self._next, over))
        self._next = max(self._next, over)
        return fresh

    def _sample(self, n: int) -> Sample:
        said = self._world.reading(self._probe.name, self._t0 + n)
        events = max(1, round(self._probe.events_per_second()))
        counts = tuple(self._count(m, clause, said, events) for m, clause in enumerate(self._clauses))
        return Sample(check=self._check, tick=n, counts=counts, scheduled=events)

    def _count(self, n: int, clause: Clause, said: Reading | Unknown, events: int) -> ClauseCount:
        if isinstance(said, Unknown):
            return ClauseCount(n, 0, 0, events)
        if percentile(clause.metric) is None:
            good = said.values["success"] is True
        else:
            limit = clause.value if isinstance(clause.value, float) else 0.0
            good = said.latency_s is not None and said.latency_s <= limit
        return ClauseCount(n, events if good else 0, 0 if good else events, 0)

    async def beat(self) -> None:
        """Counts."""
        self.beats += 1

    async def finish(self) -> tuple[Sample, ...]:
        """The rest."""
        return self.take()
