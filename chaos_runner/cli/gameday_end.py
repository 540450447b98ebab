"""Ends a game day: what runs is stopped and undone first. For the facilitator; anybody may `halt`."""

from __future__ import annotations

import argparse
import time

from chaos_runner.cli import common

WAIT_S = 300.0
LOOK_S = 0.25


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `gameday end`."""
    parser.add_argument(
        "day", nargs="?", default="", metavar="DAY", help="its id, or how it begins (default: the open one)"
    )
    parser.add_argument("--by", required=True, metavar="NAME", help="the facilitator")
    parser.add_argument("--reason", default="ended by its facilitator", metavar="WHY", help="kept with the day")
    common.places(parser)
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """0 when it is over, 3 when that takes longer than five minutes."""
    from chaos_runner import desk, store
    from chaos_runner.cli import gameday_begin
    from chaos_runner.cli.trouble import Usage
    from chaos_runner.plan import Refusal

    row = gameday_begin.found(args)
    if row.state != "OPEN":
        msg = f"game day {row.id} is over"
        raise Refusal(msg)
    state = common.state_dir(args)
    with store.open_store(state, allow_tmpfs=True) as ledger:
        try:
            desk.speak(ledger, state, row.id, f"end {args.reason}", args.by)
        except ValueError as why:
            raise Usage(str(why)) from None
    if store.alive(row.owner) is False:
        folder = gameday_begin.folder_of(args, row)
        gameday_begin.start(folder, row.id, row.epoch, args, f"process {row.owner.pid} died; ended by {args.by}")
    return _wait(args, row.id)


def _wait(args: argparse.Namespace, day: str) -> int:
    """Until the day is over: a run that goes on is undone first."""
    from chaos_runner import store

    until = time.monotonic() + WAIT_S
    state = "OPEN"
    while state == "OPEN" and time.monotonic() < until:
        time.sleep(LOOK_S)
        with store.open_store(common.state_dir(args), read_only=True) as ledger:
            row = ledger.day(day)
            state = row.state if row else "ENDED"
    over = state != "OPEN"
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "day": day, "ended": over})
    else:
        print(f"game day {day} is over" if over else f"{day} still undoes; see: chaos-runner gameday status {day}")
    return 0 if over else 3
