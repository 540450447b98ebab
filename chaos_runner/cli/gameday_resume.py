"""Takes a game day up whose conductor died. A run that still goes on is waited for; then somebody has to say `go`.

A conductor that lives, or that is on another host, is left alone.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.store import DayRow


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `gameday resume`."""
    parser.add_argument(
        "day", nargs="?", default="", metavar="DAY", help="its id, or how it begins (default: the open one)"
    )
    parser.add_argument("--who", default="", metavar="NAME", help="who speaks at this console (default: you@this-host)")
    parser.add_argument("--plain", action="store_true", help="the plain console, on a terminal too")
    parser.add_argument("--detach", action="store_true", help="attach no console")
    common.places(parser)
    common.output(parser)


def run(args: argparse.Namespace) -> int:
    """0 when it goes on; 3 when somebody conducts it, or it is over."""
    from chaos_runner.cli import gameday_begin

    row = gameday_begin.found(args)
    check(row)
    folder = gameday_begin.folder_of(args, row)
    why = f"process {row.owner.pid} died; taken up by {args.who or common.actor()}"
    process = gameday_begin.start(folder, row.id, row.epoch, args, why)
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "day": row.id, "conductor": process.pid, "log": str(folder.log)})
        return 0
    print(f"game day {row.id} goes on\n  conductor: process {process.pid}, log {folder.log}", flush=True)
    if args.detach:
        return 0
    code = gameday_begin.attach(folder.state_dir, row.id, args)
    with common.perhaps_unheard():
        gameday_begin.say_end(folder.state_dir, row.id, folder, process)
    return code


def check(row: DayRow) -> None:
    """Raises Refusal where there is nothing to take up."""
    from chaos_runner import store
    from chaos_runner.plan import Refusal

    if row.state != "OPEN":
        msg = f"game day {row.id} is over"
        raise Refusal(msg)
    lives = store.alive(row.owner)
    if lives is None:
        msg = f"{row.id} is conducted on {row.owner.host}, and only there can be seen whether that process lives"
        raise Refusal(msg)
    if lives:
        msg = f"process {row.owner.pid} conducts {row.id}, and lives; see: chaos-runner gameday attach {row.id}"
        raise Refusal(msg)
