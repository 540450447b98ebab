"""From a valid experiment to a finished run: recovers, plans, builds the engine's surroundings, runs, tells people.

The order of a run itself is in `engine`; this is what stands around it in a real process.
"""

from __future__ import annotations

import contextlib
import itertools
import platform
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import msgspec

from chaos_runner import admission, configure, container, notifying, planning, recover, registry, store, wire
from chaos_runner._version import __version__
from chaos_runner.api import AlertSource, Doubt, Env, Fault, Notice, Refused, Scans, Secretive
from chaos_runner.clients import sources
from chaos_runner.clock import Clock, nursery
from chaos_runner.config import Notification
from chaos_runner.engine import Engine, Setting
from chaos_runner.going_in import PREPARE_S
from chaos_runner.guard import GuardianLine
from chaos_runner.history import Run, fold
from chaos_runner.journal import Listener, RunJournal
from chaos_runner.model import Experiment
from chaos_runner.plan import Plan, Refusal
from chaos_runner.planning import SILENCE_S
from chaos_runner.records import Outcome, RunStarted
from chaos_runner.store import Busy, Owner, Stamped, Store, StoreError
from chaos_runner.ticks import Interrupts, Status


class Order(msgspec.Struct, frozen=True):
    """What a person, a pipeline or a schedule asked for."""

    plan: Plan
    state_dir: Path
    actor: str
    command: tuple[str, ...] = ()
    require_layer: str = ""
    run_id: str = ""  # reserved by a schedule's claim; else a new one
    told_before: tuple[Notification, ...] = ()  # who wants to know before anything is touched


class Finished(msgspec.Struct, frozen=True):
    """One run that was started; `trouble` is what could not be written down."""

    run: str
    outcome: Outcome
    trouble: tuple[str, ...] = ()


class View(msgspec.Struct, frozen=True):
    """Who is told what while it happens."""

    entry: Listener
    status: Callable[[Status], None]
    tell: Callable[[str], None]


def new_seed() -> int:
    """A seed that fits on a command line."""
    return secrets.randbelow(2**31)


def new_run_id() -> str:
    """A name that sorts by time: 20261122-101405-a1b2."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


def open_env(name: str, connections: Any, extra: frozenset[str] = frozenset()) -> Env:
    """The connections of an environment with its secrets, and `extra` ones, resolved. Raises Refusal."""
    found = configure.references(msgspec.to_builtins(connections)) | extra
    return Env(name, connections, configure.secrets(found))


async def make_plan(experiment: Experiment, name: str, connections: Any, seed: int) -> Plan:
    """The plan; reads only. Raises Refusal."""
    env = open_env(name, connections)
    try:
        guarded = container.guardian_survives()
        return await planning.resolve(experiment, env, registry.faults, registry.probes, seed, guarded=guarded)
    finally:
        await env.aclose()


def past(run_id: str, state_dir: Path) -> Run:
    """A run as its records tell it. Raises StoreError."""
    with store.open_store(state_dir, read_only=True) as ledger:
        return fold(ledger.records(run_id))


async def run(order: Order, view: View) -> Finished:
    """Runs a plan to its end. Raises Refusal when nothing was started."""
    interrupts = Interrupts()
    async with listening(interrupts, view.tell):
        with _opened(order.state_dir, view.tell) as ledger:
            await _recover_first(order, ledger, view)
            admission.check(order.plan, ledger, order.state_dir, order.require_layer)
            await _look(order.plan)
            run_id = order.run_id or new_run_id()
            await _announce(order, run_id, view.tell)
            return await _run(order, run_id, ledger, interrupts, view)


@contextlib.asynccontextmanager
async def listening(interrupts: Interrupts, tell: Callable[[str], None]) -> AsyncIterator[None]:
    """Ctrl-C and SIGTERM become questions to the engine until left: once stops and undoes, twice hurries."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async with nursery() as group:

            async def listen() -> None:
                async for number in signals:
                    interrupts.ask(f"a person ({signal.Signals(number).name})")
                    tell("hurrying: the undo is never skipped" if interrupts.hurry else "stopping: undoing first")

            group.start_soon(listen)
            try:
                yield
            finally:
                group.cancel_scope.cancel()


@contextlib.contextmanager
def _opened(state_dir: Path, tell: Callable[[str], None]) -> Any:
    try:
        ledger = store.open_store(state_dir, allow_tmpfs=True)
    except StoreError as why:
        msg = f"not started: {why}"
        raise Refusal(msg) from None
    with ledger:
        for warning in ledger.warnings:
            tell(f"warning: {warning}")
        yield ledger


async def _recover_first(order: Order, ledger: Store, view: View) -> None:
    left = await recover.recover(ledger, order.plan.environment, view.tell)
    stuck = [one for one in left if one.left]
    if stuck:
        msg = f"not started: {stuck[0].run} left faults behind that could not be undone: {stuck[0].why}"
        raise Refusal(f"{msg}\n  next: chaos-runner recover")


async def _look(plan: Plan) -> None:
    """Raises Refusal where an alert speaks against a run, or another run has its mark on a target. Reads only."""
    env = open_env(plan.environment, plan.connections)
    try:
        if why := await admission.loud(env):
            msg = f"not started: {why}"
            raise Refusal(msg)
        await _check_targets(plan, env)
    finally:
        await env.aclose()


