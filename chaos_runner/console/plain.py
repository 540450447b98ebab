"""The console that needs no terminal: the day's lines on stdout, verbs from stdin. On a terminal it draws a head, too.

The end of stdin is no answer to anything: from then on the console only watches.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from chaos_runner.console import speaking, terminal
from chaos_runner.console.following import EVERY_S, Following
from chaos_runner.console.news import LEAVE, News, said
from chaos_runner.gameday.verbs import TEXT_MAX

WAITING_MAX = 1000
BYTES_MAX = 4 * TEXT_MAX
LATE_S = 0.3  # what was typed just before the end is still said

Write = Callable[[str], None]


def attach(state_dir: Path, day_id: str, who: str) -> int:
    """Shows the day until it ends, and says what is typed; 0. Its own end changes nothing."""
    if os.isatty(0) and os.isatty(1) and os.environ.get("TERM", "dumb") != "dumb":
        return terminal.attach(state_dir, day_id, who)
    speaking.come_in(state_dir, day_id, who, "terminal")
    return Plain(state_dir, day_id, who, _written).run(typed(sys.stdin.buffer.fileno()))


def _written(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def typed(fd: int) -> queue.Queue[str | None]:
    """What comes in on a descriptor, line by line, read by a thread; None is its end."""
    into: queue.Queue[str | None] = queue.Queue(WAITING_MAX)
    threading.Thread(target=_read, args=(fd, into), daemon=True, name="typed").start()
    return into


def _read(fd: int, into: queue.Queue[str | None]) -> None:
    rest = b""
    while True:
        try:
            got = os.read(fd, 65536)
        except OSError:
            got = b""
        *whole, rest = (rest + got).split(b"\n")
        for line in whole:
            into.put(line.decode("utf-8", "replace"))
        if not got or len(rest) > BYTES_MAX:
            if rest:
                into.put(rest[:BYTES_MAX].decode("utf-8", "replace"))
            rest = b""
        if not got:
            into.put(None)
            return


class Plain:
    """One console. What it was told to show, it writes once."""

    def __init__(self, state_dir: Path, day_id: str, who: str, write: Write) -> None:
        self._state_dir = state_dir
        self._day_id = day_id
        self._who = who
        self._write = write
        self._following = Following(state_dir, day_id)
        self._news = News()

    def run(self, words: queue.Queue[str | None]) -> int:
        """Until the day ends or somebody leaves."""
        try:
            return self._run(words)
        finally:
            self._following.close()

    def _run(self, words: queue.Queue[str | None]) -> int:
        listening = True
        while True:
            over = self._show()
            deadline = time.monotonic() + (LATE_S if over else EVERY_S)
            while (left := deadline - time.monotonic()) > 0:
                line = _next(words, left) if listening else _nothing(left)
                if line is None:
                    listening = False
                elif line.strip().lower() in LEAVE:
                    return 0
                elif line.strip():
                    self._say(line)
                    break
            else:
                if over:
                    return 0

    def _show(self) -> bool:
        """Writes what is new; whether the day is over."""
        seen = self._following.look(time.time())
        for line in self._news.of(seen, self._who, time.monotonic()):
            self._write(line)
        return seen.day.ended is not None

    def _say(self, line: str) -> None:
        for told in said(self._state_dir, self._day_id, line, self._who, self._news.scope):
            self._write(told)


def _next(words: queue.Queue[str | None], left_s: float) -> str | None:
    try:
        return words.get(timeout=left_s)
    except queue.Empty:
        return ""


def _nothing(left_s: float) -> str:
    time.sleep(left_s)
    return ""
