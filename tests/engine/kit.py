"""Whole runs in virtual time: the real engine, judge and store, over a world, a guardian and people made of fakes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import anyio
import msgspec
import trio
from trio.testing import MockClock

from chaos_runner import expect, planning, recover, store, wire
from chaos_runner.api import AlertSource, Env, Reading
from chaos_runner.clock import Clock, nursery
from chaos_runner.course import Setting
from chaos_runner.drive import ArmError
from chaos_runner.engine import Engine
from chaos_runner.environment import Alertmanager, AlwaysOn, Ceilings
from chaos_runner.guard import GuardianError
from chaos_runner.journal import RunJournal
from chaos_runner.model import Abort, BlastRadius, Check, Experiment, FaultStep, ParallelStep, PauseStep, Recovery
from chaos_runner.plan import Plan
from chaos_runner.records import Entry, Outcome, RunStarted, Sample
from chaos_runner.store import FaultRow, Owner, Stamped
from chaos_runner.testing import FakeFault, FakeKill, FakeProbe, FakeWorld, PlainFault
from chaos_runner.ticks import Interrupts, Status

KINDS: dict[str, Any] = {"fake": FakeFault, "fake_plain": PlainFault, "fake_kill": FakeKill}
PROBES: dict[str, Any] = {"fake": FakeProbe}
WALL = 1_800_000_000.0
DEAD = Owner(boot_id="another boot", pid=1, start_time=1, host=Owner.mine().host)
T = TypeVar("T")


def virtually(work: Callable[[], Awaitable[T]]) -> T:
    """Runs it with a clock that jumps to whatever is next; a run that hangs ends after a virtual day."""

    async def bounded() -> T:
        with trio.fail_after(86400):
            return await work()

    return trio.run(bounded, clock=MockClock(autojump_threshold=0))


def check(*clauses: str, during: Sequence[str] = (), **fields: Any) -> Check:
    interval = fields.pop("interval", 1.0)
    return Check(
        probe="fake",
        with_=fields,
        expect=tuple(expect.clause(text) for text in clauses),
        during=tuple(expect.clause(text) for text in during),
        interval=interval,
    )


def harm(name: str = "one", for_: float = 10.0, fault: str = "fake", confirm: Any = (), **fields: Any) -> FaultStep:
    return FaultStep(fault=fault, target={"name": name}, with_=fields, for_=for_, confirm=confirm)


def experiment(*method: FaultStep | ParallelStep | PauseStep, **fields: Any) -> Experiment:
    given: dict[str, Any] = {
        "steady_state": {"shop": check("success >= 90%", rate=20.0)},
        "baseline": 5.0,
        "blast_radius": BlastRadius(at_once=9, in_total=9, max_duration=120.0),
        "abort": Abort(violated_for=3.0),
        "recovery": Recovery(within=20.0),
    }
    return Experiment(
        kind="experiment/v1", name="e", hypothesis="it holds", method=method or (harm(),), **(given | fields)
    )


class FakeGuard:
    """A guardian in memory: what it was told, in order; it can be dead, deaf or unwilling."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.rows: dict[str, FaultRow] = {}
        self.lives = True
        self.unwilling = ""
        self.deaf = False
        self.beats: list[float] = []

    async def start(self) -> wire.Ready:
        if self.unwilling:
            raise GuardianError(self.unwilling)
        return wire.Ready(reads=("fake",), pid=1)

    def alive(self) -> bool:
        return self.lives

    async def arm(self, row: FaultRow) -> None:
        if self.deaf or not self.lives:
            raise ArmError("it does not answer")
        self.log.append(f"armed {row.id}")
        self.rows[row.id] = row

    async def disarm(self, fault: str) -> None:
        self.rows.pop(fault, None)

    def beat(self, tick: int) -> bool:
        self.beats.append(anyio.current_time())
        return self.lives

    async def bye(self, watched: Collection[str] = ()) -> None:
        self.log.append(" ".join(["bye", *watched]))


class Crash(BaseException):
    """The process is dead: nothing of it happens any more."""


class Trouble:
    """A store whose writes can fail from the nth on, or kill the process before or after the nth."""

    WRITES = ("append", "commit_intent", "set_fault_state", "end_run", "add_samples", "begin_run")

    def __init__(self, inner: store.Store, log: list[str]) -> None:
        self._inner = inner
        self._log = log
        self.writes = 0
        self.full_from = math.inf
        self.full_until = math.inf
        self.dies_before = math.inf
        self.dies_after = math.inf
        self.dead = False
        self.on_death: Callable[[], None] = lambda: None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        return self._writing(name, method) if name in self.WRITES else method

    def _writing(self, name: str, method: Any) -> Any:
        def write(*args: Any, **kwargs: Any) -> Any:
            self.writes += 1
            if self.dead or self.writes >= self.dies_before:
                self._die()
            if self.full_from <= self.writes < self.full_until:
                raise store.StoreError("the disk is full")
            answer = method(*args, **kwargs)
            self._log.append(f"{name} {_what(args, kwargs)}".strip())
            if self.writes >= self.dies_after:
                self._die()
            return answer

        return write

    def _die(self) -> None:
        self.dead = True
        self.on_death()
        raise Crash


