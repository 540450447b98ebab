"""`schedule list`: every schedule with when it is due next, what holds it back, and how fresh its last result is."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.scheduler.book import Item
    from chaos_runner.store import Store


def list_(args: argparse.Namespace) -> int:
    """The table."""
    import time

    from chaos_runner.cli import schedule_daemon
    from chaos_runner.scheduler import book

    config, state = schedule_daemon.places(args)
    items = book.read(config, state).items
    with schedule_daemon.reading(args) as ledger:
        rows = _rows(items, ledger, time.time())
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "schedules": rows})
        return 0
    head = ("schedule", "environment", "next", "holds it back", "last conclusive", "reach")
    print("\n".join(common.table([head, *map(_cells, rows)])))
    return 0


def _rows(items: tuple[Item, ...], ledger: Store | None, now: float) -> list[dict[str, Any]]:
    from chaos_runner.scheduler import ranking

    fresh = ledger.last_conclusive() if ledger else {}
    blocked = {one.schedule: one.reason for one in ledger.blocked()} if ledger else {}
    paused = ledger.paused() if ledger else {}
    armed = {name for name, one in ledger.armed().items() if one.armed_until > now} if ledger else set()
    rows = []
    for item in items:
        held = [f"blocked: {blocked[item.label]}"] if item.label in blocked else []
        held += [f"paused by {paused[item.label].who}"] if item.label in paused else []
        held += [] if item.schedule.environment in armed else [f"{item.schedule.environment} is not armed"]
        last = fresh.get(item.label)
        rows.append(
            {
                "schedule": item.label,
                "experiment": item.experiment,
                "environment": item.schedule.environment,
                "criticality": item.schedule.criticality,
                "next": _next(item, now),
                "held_back": held,
                "last_conclusive": last,
                "days": ranking.days_since(last, now),
                "red": ranking.red(last, now),
                "reach": _reach(item, ledger),
            }
        )
    return rows


def _next(item: Item, now: float) -> float | None:
    from chaos_runner.schedule import slots

    slot = slots.next_due(item.schedule, item.almanac, int(now), item.terms)
    return slot.due if slot else None


def _reach(item: Item, ledger: Store | None) -> str:
    from chaos_runner.scheduler import growth

    grows = item.schedule.growth
    level = (
        growth.level(grows, growth.outcomes(ledger.slots(item.label, "RUN", growth.OUTCOMES_MAX)))
        if ledger and grows
        else 0
    )
    reach = growth.reach(grows, level)
    return "the file's own" if reach is None else str(reach)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    from chaos_runner.render import text

    days = "never" if row["days"] is None else f"{row['days']:.0f} days ago"
    fresh = f"{days} (RED)" if row["red"] else days
    held = "; ".join(row["held_back"])
    return row["schedule"], row["environment"], text.utc(row["next"]), held, fresh, row["reach"]