async def _check_targets(plan: Plan, env: Env) -> None:
    """Raises Refusal where another run, of whatever folder or host, has its mark on a target: before any baseline.

    The same is asked again right before each injection.
    """
    try:
        for planned in plan.faults:
            fault: Fault = msgspec.convert(planned.params, registry.faults[planned.kind])
            able: object = fault
            if isinstance(able, Scans):
                with anyio.fail_after(PREPARE_S):
                    await fault.prepare(env, planned.target, f"cx.{new_run_id()}.{planned.n}.0")
    except (Refused, Doubt, TimeoutError) as why:
        msg = f"not started: {str(why) or f'{planned.target.key} did not answer within {PREPARE_S:g} s'}"
        raise Refusal(msg) from None


async def _announce(order: Order, run_id: str, tell: Callable[[str], None]) -> None:
    """Tells whoever wants to know, before anything is touched; nobody who is deaf stops the run."""
    plan = order.plan
    if not order.told_before:
        return
    notice = Notice(
        run=run_id,
        experiment=plan.experiment.name,
        environment=plan.environment,
        hypothesis=plan.experiment.hypothesis.strip(),
        targets=tuple(dict.fromkeys(fault.target.key for fault in plan.faults)),
        undone_by=time.time() + plan.worst_case_s,
        halt=f"chaos-runner halt --run {run_id}",
        actor=order.actor,
    )
    references = frozenset(one.reference for one in order.told_before)
    try:
        env = open_env(plan.environment, plan.connections, references)
    except Refusal as why:
        tell(f"warning: not announced: {why}")
        return
    try:
        await notifying.announce(order.told_before, env, notice, registry.notifiers, tell)
    finally:
        await env.aclose()


def _alerts(plan: Plan, env: Env) -> AlertSource | None:
    named = plan.experiment.alerts
    return sources.source(env, named.wanted()) if named is not None else None


async def _run(order: Order, run_id: str, ledger: Store, interrupts: Interrupts, view: View) -> Finished:
    plan, clock = order.plan, Clock()
    readers = planning.readers_of(plan.experiment, registry.probes)
    named = [probe.secrets() for probe in readers.values() if isinstance(probe, Secretive)]
    env = open_env(plan.environment, plan.connections, frozenset(itertools.chain(*named)))
    journals: list[RunJournal] = []

    def begin(started: RunStarted) -> RunJournal:
        journals.append(_begin(order, ledger, run_id, clock, view.entry, started))
        return journals[0]

    setting = Setting(
        env=env,
        clock=clock,
        faults=registry.faults,
        probes=readers,
        rules=planning.rules_of(plan.experiment, readers),
        load_rate=planning.load_rate(readers),
        begin=begin,
        started=_started(order),
        guard=_guard(order, run_id, clock, env) if plan.faults else None,
        interrupts=interrupts,
        lever=lambda: admission.lever(plan, order.state_dir),
        show=view.status,
        shout=view.tell,
        alerts=_alerts(plan, env),
    )
    try:
        outcome = await Engine(plan, run_id, setting).run()
    finally:
        await env.aclose()
    return Finished(run=run_id, outcome=outcome, trouble=tuple(journals[0].trouble))


def _started(order: Order) -> RunStarted:
    versions = {"chaos-runner": __version__, "python": platform.python_version()}
    plan: dict[str, Any] = msgspec.to_builtins(order.plan)
    return RunStarted(plan=plan, versions=versions, actor=order.actor, command=order.command)


def _begin(
    order: Order, ledger: Store, run_id: str, clock: Clock, listener: Listener, started: RunStarted
) -> RunJournal:
    plan = order.plan
    connections: Mapping[str, Any] = msgspec.to_builtins(plan.connections)
    stamped = Stamped(record=started, at=clock.wall(), t=0.0)
    try:
        epoch = ledger.begin_run(
            run_id,
            environment=plan.environment,
            experiment=plan.experiment.name,
            owner=Owner.mine(),
            connections=connections,
            deadline_at=clock.wall() + plan.worst_case_s,
            runs_at_once=plan.connections.ceilings.runs_at_once,
            record=stamped,
        )
    except Busy as why:
        msg = f"not started: {why}"
        raise Refusal(msg) from None
    except StoreError as why:
        msg = f"not started: the store cannot be written: {why}"
        raise Refusal(msg) from None
    journal = RunJournal(ledger, run_id, epoch, clock, listener)
    journal.heard(stamped)
    return journal


def _guard(order: Order, run_id: str, clock: Clock, env: Env) -> GuardianLine:
    connections: dict[str, Any] = msgspec.to_builtins(order.plan.connections)
    found = configure.references(connections)
    hello = wire.Hello(
        run=run_id,
        epoch=1,
        ttl_s=SILENCE_S,
        t0=clock.t0,
        environment=order.plan.environment,
        connections=connections,
        secrets={reference: env.secret(reference) for reference in found},
        kinds=tuple(sorted({fault.kind for fault in order.plan.faults})),
        state_dir=str(order.state_dir.resolve()),
    )
    return GuardianLine(hello, order.state_dir / f"guardian-{run_id}.log")
