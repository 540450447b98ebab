"""Writes something down: on the game day that is open, else with the run that goes on.

chaos-runner note checkout is slow for me --by sue
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from chaos_runner.cli import common, desk_words


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `note`."""
    parser.add_argument("text", nargs="+", metavar="TEXT", help="what you saw")
    desk_words.options(parser)


def run(args: argparse.Namespace) -> int:
    """0 when it is on record."""
    said = " ".join(args.text)
    state = common.state_dir(args)
    if args.day or desk_words.open_day(state) is not None:
        return desk_words.speak(args, desk_words.line("note", said))
    return _with_run(args, state, said)


def _with_run(args: argparse.Namespace, state: Path, said: str) -> int:
    from chaos_runner import store
    from chaos_runner.cli.trouble import Usage
    from chaos_runner.records import Noted
    from chaos_runner.render import text
    from chaos_runner.store import NoLedger

    nothing = f"neither a game day nor a run goes on in {state}: there is nothing that the note belongs to"
    who = args.by or common.actor()
    try:
        with store.open_store(state, read_only=True):
            pass  # a note makes no ledger
        with store.open_store(state) as ledger:
            going = [row for row in ledger.unfinished_runs() if row.state != "ENDED"]
            if not going:
                raise Usage(nothing)
            row, now = going[-1], time.time()
            last_t = max((entry.t for entry in ledger.records(row.id)), default=0.0)
            seq = ledger.append(row.id, Noted(who, said), now, max(last_t, now - row.started_at))
    except NoLedger:
        raise Usage(nothing) from None
    if args.output == "json":
        common.write_json({"schemaVersion": 1, "run": row.id, "seq": seq})
    else:
        print(text.one_line(f"{row.id} #{seq} {who} noted: {said}", 600))
    return 0
