"""What a person sees while a run goes on: on a terminal a picture below the lines, elsewhere the lines alone.

The view is fed by the run and can neither delay nor break it: it works in a thread of its own, and what it does
wrong ends the view, not the run.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from chaos_runner.cli import common
from chaos_runner.cli.pump import Pump, Write, writer
from chaos_runner.conduct import View
from chaos_runner.plan import Plan
from chaos_runner.records import Entry
from chaos_runner.render import text
from chaos_runner.render.words import Words
from chaos_runner.ticks import Status

PACE_S = 0.25  # at most four pictures a second
SCREEN_CLOSE_S = 2.0
EVENTS_CLOSE_S = 10.0
EVENTS_ROOM = 100_000


@contextlib.contextmanager
def viewing(plan: Plan, *, events: str | None, quiet: bool, redraw: bool) -> Iterator[View]:
    """A view for this run; `events` is a file for NDJSON, `-` for stdout."""
    screen_pump = _screen_pump(plan, quiet=quiet, redraw=redraw and _draws_blocks(sys.stderr))
    with _events(events) as sink, _running(screen_pump) as screen:

        def entry(entry: Entry) -> None:
            screen.put(entry)
            if sink is not None:
                sink.put(entry)

        yield View(entry=entry, status=screen.put, tell=screen.put)


def _screen_pump(plan: Plan, *, quiet: bool, redraw: bool) -> Pump:
    """The thread that draws a picture, or writes lines, or only what must be told."""
    write = writer(sys.stderr)
    lines = Lines(write, quiet=quiet)
    if not redraw:
        return Pump(lines.deal)
    from chaos_runner.cli.picture import Picture

    picture = Picture(plan, lines, write, lambda: os.get_terminal_size(sys.stderr.fileno()))
    return Pump(picture.deal, otherwise=lines.deal, pace_s=PACE_S)


def _draws_blocks(stream: Any) -> bool:
    return (getattr(stream, "encoding", "") or "").lower().replace("-", "") == "utf8"


class Lines:
    """One plain line a record, in the words of the report."""

    def __init__(self, write: Write, *, quiet: bool = False) -> None:
        self._write = write
        self._quiet = quiet
        self._words = Words()

    def deal(self, items: list[Any]) -> None:
        """Writes what is to be written of these."""
        out = self.of(items)
        if out:
            self._write("".join(f"{line}\n" for line in out).encode("utf-8", "replace"))

    def of(self, items: list[Any]) -> list[str]:
        """The lines that tell these items; nothing in them can command a terminal."""
        told = [text.clean(item) if isinstance(item, str) else self._entry(item) for item in items]
        return [line for line in told if line]

    def _entry(self, item: Entry | Status) -> str:
        if isinstance(item, Status):
            return ""
        said = self._words.sentence(item)
        moment = time.strftime("%H:%M:%S", time.localtime(item.at))
        return "" if self._quiet else f"{moment} {item.t:7.1f}s  {said}"


@contextlib.contextmanager
def _running(pump: Pump) -> Iterator[Pump]:
    pump.start()
    try:
        yield pump
    finally:
        if pump.close(SCREEN_CLOSE_S) and pump.trouble:
            common.tell(f"warning: the view ended early: {pump.trouble}")


@contextlib.contextmanager
def _events(where: str | None) -> Iterator[Pump | None]:
    """Every record as a line of JSON. A file is opened before anything starts. Raises Usage."""
    if where is None:
        yield None
        return
    with contextlib.ExitStack() as stack:
        write = writer(sys.stdout) if where == "-" else writer(stack.enter_context(_opened(Path(where))))
        pump = Pump(lambda items: write(_told(items)), room=EVENTS_ROOM)
        pump.start()
        try:
            yield pump
        finally:
            done = pump.close(EVENTS_CLOSE_S)
            if not done or pump.trouble or pump.dropped:
                why = pump.trouble or "its reader did not keep up"
                common.tell(f"warning: the events in {where} are not complete: {why}")


def _told(items: list[Any]) -> bytes:
    return text.harmless_json(b"".join(msgspec.json.encode(item) + b"\n" for item in items))


def _opened(path: Path) -> Any:
    from chaos_runner.cli.trouble import Usage

    try:
        return path.open("wb")
    except OSError as why:
        msg = f"{path} cannot be written: {(why.strerror or str(why)).lower()}"
        raise Usage(msg) from None
