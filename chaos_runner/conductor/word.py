"""Sends word of a real incident to whom the operator named, like that of an aborted run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import anyio

from chaos_runner import conduct, configure, notifying, registry
from chaos_runner.api import Env
from chaos_runner.conductor.folder import Setting
from chaos_runner.conductor.told import Told
from chaos_runner.config import Notification
from chaos_runner.gameday.facts import DayEnded
from chaos_runner.history import Run, fold
from chaos_runner.load import Invalid
from chaos_runner.plan import Refusal
from chaos_runner.records import Outcome
from chaos_runner.store import Store, StoreError

LIMIT_S = 30.0

Tell = Callable[[str], None]


def opened(setting: Setting, environment: str, state_dir: Path, extra: frozenset[str] = frozenset()) -> Env:
    """The environment's connections. Raises Refusal or load.Invalid."""
    configuration = configure.read(Path(setting.config) if setting.config else None)
    if environment not in configuration.names:
        msg = f"there is no environment '{environment}'"
        raise Refusal(msg)
    return conduct.open_env(environment, configure.connect(configuration, environment, state_dir), extra)


async def send(told: Told, ended: DayEnded, setting: Setting, ledger: Store, state_dir: Path, tell: Tell) -> None:
    """Tells all who asked to hear of aborted runs; nobody who is deaf keeps the day from ending."""
    wanted = _wanted(setting, tell)
    if not wanted:
        return
    try:
        env = opened(setting, told.scenario.environment, state_dir, frozenset(one.reference for one in wanted))
    except (Refusal, Invalid) as why:
        tell(f"warning: not notified: {why}")
        return
    try:
        with anyio.move_on_after(LIMIT_S) as limit:
            await notifying.notify(wanted, "aborted", env, _as_run(told, ended, ledger), registry.notifiers, tell)
        if limit.cancelled_caught:
            tell(f"warning: not notified: no answer within {LIMIT_S:g} s")
    finally:
        await env.aclose()


def _wanted(setting: Setting, tell: Tell) -> tuple[Notification, ...]:
    try:
        return configure.read(Path(setting.config) if setting.config else None).config.notify
    except Invalid as why:
        tell(f"warning: not notified: {why.text()}")
        return ()


def _as_run(told: Told, ended: DayEnded, ledger: Store) -> Run:
    """The day's last run with what happened as its outcome; a bare one where nothing ran."""
    run = Run(id=told.day.id, plan={"environment": told.scenario.environment})
    last = next((step.run for step in reversed(told.steps) if step.run), "")
    if last:
        with contextlib.suppress(StoreError):
            run = fold(ledger.records(last)) if ledger.run(last) else run
    why = f"a real incident, declared by {ended.who} on game day {told.day.id}: {ended.why}"
    before = run.outcome
    cleanup = before.cleanup if before is not None else "CLEAN"
    run.outcome = Outcome(finding="UNKNOWN", stopped_by="person", cleanup=cleanup, why=why)
    return run
