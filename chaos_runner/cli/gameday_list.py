"""Game days, the newest first."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.store import DayRow


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `gameday list`."""
    parser.add_argument("-n", "--number", type=int, default=20, metavar="N", help="how many (default: 20)")
    common.places(parser)
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """0."""
    from chaos_runner import store
    from chaos_runner.store import NoLedger

    state = common.state_dir(args)
    try:
        with store.open_store(state, read_only=True) as ledger:
            days = ledger.days(max(0, args.number))
    except NoLedger:
        days = []
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "days": [_fields(day) for day in days]})
    elif not days:
        print(f"there was no game day in {state}")
    else:
        print("\n".join(common.table([("day", "scenario", "environment", "began", "state"), *map(_row, days)])))
    return 0


def _fields(day: DayRow) -> dict[str, object]:
    return {
        "day": day.id,
        "scenario": day.scenario,
        "environment": day.environment,
        "state": state_of(day),
        "started_at": day.started_at,
        "ended_at": day.ended_at,
        "facts": day.facts,
    }


def _row(day: DayRow) -> tuple[str, ...]:
    from chaos_runner.render import text

    return day.id, day.scenario, day.environment, text.utc(day.started_at), state_of(day)


def state_of(day: DayRow) -> str:
    """open, ended; or abandoned: open, and its conductor is dead."""
    from chaos_runner import store

    if day.state == "ENDED":
        return "ended"
    return "abandoned" if store.alive(day.owner) is False else "open"
