"""How a game day stands: who conducts it, which step goes on, what it waits for, and whose answer."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.gameday.day import Day
    from chaos_runner.store import DayRow

CONDUCTOR = {True: "lives", False: "is dead: chaos-runner gameday resume", None: "is on another host"}


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `gameday status`."""
    parser.add_argument(
        "day", nargs="?", default="", metavar="DAY", help="its id, or how it begins (default: the open one)"
    )
    common.places(parser)
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """0; 3 where the day goes on and nobody conducts it."""
    from chaos_runner import store
    from chaos_runner.cli import gameday_begin
    from chaos_runner.gameday import day as days

    row = gameday_begin.found(args)
    with store.open_store(common.state_dir(args), read_only=True) as ledger:
        day = days.fold(ledger.facts(row.id))
    lives = store.alive(row.owner)
    if args.output == "json":
        common.write_json(_values(row, day, lives))
    else:
        print("\n".join(_lines(row, day, lives)))
    return 3 if row.state == "OPEN" and lives is False else 0


def _values(row: DayRow, day: Day, lives: bool | None) -> dict[str, Any]:
    return {
        "schemaVersion": 1,
        "day": row.id,
        "scenario": row.scenario,
        "environment": row.environment,
        "state": row.state,
        "conductor": {"pid": row.owner.pid, "host": row.owner.host, "alive": lives, "epoch": row.epoch},
        "steps": day.steps,
        "asked": day.asked,
        "ended": day.ended,
        "facts": row.facts,
    }


def _lines(row: DayRow, day: Day, lives: bool | None) -> list[str]:
    from chaos_runner.render import text

    lines = [f"{row.id}  {row.scenario} on {row.environment}"]
    if day.ended is not None:
        lines.append(text.one_line(f"over: {day.ended.how}: {day.ended.why}".rstrip(": "), 300))
    elif row.state == "OPEN":
        lines.append(f"conductor: process {row.owner.pid} {CONDUCTOR[lives]}")
    head = ("step", "state", "run", "headline", "why")
    rows = [(str(one.step + 1), one.state, (one.runs or [""])[-1], one.headline, one.why) for one in day.steps]
    lines += common.table([head, *rows])
    if day.asked is not None and day.ended is None:
        who = ", ".join(f"{role} ({', '.join(day.people(role)) or 'nobody'})" for role in day.asked.of)
        lines.append(text.one_line(f"waits for {who}: {day.asked.question}", 1000))
    return lines
