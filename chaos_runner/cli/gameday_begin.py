"""What `gameday run`, `resume` and `end` share: starting a conductor, attaching a console, finding the day."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from chaos_runner.cli import common

if TYPE_CHECKING:
    from chaos_runner.conductor.folder import Folder
    from chaos_runner.store import DayRow

BEGIN_S = 30.0
END_S = 120.0
LOOK_S = 0.1


def start(folder: Folder, day: str, seen: int, args: argparse.Namespace, why: str = "") -> subprocess.Popen[bytes]:
    """Starts a conductor in a session of its own, and waits until it conducts. Raises Refusal."""
    from chaos_runner.plan import Refusal

    words = [sys.executable, "-m", "chaos_runner", "gameday", "conduct", day, "--seen", str(seen)]
    words += ["--why", why] if why else []
    with folder.log.open("ab") as log:
        process = subprocess.Popen(
            [*words, "--state", str(folder.state_dir)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder.setting().cwd,
            start_new_session=True,
        )
    until = time.monotonic() + BEGIN_S
    while time.monotonic() < until:
        if _conducts(folder.state_dir, day, process.pid):
            return process
        if process.poll() is not None:
            break
        time.sleep(LOOK_S)
    msg = f"the conductor of {day} did not begin: {_last_line(folder.log)}\n  next: chaos-runner gameday resume {day}"
    raise Refusal(msg)


def _conducts(state: Path, day: str, pid: int) -> bool:
    from chaos_runner import store

    with store.open_store(state, read_only=True) as ledger:
        row = ledger.day(day)
    return row is not None and (row.owner.pid == pid or row.state != "OPEN")


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")[-20:]
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")


def attach(state: Path, day: str, args: argparse.Namespace) -> int:
    """A console until it is left or the day is over; the Textual one on a terminal that has it."""
    from chaos_runner.console import entrance

    return entrance.attach(state, day, args.who or common.actor(), lines=args.plain)


def say_end(state: Path, day: str, folder: Folder, process: subprocess.Popen[bytes]) -> None:
    """After the day's end: where its reports are; after a console that was only left: how to come back."""
    from chaos_runner import store

    with store.open_store(state, read_only=True) as ledger:
        row = ledger.day(day)
    if row is not None and row.state == "OPEN":
        print(f"the game day goes on; come back with: chaos-runner gameday attach {day}")
        return
    try:
        process.wait(END_S)  # it writes the reports
    except subprocess.TimeoutExpired:
        print(f"its reports are still being written; see {folder.log}")
        return
    for path in folder.reports():
        print(f"  report: {path}")


def found(args: argparse.Namespace) -> DayRow:
    """The day that is meant: the one named by its beginning, else the open one. Raises Usage."""
    from chaos_runner import store
    from chaos_runner.cli.trouble import Usage

    with store.open_store(common.state_dir(args), read_only=True) as ledger:
        if not args.day:
            row = ledger.open_day()
            if row is None:
                msg = "no game day is open; begin one with: chaos-runner gameday run FILE"
                raise Usage(msg)
            return row
        ids = ledger.find_day(args.day)
        if len(ids) != 1:
            several = f"; it is the beginning of {', '.join(ids[:5])}" if ids else ""
            msg = f"no one game day is '{args.day}'{several}"
            raise Usage(msg)
        row = ledger.day(ids[0])
    assert row is not None
    return row


def folder_of(args: argparse.Namespace, row: DayRow) -> Folder:
    """The day's folder. Raises Refusal where how it was begun cannot be read."""
    import msgspec

    from chaos_runner.conductor.folder import Folder
    from chaos_runner.plan import Refusal

    folder = Folder(common.state_dir(args).absolute(), row.id)
    try:
        folder.setting()
    except (OSError, msgspec.DecodeError) as why:
        msg = f"{folder.path} does not say how {row.id} was begun: {why}"
        raise Refusal(msg) from None
    return folder
