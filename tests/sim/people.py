"""Everybody who acts in a seed: runners, their guardians, recoveries, the operator, people, and the observer's end."""

from __future__ import annotations

import contextvars
import functools
import math
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import trio

from chaos_runner import expect, planning, recover
from chaos_runner.api import Env
from chaos_runner.clock import Clock
from chaos_runner.course import Setting
from chaos_runner.engine import Engine
from chaos_runner.environment import Ceilings, Environment, Toxiproxy
from chaos_runner.journal import RunJournal
from chaos_runner.model import Abort, BlastRadius, Check, Experiment, FaultStep, ParallelStep, Recovery
from chaos_runner.plan import Plan, Refusal
from chaos_runner.records import RunStarted
from chaos_runner.store import Busy, Owner, SqliteStore, Stamped, StoreError
from chaos_runner.testing.fakes import SERVICE, FakeWorld
from chaos_runner.ticks import Interrupts, Status
from tests.sim import bounds, guards, kinds
from tests.sim.ledger import SimStore
from tests.sim.net import Net
from tests.sim.process import CURRENT, Crash, Kind, Proc, Story
from tests.sim.server import Server
from tests.sim.watcher import Watcher
from tests.sim.weather import Kill, Weather

SECRET = "sentinel-8f2c-of-the-token"
VARIABLE = "SIM_TOKEN"
LONG_ENOUGH_S = 150.0


class ViewBug(Exception):
    """The live view is broken."""