def _what(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    for value in (*args, *kwargs.values()):
        record = value.record if isinstance(value, Stamped) else value
        if type(record).__module__ == "chaos_runner.records":
            return type(record).__name__
    return ""


class Rig:
    """Everything around one run. `log` has what was asked of the world, the store and the guardian, in order."""

    def __init__(self, folder: Path, *names: str, leases: bool = False, traffic: bool = True) -> None:
        self.log: list[str] = []
        self.world = FakeWorld(*names, leases=leases, traffic=traffic)
        self._ask = self.world.ask
        self.world.ask = self._logged  # type: ignore[method-assign]
        self.ledger = store.open_store(folder, allow_tmpfs=True)
        self.store = Trouble(self.ledger, self.log)
        self.store.on_death = self._die
        self.guard: FakeGuard | None = FakeGuard(self.log)
        self.interrupts: Any = None
        self.lever = ""
        self.entries: list[Entry] = []
        self.shown: list[Status] = []
        self.shouts: list[str] = []
        self.on_entry: Callable[[Entry], None] = self.entries.append
        self.on_show: Callable[[Status], None] = self.shown.append
        self.kinds = dict(KINDS)
        self.probes = dict(PROBES)
        self.owner = DEAD
        self.run_id = "r1"
        self.wall = WALL
        self.environment = "fake"
        self.engine: Engine
        self.after: list[tuple[float, Callable[[], object]]] = []
        self.alerts: AlertSource | None = None

    async def _logged(self, operation: Any, key: str, deed: Callable[[], None] = lambda: None) -> None:
        self.log.append(f"{operation} {key}".strip())
        await self._ask(operation, key, deed)

    def _die(self) -> None:
        async def dead(*_args: Any) -> None:
            raise Crash

        self.world.ask = dead  # type: ignore[method-assign]

    def env(self) -> Env:
        """A fresh set of connections with room for many targets."""
        roomy = msgspec.structs.replace(self.world.environment(), ceilings=Ceilings(at_once=9, in_total=9))
        if self.alerts is not None:
            url = "http://127.0.0.1:1"
            roomy = msgspec.structs.replace(roomy, alertmanager=Alertmanager(url=url), always_on=AlwaysOn())
        return Env(self.environment, roomy)

    @property
    def harmed(self) -> bool:
        """Whether anything is left on a target."""
        return bool(self.world.harm or self.world.gone)

    def at(self, t: float, deed: Callable[[], object]) -> None:
        """Something happens at second `t`."""
        self.after.append((t, deed))

    def well(self, value: float = 1.0) -> None:
        """The system does not mind the faults."""
        self.world.reading = lambda _name, _t: Reading({"success": True, "value": value}, latency_s=0.01)

    def run(self, experiment: Experiment) -> Outcome:
        """One run in virtual time; exceptions as they travel."""
        return virtually(lambda: self._run(experiment))

    async def _run(self, experiment: Experiment) -> Outcome:
        plan = await planning.resolve(experiment, self.env(), self.kinds, self.probes, seed=1)
        self.engine = Engine(plan, self.run_id, self._setting(plan))
        async with nursery() as group:
            for t, deed in self.after:
                group.start_soon(self._later, t, deed)
            try:
                return await self.engine.run()
            finally:
                group.cancel_scope.cancel()

    async def _later(self, t: float, deed: Callable[[], object]) -> None:
        await anyio.sleep(t)
        deed()

    def _setting(self, plan: Plan) -> Setting:
        clock = Clock(wall=lambda: self.wall + anyio.current_time())
        self.interrupts = Interrupts()
        readers = planning.readers_of(plan.experiment, self.probes)

        def begin(started: RunStarted) -> RunJournal:
            stamped = Stamped(record=started, at=clock.wall(), t=0.0)
            epoch = self.store.begin_run(
                self.run_id,
                environment=plan.environment,
                experiment=plan.experiment.name,
                owner=self.owner,
                connections=msgspec.to_builtins(plan.connections),
                deadline_at=clock.wall() + plan.worst_case_s,
                runs_at_once=1,
                record=stamped,
            )
            journal = RunJournal(self.store, self.run_id, epoch, clock, self.on_entry)  # type: ignore[arg-type]
            journal.heard(stamped)
            return journal

        return Setting(
            env=self.env(),
            clock=clock,
            faults=self.kinds,
            probes=readers,
            rules=planning.rules_of(plan.experiment, readers),
            load_rate=planning.load_rate(readers),
            begin=begin,
            started=RunStarted(plan=msgspec.to_builtins(plan), versions={}, actor="me"),
            guard=self.guard,
            interrupts=self.interrupts,
            lever=lambda: self.lever,
            show=self.on_show,
            shout=self.shouts.append,
            alerts=self.alerts,
        )

    def resurrect(self) -> None:
        """The dead process stays dead; the world answers others again."""
        self.world.ask = self._logged  # type: ignore[method-assign]

    def recover(self, **options: Any) -> list[recover.Recovered]:
        return virtually(lambda: recover.recover(self.ledger, None, self.shouts.append, kinds=self.kinds, **options))

    def records(self, *types: type[Any]) -> list[Any]:
        return [entry.record for entry in self.ledger.records(self.run_id) if isinstance(entry.record, types or object)]

    def names(self) -> list[str]:
        return [type(record).__name__ for record in self.records()]

    def states(self) -> list[str]:
        return [row.state for row in self.ledger.faults(self.run_id)]

    def samples(self) -> list[Sample]:
        return self.ledger.samples(self.run_id)

    def index(self, line: str) -> int:
        return self.log.index(line)

    def close(self) -> None:
        self.ledger.close()


def alone(error: BaseException) -> BaseException:
    """The one error inside groups of one."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@contextlib.contextmanager
def travels(kind: type[BaseException], text: str = "") -> Iterator[None]:
    """The block raises this error, alone or in groups."""
    try:
        yield
    except BaseException as error:
        found = alone(error)
        if not isinstance(found, kind) or text not in str(found):
            raise
        return
    raise AssertionError(f"no {kind.__name__} travelled")
