"""The plain console on a terminal: the day's lines scroll away above a head that is drawn anew, with a line to type in.

Whatever ends it, the terminal is left as it was found.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path

from rich.text import Text

from chaos_runner.console import drawing, lines, speaking
from chaos_runner.console.following import EVERY_S, Following, Seen
from chaos_runner.console.news import LEAVE, News, said, shown
from chaos_runner.gameday.verbs import TEXT_MAX
from chaos_runner.gameday.view import Screen
from chaos_runner.render import text

UP, TO_END_OF_LINE, TO_END_OF_SCREEN = "\x1b[{}F", "\x1b[K", "\x1b[J"
BYTES_AT_ONCE = 4096
PROMPT = "> "


def attach(state_dir: Path, day_id: str, who: str) -> int:
    """Shows the day until it ends or somebody leaves; 0."""
    speaking.come_in(state_dir, day_id, who, "terminal")
    with _by_key(sys.stdin.fileno()) as fd:
        return Attached(state_dir, day_id, who, fd).run()


@contextlib.contextmanager
def _by_key(fd: int) -> Iterator[int]:
    """Every key at once and unechoed; Ctrl-C still interrupts."""
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield fd
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


class Typing:
    """What is being typed. Escape sequences of keys that mean nothing here are left out."""

    def __init__(self) -> None:
        self.line = ""
        self.left = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._escape = ""

    def take(self, got: bytes) -> list[str]:
        """The lines that were completed; `left` is set by Ctrl-D on an empty line."""
        whole: list[str] = []
        for char in self._decoder.decode(got):
            if not self._in_escape(char):
                self._key(char, whole)
        return whole

    def _in_escape(self, char: str) -> bool:
        if self._escape:
            self._escape += char
            ends = char.isalpha() or char == "~" or (len(self._escape) == 2 and char not in "[O")
            if ends and self._escape != "\x1bO":
                self._escape = ""
            return True
        self._escape = char if char == "\x1b" else ""
        return bool(self._escape)

    def _key(self, char: str, whole: list[str]) -> None:
        if char in "\r\n":
            whole.append(self.line)
            self.line = ""
        elif char in "\x7f\x08":
            self.line = self.line[:-1]
        elif char == "\x15":
            self.line = ""
        elif char == "\x04":
            self.left = self.left or not self.line
        elif char.isprintable() and len(self.line) < TEXT_MAX:
            self.line += char


class Attached:
    """One console on one terminal."""

    def __init__(self, state_dir: Path, day_id: str, who: str, fd: int) -> None:
        self._state_dir = state_dir
        self._day_id = day_id
        self._who = who
        self._fd = fd
        self._following = Following(state_dir, day_id)
        self._news = News()
        self._typing = Typing()
        self._height = 0

    def run(self) -> int:
        """Until the day ends or somebody leaves."""
        try:
            self._run()
        finally:
            self._draw([], [])
            self._following.close()
        return 0

    def _run(self) -> None:
        seen = self._look([])
        while seen.day.ended is None and not self._typing.left:
            typed = self._listen(EVERY_S)
            if any(line.strip().lower() in LEAVE for line in typed):
                return
            seen = self._look([told for line in typed if line.strip() for told in self._say(line)])

    def _say(self, line: str) -> list[str]:
        return said(self._state_dir, self._day_id, line, self._who, self._news.scope)

    def _look(self, told: list[str]) -> Seen:
        now = time.monotonic()
        seen = self._following.look(time.time())
        screen = shown(seen, self._who)
        self._draw([*told, *self._news.of(seen, self._who, now)], self._foot(screen))
        return seen

    def _listen(self, limit_s: float) -> list[str]:
        ready, _, _ = select.select([self._fd], [], [], limit_s)
        if not ready:
            return []
        got = os.read(self._fd, BYTES_AT_ONCE)
        self._typing.left = self._typing.left or not got
        return self._typing.take(got)

    def _foot(self, screen: Screen) -> list[str]:
        """The head of the day, its run, what is waited for and the line to type in; as much as there is room for."""
        width, height = os.get_terminal_size(self._fd)
        head = [_cut(line, width) for line in lines.head(screen)]
        run = drawing.lines(screen.running, width) if screen.running is not None else []
        wait = [_cut(lines.waiting(screen.waiting), width)] if screen.waiting is not None else []
        room = max(1, height - 4 - len(run) - len(wait))
        typed = text.one_line(f"{PROMPT}{self._typing.line}", TEXT_MAX)[-max(1, width - 2) :]
        return ["─" * (width - 1), *head[:room], *run, *wait, typed]

    def _draw(self, above: list[str], foot: list[str]) -> None:
        """Writes lines above, and the foot anew; without a foot it is taken away."""
        out = UP.format(self._height) if self._height else "\r"
        out += "".join(f"{line}{TO_END_OF_LINE}\n" for line in above) + TO_END_OF_SCREEN
        out += f"{TO_END_OF_LINE}\n".join(foot) + TO_END_OF_LINE if foot else ""
        self._height = max(0, len(foot) - 1)
        sys.stdout.write(out)
        sys.stdout.flush()


def _cut(line: str, width: int) -> str:
    shown = Text(line)
    shown.truncate(max(1, width - 1), overflow="ellipsis")
    return shown.plain
