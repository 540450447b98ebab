"""Decisions of schedules, newest first: what ran, what did not, and why."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.store import SlotRow


def history(args: argparse.Namespace) -> int:
    """All decisions."""
    return _show(args, skips_only=False)


def skips(args: argparse.Namespace) -> int:
    """The decisions not to run."""
    return _show(args, skips_only=True)


def _show(args: argparse.Namespace, *, skips_only: bool) -> int:
    from chaos_runner.cli import schedule_daemon

    found: list[SlotRow] = []
    with schedule_daemon.reading(args) as ledger:
        if ledger is not None:
            found = ledger.slots(args.name or None, "SKIP" if skips_only else None, max(1, min(args.number, 10_000)))
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "decisions": found})
        return 0
    if not found:
        print("no decisions yet")
        return 0
    head = ("due", "schedule", "environment", "decision", "run", "why")
    print("\n".join(common.table([head, *map(_row, found)])))
    return 0


def _row(one: SlotRow) -> tuple[str, ...]:
    from chaos_runner.render import text

    decision = "skipped" if one.decision == "SKIP" else one.headline or one.state.lower()
    return text.utc(one.instant), one.schedule, one.environment, decision, one.run, one.reason or _stopped(one)


def _stopped(one: SlotRow) -> str:
    """Who or what ended a run early."""
    if one.headline != "ABORTED":
        return ""
    return f"stopped by a {one.stopped_by}; nothing was violated" if one.halted else f"stopped by: {one.stopped_by}"