class World:
    """One seed's world; `live` is its whole life."""

    def __init__(self, sky: Weather, ledger: SqliteStore, clock_steps: list[float]) -> None:
        self.sky, self.ledger, self.clock_steps = sky, ledger, clock_steps
        self.story = Story()
        self.server = Server(("a", "b", "c"), embedded=sky.embedded, now=trio.current_time)
        self.expected = {name: {} for name in self.server.proxies}  # the operator's own toxics
        self.watcher = Watcher(self.server, ledger, self.story)
        self.procs: dict[str, Proc] = {}
        self.crews: dict[str, bounds.Crew] = {}
        self.lever = ""
        self.probed = FakeWorld("x")
        self.probed.reading = lambda _name, _t: kinds.reading(not (sky.fragile and any(self.server.live())))  # type: ignore[method-assign,return-value]

    # --- the course of a seed --------------------------------------------------------------------------------

    async def live(self) -> None:
        os.environ[VARIABLE] = SECRET
        async with trio.open_nursery() as self.scope:
            self.net = Net(self.server, self.sky, self.story, self.scope)
            self.url = f"http://sim-{id(self)}"
            kinds.NETS[self.url] = self.net
            self.net.on_send, self.net.on_land = self.watcher.sending, self.watcher.landed
            self.net.before_land = self.watcher.landing
            self._begin_all()
            await trio.sleep(LONG_ENOUGH_S)
            await self._settle()
            self._judge()
            self.scope.cancel_scope.cancel()
        del kinds.NETS[self.url]

    def _begin_all(self) -> None:
        sky = self.sky
        if sky.embedded:
            self.scope.start_soon(self._lapse)
        self._at(0.0, lambda: self._runner("1", sky.runner, sky.guardian))
        if sky.second[0] < math.inf:
            self._at(sky.second[0], lambda: self._runner("2", Kill(), Kill()))
        for n, (t, kill, blind) in enumerate(sky.recoveries):
            self._at(t, functools.partial(self._recovery, f"recovery{n + 1}", kill, blind=blind))
        for t, deed in sky.operator:
            self._at(t, functools.partial(self._operate, deed))
        for t, seconds in sky.steps_of_clock:
            self._at(t, functools.partial(self._step_clock, seconds))
        if sky.lever_t < math.inf:
            self._at(sky.lever_t, self._pull)
        if sky.restart_t < math.inf:
            self._at(sky.restart_t, self._restart)

    def _at(self, t: float, deed: Callable[[], Any]) -> None:
        async def wait() -> None:
            await trio.sleep(t)
            deed()

        self.scope.start_soon(wait)

    async def _lapse(self) -> None:
        """Leases lapse when their time is over, and not when somebody asks."""
        while True:
            ends = [end for end, _back in self.server.leases.values()]
            await trio.sleep(max(0.01, min(ends) - trio.current_time()) if ends else 1.0)
            self.server.settle()

    def _step_clock(self, seconds: float) -> None:
        self.clock_steps.append(seconds)
        self.story.tell("clock", f"is stepped by {seconds:+.0f} s", "clock stepped")

    def _pull(self) -> None:
        self.lever, self.watcher.lever_t = "somebody pulled the lever", trio.current_time()
        self.story.tell("people", "pull the lever", "lever pulled")

    def _restart(self) -> None:
        self.server.restart()
        self.watcher.fences_hold = False
        self.expected = {name: {} for name in self.expected}
        self.story.tell("server", "is restarted", "server restarted")

    async def _settle(self) -> None:
        """All is well again and time goes by: who still lives finishes, then somebody recovers what is left."""
        self.net.healed = True
        self.lever = ""
        self.story.tell("world", "the network is well again, and what hangs is killed")
        for proc in list(self.procs.values()):
            if proc.stopped:
                proc.kill("is killed by somebody", "killed in the end")
        until = trio.current_time() + 1000.0
        while trio.current_time() < until and any(not proc.over for proc in self.procs.values()):
            await trio.sleep(5.0)
        for proc in self.procs.values():
            if not proc.over:
                self.watcher.breaks("END", f"{proc.name} does not end")
        await trio.sleep(max(0.0, self.net.late_until - trio.current_time()) + 6.0)
        for n in range(2):
            proc = self._recovery(f"recovery-z{n}", Kill(), watch=True)
            while not proc.over:
                await trio.sleep(1.0)
        await trio.sleep(10.0)
        self.server.settle()

    # --- processes -------------------------------------------------------------------------------------------

    def _process(self, name: str, kind: Kind, kill: Kill, work: Callable[[Proc], Awaitable[None]]) -> Proc:
        proc = Proc(name, kind, self.story)
        self.procs[name] = proc
        self.arm(proc, kill)
        context = contextvars.copy_context()
        context.run(CURRENT.set, proc)
        context.run(self.scope.start_soon, self._life, proc, work)
        return proc

    def arm(self, proc: Proc, kill: Kill) -> None:
        """Lets it die, or stop, where its weather says so."""
        proc.scope = self.scope
        if kill.effect < math.inf and kill.stop_s:
            proc.stop_at = (kill.effect, kill.stop_s)
        elif kill.effect < math.inf:
            proc.kill_at = (kill.effect, kill.lands)
        if kill.t < math.inf:
            stop = functools.partial(proc.stop, kill.stop_s)
            self._at(kill.t, stop if kill.stop_s else functools.partial(proc.kill, "is killed", "killed at a time"))

    async def _life(self, proc: Proc, work: Callable[[Proc], Awaitable[None]]) -> None:
        """A process's task: what a dead one still throws is nobody's business; what a living one does is a bug."""
        try:
            await work(proc)
        except BaseException as error:
            strange = [one for one in _leaves(error) if not isinstance(one, trio.Cancelled | Crash | ViewBug)]
            if strange and not (proc.dead or proc.hung):
                self.watcher.breaks("BUG", f"{proc.name}: {strange[0]!r:.300}")
            if any(isinstance(one, trio.Cancelled) for one in _leaves(error)):
                raise
        finally:
            if not proc.hung:
                proc.end()

    def _store(self, proc: Proc, *, blind: bool = False) -> SimStore:
        trouble = self.sky.store if proc.name == "runner1" or self.sky.store[2] > 1000 else ("", 0, 0)
        if self.net.healed:
            trouble = ("", 0, 0)
        if proc.kind == "guardian" and trouble[0].startswith("hangs"):
            trouble = ("full", *trouble[1:])
        lives = (lambda _owner: False) if blind else self._lives
        return SimStore(self.ledger, proc, lives, self.watcher.committed, trouble)

    def _lives(self, owner: Owner) -> bool:
        proc = self.procs.get(owner.boot_id)
        return proc is not None and not proc.over

    def environment(self) -> Environment:
        ceilings = Ceilings(at_once=9, in_total=9, runs_at_once=2 if self.sky.second[1] else 1)
        proxy = Toxiproxy(url=self.url, token=f"env:{VARIABLE}")
        return Environment(toxiproxy=proxy, services={SERVICE: self.probed.id}, ceilings=ceilings)

    async def _env(self, proc: Proc) -> Env:
        env = Env("sim", self.environment(), {f"env:{VARIABLE}": SECRET})
        await kinds.connect(env)
        return env

    def _recovery(self, name: str, kill: Kill, *, blind: bool = False, watch: bool = False) -> Proc:
        tell = functools.partial(self.story.tell, name)

        async def work(proc: Proc) -> None:
            tell("begins" + (", and takes the living for dead" if blind else ""), "recovery ran")
            ledger: Any = self._store(proc, blind=blind)
            told = await recover.recover(ledger, None, tell, kinds=kinds.KINDS, watch=watch)
            for one in told:
                tell(f"recovered {one.run}: closed {list(one.closed)}, left {list(one.left)}")

        return self._process(name, "recovery", kill, work)

    def _runner(self, n: str, kill: Kill, guardian_kill: Kill) -> None:
        self._process(f"runner{n}", "runner", kill, lambda proc: self._run(proc, n, guardian_kill))

    async def _run(self, proc: Proc, n: str, guardian_kill: Kill) -> None:
        ledger: Any = self._store(proc)
        tell = functools.partial(self.story.tell, proc.name)
        tell("begins")
        try:
            await recover.recover(ledger, "sim", tell, kinds=kinds.KINDS)
            env = await self._env(proc)
            plan = await planning.resolve(self._experiment(), env, kinds.KINDS, kinds.PROBES, seed=1)
            engine = self._engine(proc, n, plan, env, ledger, guardian_kill)
            with trio.CancelScope() as cancelled:
                self._people(proc, engine, cancelled)
                try:
                    await engine.run()
                finally:
                    self._left(proc, engine)
        except (Refusal, StoreError) as why:
            tell(f"does not start: {why!s:.100}", "not started")

    def _left(self, proc: Proc, engine: Engine) -> None:
        """A runner that goes by itself has undone everything, or said loudly that it could not."""
        if proc.dead or proc.hung:
            return
        stuck = {one.drive.row.id for one in engine.course.done if one.drive.life.state == "STUCK"}
        for one in self.watcher.now_live(engine.course.run_id):
            if one.fault not in stuck and not one.late:
                self.watcher.breaks("I4", f"{proc.name} leaves while {one.place} is there, without having tried")

    def _engine(self, proc: Proc, n: str, plan: Plan, env: Env, ledger: Any, guardian_kill: Kill) -> Engine:
        run_id = f"r{n}"
        clock = Clock(wall=self.ledger._clock)
        line, guardian = self._line(proc, n, guardian_kill, clock) if self.sky.guarded else (None, None)
        self.watcher.lines[proc.name] = line
        hold_s = max(self.sky.holds) + 4.0 * max(len(step) for step in self.sky.steps)
        self.crews[run_id] = bounds.Crew(proc, guardian, hold_s, self.sky.embedded)
        readers = planning.readers_of(plan.experiment, kinds.PROBES)

        def begin(started: RunStarted) -> RunJournal:
            stamped = Stamped(record=started, at=clock.wall(), t=0.0)
            try:
                epoch = ledger.begin_run(
                    run_id,
                    environment="sim",
                    experiment="e",
                    owner=Owner.mine(),
                    connections=msgspec.to_builtins(plan.connections),
                    deadline_at=clock.wall() + plan.worst_case_s,
                    runs_at_once=plan.connections.ceilings.runs_at_once,
                    record=stamped,
                )
            except Busy as why:
                self.story.tally["second runner refused"] += 1
                raise Refusal(f"not started: {why}") from None
            return RunJournal(ledger, run_id, epoch, clock)

        setting = Setting(
            env=env,
            clock=clock,
            faults=kinds.KINDS,
            probes=readers,
            rules=planning.rules_of(plan.experiment, readers),
            load_rate=planning.load_rate(readers),
            begin=begin,
            started=RunStarted(plan=msgspec.to_builtins(plan), versions={}, actor="sim"),
            guard=line,
            interrupts=Interrupts(),
            lever=lambda: self.lever,
            show=lambda _status: None,
            shout=functools.partial(self.story.tell, proc.name),
        )
        return Engine(plan, run_id, setting)

    def _line(self, runner: Proc, n: str, kill: Kill, clock: Clock) -> tuple[guards.SimLine, Proc]:
        proc = Proc(f"guardian{n}", "guardian", self.story)
        self.procs[proc.name] = proc
        self.arm(proc, kill)

        def live(one: guards.SimGuardian) -> None:
            ledger = self._store(proc)

            async def work(proc: Proc) -> None:
                env = await self._env(proc)
                journal = guards.TaskJournal(ledger, f"r{n}", 1, clock.t0, self.ledger._clock)
                await guards.guard(one, runner, env, journal)

            context = contextvars.copy_context()
            context.run(CURRENT.set, proc)
            context.run(self.scope.start_soon, self._life, proc, work)

        runner.on_end.append(lambda: None if proc.effects else proc.end())  # it was never started
        return guards.SimLine(runner, proc, live), proc

    def _people(self, proc: Proc, engine: Engine, cancelled: trio.CancelScope) -> None:
        if proc.name != "runner1":
            return
        setting = engine.course.setting

        def broken(_status: Status) -> None:
            raise ViewBug

        for t, what in self.sky.people:
            deeds: dict[str, list[Callable[[], Any]]] = {
                "Ctrl-C": [lambda: setting.interrupts.ask("you")],
                "Ctrl-C twice": [lambda: setting.interrupts.ask("you")] * 2,
                "cancelled": [cancelled.cancel],
                "a bug of the view": [lambda: setattr(setting, "show", broken)],
            }
            self._at(t, functools.partial(self._person, what, deeds[what]))

    def _person(self, what: str, deeds: list[Callable[[], Any]]) -> None:
        self.story.tell("people", what, what)
        for deed in deeds:
            deed()

    def _experiment(self) -> Experiment:
        with_ = {"toxic": {"type": "latency", "latency": 0.4}, "proxy_down": {}}
        method = []
        for step, hold in zip(self.sky.steps, self.sky.holds, strict=True):
            lanes = tuple(
                FaultStep(fault=kind, target={"proxy": name}, with_=with_[kind], for_=hold) for kind, name in step
            )
            method.append(lanes[0] if len(lanes) == 1 else ParallelStep(parallel=lanes))
        clause = expect.clause("success >= 90%")
        return Experiment(
            kind="experiment/v1",
            name="e",
            hypothesis="it holds",
            steady_state={"shop": Check(probe="fake", with_={"rate": 20.0}, expect=(clause,), interval=1.0)},
            baseline=5.0,
            blast_radius=BlastRadius(at_once=9, in_total=9, max_duration=30.0),
            abort=Abort(violated_for=2.0),
            recovery=Recovery(within=10.0),
            method=tuple(method),
        )

    # --- the operator ----------------------------------------------------------------------------------------

    def _operate(self, deed: str) -> None:
        proxy = self.server.proxies.get("a")
        if proxy is None:
            return
        own = self.expected["a"]
        ours = [toxic for name, toxic in proxy.toxics.items() if name.startswith("cx.") and toxic["type"] != "noop"]
        match deed:
            case "adds":
                own[f"op{len(own)}"] = _theirs(f"op{len(own)}", 1)
            case "edits own" if own:
                name = min(own)
                own[name] = _theirs(name, own[name]["attributes"]["latency"] + 1)
            case "removes own" if own:
                own.pop(min(own))
            case "edits ours" if ours:
                ours[0]["attributes"] = {"latency": 7, "jitter": 0}
            case "removes ours" if ours:
                del proxy.toxics[ours[0]["name"]]
            case "enables" if proxy.downed:
                proxy.enabled, proxy.downed = True, False
            case _:
                return
        self.story.tell("operator", f"{deed} (on proxy a)", f"operator {deed}")
        theirs = {name for name in proxy.toxics if not name.startswith("cx.")}
        for name in theirs - own.keys():
            del proxy.toxics[name]
        proxy.toxics.update({name: dict(toxic) for name, toxic in own.items()})
        self.server.on_change()

    # --- the end ---------------------------------------------------------------------------------------------

    def _judge(self) -> None:
        broken = self.watcher.breaks
        if litter := self.server.litter():
            broken("I7", f"left in the end: {', '.join(litter)}")
        for name, own in self.expected.items():
            proxy = self.server.proxies.get(name)
            theirs = {n: t for n, t in proxy.toxics.items() if not n.startswith("cx.")} if proxy else None
            if proxy is None or not proxy.enabled or theirs != own:
                broken("I6", f"proxy {name} is not as it was left by others: {theirs} instead of {own}")
        for run in ("r1", "r2"):
            for row in self.ledger.faults(run):
                if row.open:
                    broken("I7", f"{row.id} is {row.state} in the end")
        for row in self.ledger.unfinished_runs():
            broken("I7", f"{row.id} is {row.state} in the end")
        self._judge_lives()
        if any(
            SECRET.encode() in file.read_bytes() for file in self.ledger._db.path.parent.iterdir() if file.is_file()
        ):
            broken("I13", "the secret is in the state folder")
        if any(SECRET in line for line in self.story.lines):
            broken("I13", "the secret is told")

    def _judge_lives(self) -> None:
        recoveries = [proc for proc in self.procs.values() if proc.kind == "recovery"]
        for live in self.watcher.lives:
            end = bounds.allowed(live, self.crews[live.run], recoveries, self.net.trouble) if live.run else math.inf
            if live.end > end:
                self.watcher.breaks(
                    "I4", f"{live.place} was there from {live.begin:.3f} to {live.end:.3f}, and not only to {end:.3f}"
                )


def _theirs(name: str, latency: int) -> dict[str, Any]:
    attributes = {"latency": latency, "jitter": 0}
    return {"name": name, "type": "latency", "stream": "upstream", "toxicity": 1.0, "attributes": attributes}


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
