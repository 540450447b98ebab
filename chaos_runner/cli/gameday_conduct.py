"""Conducts a game day; started by `gameday run` and `gameday resume`, not by people."""

from __future__ import annotations

import argparse
import importlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.conductor.folder import Folder


def options(parser: argparse.ArgumentParser) -> None:
    """The command line of `gameday conduct`."""
    parser.add_argument("day", metavar="DAY")
    parser.add_argument("--seen", type=int, required=True, help="the epoch that was seen: a newer one is left alone")
    parser.add_argument("--why", default="", help="why another conductor takes it up")
    parser.add_argument("--state", type=Path, required=True, help="the state directory")


def run(args: argparse.Namespace) -> int:
    """0 when the day is over; 3 when somebody else conducts it."""
    import anyio

    from chaos_runner import store
    from chaos_runner.conductor import conducting
    from chaos_runner.conductor.folder import Folder

    folder = Folder(args.state, args.day)
    with store.open_store(args.state, allow_tmpfs=True) as ledger:
        epoch = conducting.take(ledger, args.day, args.seen, args.why)
        _say(f"conducts {args.day} with epoch {epoch}")
        ended = anyio.run(conducting.Conductor(ledger, folder, args.day, epoch, _say).run)
    _say(f"the day is over: {ended.how}: {ended.why}")
    _report(folder, args.day)
    return 0


def _say(sentence: str) -> None:
    common.tell(f"{time.strftime('%H:%M:%S', time.gmtime())} {sentence}")


def _report(folder: Folder, day: str) -> None:
    """The day is over and on record, whatever becomes of its pages."""
    from chaos_runner.cli.trouble import Usage
    from chaos_runner.store import StoreError

    try:
        report = importlib.import_module("chaos_runner.cli.gameday_report")
        paths = report.write(day, folder.state_dir, Path(folder.setting().reports))
    except (Usage, StoreError, OSError, ImportError) as why:
        _say(f"warning: no report: {why}; write it with: chaos-runner gameday report {day}")
        return
    folder.keep_reports(paths)
    for path in paths:
        _say(f"report: {path}")
