"""`schedule preview` and `schedule explain`: what comes, and why something would or would not run."""

from __future__ import annotations

import argparse
import heapq
import itertools
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chaos_runner.cli import common
from chaos_runner.cli.main import NOTHING_LEARNED

if TYPE_CHECKING:
    from chaos_runner.schedule.slots import Slot
    from chaos_runner.scheduler.book import Item

PREVIEW_MAX = 10_000
SCHEDULES_MAX = 1000


def preview(args: argparse.Namespace) -> int:
    """The next slots of one schedule, or of all: as a table, or as a month."""
    from chaos_runner.schedule import preview as drawn

    chosen = _items(args)
    zone = args.zone or (chosen[0].almanac.zone if len({one.almanac.zone for one in chosen}) == 1 else "UTC")
    _check_zone(zone)
    if args.month:
        return _month(args, chosen, zone)
    found = list(itertools.islice(_merged(chosen, int(time.time())), max(1, min(args.number, PREVIEW_MAX))))
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "zone": zone, "slots": [_plain(one, zone) for one in found]})
    elif not found:
        print("nothing is due within 400 days")
    else:
        print("\n".join(common.table(drawn.rows(found, zone))))
    return 0


def _month(args: argparse.Namespace, chosen: list[Item], zone: str) -> int:
    from datetime import datetime

    from chaos_runner.schedule import preview as drawn
    from chaos_runner.schedule import zones

    year, number = _year_and_month(args.month)
    first = zones.instant(zone, datetime(year, number, 1))
    after = zones.instant(zone, datetime(year + number // 12, number % 12 + 1, 1))
    found = list(itertools.islice(_merged(chosen, first - 1, after - 1), PREVIEW_MAX))
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "zone": zone, "slots": [_plain(one, zone) for one in found]})
    else:
        print("\n".join(drawn.month(found, zone, year, number)))
    return 0


def explain(args: argparse.Namespace) -> int:
    """Every rule of time about a start at that moment; 0 when it would run, 3 when not."""
    from chaos_runner.schedule import explain as rules

    (item,) = _items(args, named=True)
    at = _moment(args.at, item.almanac.zone)
    told = rules.explain(item.schedule, item.almanac, at, item.terms)
    would = all(one.ok for one in told)
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "schedule": item.label, "at": at, "would_run": would, "rules": told})
    else:
        print("\n".join(f"{'yes' if one.ok else 'NO ':<4}{one.said}" for one in told))
        print("\nit would run, if every gate lets it" if would else "\nit would not run")
    return 0 if would else NOTHING_LEARNED


def _items(args: argparse.Namespace, named: bool = False) -> list[Item]:
    """The schedule that is named, or all. Raises Usage."""
    from chaos_runner import spelling
    from chaos_runner.cli import schedule_daemon
    from chaos_runner.cli.trouble import Usage
    from chaos_runner.scheduler import book

    items = book.read(*schedule_daemon.places(args)).items
    if not items:
        msg = "there are no schedules here; write `schedules:` in chaos-runner.yaml"
        raise Usage(msg)
    if not args.name and named:
        msg = "say: chaos-runner schedule explain NAME AT"
        raise Usage(msg)
    found = [one for one in items if args.name in ("", one.label)]
    if not found:
        raise Usage(spelling.unknown("schedule", args.name, [one.label for one in items]))
    if len(found) > SCHEDULES_MAX:
        msg = f"{len(found)} schedules are too many to look at together; name one"
        raise Usage(msg)
    return found


def _merged(chosen: list[Item], after: int, before: int = 0) -> Iterator[Slot]:
    from chaos_runner.schedule.slots import HORIZON_S

    each = (one.due(after, before or after + HORIZON_S) for one in chosen)
    return heapq.merge(*each, key=lambda slot: slot.due)


def _plain(slot: Slot, zone: str) -> dict[str, Any]:
    from chaos_runner.schedule import preview as drawn

    return {
        "schedule": slot.schedule,
        "instant": slot.instant,
        "due": slot.due,
        "shown": drawn.shown(slot.due, zone),
        "would_run": not slot.refused,
        "reasons": slot.refused,
    }


def _check_zone(zone: str) -> None:
    from chaos_runner.cli.trouble import Usage
    from chaos_runner.schedule import zones

    try:
        zones.zone(zone)
    except ValueError as why:
        msg = f"--zone: {why}"
        raise Usage(msg) from None


def _year_and_month(text: str) -> tuple[int, int]:
    from datetime import datetime

    from chaos_runner.cli.trouble import Usage

    try:
        found = datetime.strptime(text, "%Y-%m")
    except ValueError:
        found = datetime.min
    if not 1971 <= found.year <= 9000:
        msg = f"--month: '{text}' is no month; write one such as 2026-12"
        raise Usage(msg)
    return found.year, found.month


def _moment(text: str, zone: str) -> int:
    """A time by the calendar's clock, or with its own offset. Raises Usage."""
    from datetime import datetime

    from chaos_runner.cli.trouble import Usage
    from chaos_runner.schedule import zones

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = datetime.min
    if not 1971 <= found.year <= 9000:
        msg = f"'{text}' is no time; write AT as 2026-12-24T10:30 (in {zone}) or 2026-12-24T10:30+01:00"
        raise Usage(msg)
    return int(found.timestamp()) if found.tzinfo else zones.instant(zone, found)
