"""What `run --slot` does besides running: takes the claimed slot, asks every gate again, and says what came of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.config import Notification
    from chaos_runner.plan import Plan
    from chaos_runner.store import Reading, SlotRow


def run(args: argparse.Namespace, perform: Callable[[argparse.Namespace, SlotRow], int]) -> int:
    """Attaches first: whoever cannot is not the one to run it. A refusal is kept with the slot."""
    from chaos_runner import store
    from chaos_runner.cli.trouble import Usage
    from chaos_runner.load import Invalid
    from chaos_runner.plan import Refusal
    from chaos_runner.store import Owner, StoreError

    state = common.state_dir(args)
    with store.open_store(state, allow_tmpfs=True) as ledger:
        row = ledger.attach_slot(args.slot, Owner.mine())
    try:
        return perform(args, row)
    except (Refusal, Invalid, Usage, StoreError) as why:
        with store.open_store(state, allow_tmpfs=True) as ledger:
            ledger.end_slot(args.slot, "REFUSED", str(why).strip() or type(why).__name__)
        raise


def check(row: SlotRow, plan: Plan, args: argparse.Namespace) -> None:
    """Every gate once more, with what is true now. Raises Refusal with the first no."""
    import anyio

    from chaos_runner.plan import Refusal
    from chaos_runner.scheduler import gates

    readings = anyio.run(_read, row, plan, args)
    why = gates.reason(readings)
    if why:
        msg = f"not started: {why}"
        raise Refusal(msg)


def announce(run: str, actor: str, plan: Plan, wanted: tuple[Notification, ...]) -> None:
    """Tells whoever wants to know, before anything is touched; nobody who is deaf stops the run."""
    import functools
    import time

    import anyio

    from chaos_runner import conduct, notifying, registry
    from chaos_runner.api import Notice
    from chaos_runner.plan import Refusal

    listening = tuple(one for one in wanted if "before" in one.on)
    if not listening:
        return
    notice = Notice(
        run=run,
        experiment=plan.experiment.name,
        environment=plan.environment,
        hypothesis=plan.experiment.hypothesis.strip(),
        targets=tuple(dict.fromkeys(fault.target.key for fault in plan.faults)),
        undone_by=time.time() + plan.worst_case_s,
        halt=f"chaos-runner halt --run {run}",
        actor=actor,
    )
    try:
        env = conduct.open_env(plan.environment, plan.connections, frozenset(one.reference for one in listening))
    except Refusal as why:
        common.tell(f"warning: not announced: {why}")
        return
    anyio.run(functools.partial(notifying.announce, listening, env, notice, registry.notifiers, common.tell))


async def _read(row: SlotRow, plan: Plan, args: argparse.Namespace) -> tuple[Reading, ...]:
    import time

    from chaos_runner import store
    from chaos_runner.scheduler import facts, gates
    from chaos_runner.scheduler.signals import Signals

    asked = gates.Asked(row.schedule, plan.experiment.name, row.environment, row.service, row.instant)
    state = common.state_dir(args)
    with store.open_store(state, read_only=True) as ledger:
        known = facts.gather(ledger, state, [asked], time.time(), but=row.run)
    readings = gates.local(asked, known, "")
    if gates.reason(readings):
        return readings
    async with Signals() as signals:
        return readings + await signals.read(asked, plan.connections)
