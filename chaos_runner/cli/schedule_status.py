"""`schedule status`: who leads, what is armed, what runs, what waits for somebody's word."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.store import Store


def status(args: argparse.Namespace) -> int:
    """0 while a daemon leads and nothing is blocked; 3 otherwise."""
    from chaos_runner.cli import schedule_daemon
    from chaos_runner.cli.main import NOTHING_LEARNED

    with schedule_daemon.reading(args) as ledger:
        found = _found(ledger) if ledger else {"leader": "", "armed": [], "going": [], "blocked": [], "paused": []}
    if args.output == "json":
        common.write_json({"schemaVersion": 1, **found})
    else:
        print("\n".join(_lines(found)))
    return 0 if found["leader"] and not found["blocked"] else NOTHING_LEARNED


def _found(ledger: Store) -> dict[str, Any]:
    lease, now = ledger.lease(), time.time()
    leads = lease is not None and lease.left_s > 0
    return {
        "leader": lease.holder if lease and leads else "",
        "epoch": lease.epoch if lease else 0,
        "armed": [one for one in ledger.armed().values() if one.armed_until > now],
        "going": ledger.going_slots(),
        "blocked": ledger.blocked(),
        "paused": list(ledger.paused().values()),
        "decisions": ledger.slot_counts(),
    }


def _lines(found: dict[str, Any]) -> list[str]:
    from chaos_runner.render import text

    lead = (
        f"{found['leader']} (epoch {found['epoch']})" if found["leader"] else "nobody; start: chaos-runner schedule run"
    )
    lines = [f"leads    {lead}"]
    lines += [f"armed    {one.environment} until {text.utc(one.armed_until)} by {one.who}" for one in found["armed"]]
    if not found["armed"]:
        lines.append("armed    nothing: no schedule runs before `chaos-runner schedule arm ENV --by NAME --until TIME`")
    lines += [
        f"running  {one.schedule} in {one.environment}: {one.run} ({one.state.lower()})" for one in found["going"]
    ]
    lines += [f"blocked  {one.schedule}: {one.reason}" for one in found["blocked"]]
    lines += [f"paused   {one.schedule} by {one.who}: {one.reason}" for one in found["paused"]]
    return lines
