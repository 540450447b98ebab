"""What `run --slot` does besides running: takes the claimed slot, asks its gates again, and says what came of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from chaos_runner.cli import common

if TYPE_CHECKING:
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
    """The gates once more, with what is true now; time was judged at the claim. Raises Refusal with the first no."""
    import anyio

    from chaos_runner.plan import Refusal
    from chaos_runner.scheduler import gates

    readings = anyio.run(_read, row, plan, args)
    why = gates.reason(readings)
    if why:
        msg = f"not started: {why}"
        raise Refusal(msg)


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
