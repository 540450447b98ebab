"""Laws of the plain console on a terminal: a head that is drawn anew, and a line to type in."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaos_runner.console.terminal import Typing
from chaos_runner.gameday.facts import Answered, Asked, Said
from tests.console.kit import DAY, LIMIT_S, World, until

ROOT = Path(__file__).parents[2]
READY = Asked(step=-1, question="is everybody ready?", of=("facilitator",), kind="ready")


@pytest.mark.parametrize(
    ("typed", "lines", "left"),
    [
        (b"go\r", ["go"], ""),
        (b"gp\x7fo\n", ["go"], ""),
        (b"no\x15go\r", ["go"], ""),
        (b"a\x1b[A\x1b[15~\x1bOPb\x1bxc", [], "abc"),
        ("grün\r".encode(), ["grün"], ""),
        (b"one\rtwo\rthr", ["one", "two"], "thr"),
        (b"\x00\x01\x1b[31m\x9b", [], "\ufffd"),
    ],
)
def test_keys_become_lines(typed: bytes, lines: list[str], left: str) -> None:
    for size in (1, 3, 100):
        typing = Typing()
        got = [line for n in range(0, len(typed), size) for line in typing.take(typed[n : n + size])]
        assert (got, typing.line) == (lines, left)


def test_ctrl_d_leaves_only_an_empty_line() -> None:
    typing = Typing()
    typing.take(b"x\x04")
    assert not typing.left
    typing.take(b"\x7f\x04")
    assert typing.left


class Terminal:
    """A console on a terminal of its own."""

    def __init__(self, world: World, folder: Path) -> None:
        self.out = b""
        self.fd, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, 120))
        self.before = termios.tcgetattr(theirs)
        argv = [sys.executable, "-m", "chaos_runner", "gameday", "attach", "--plain", "--by", "fay"]
        self.child = subprocess.Popen(
            [*argv, "--state", str(world.state)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
            start_new_session=True,
        )
        self.theirs = theirs

    def read(self) -> str:
        while select.select([self.fd], [], [], 0.05)[0]:
            self.out += os.read(self.fd, 65536)
        return self.out.decode("utf-8", "replace")

    def wait(self, text: str) -> None:
        until(lambda: text in self.read())

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def close(self) -> None:
        self.child.kill()
        self.child.wait(LIMIT_S)
        os.close(self.fd)
        os.close(self.theirs)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@contextmanager
def terminal(world: World, folder: Path) -> Iterator[Terminal]:
    opened = Terminal(world, folder)
    try:
        yield opened
    finally:
        opened.close()


def test_a_day_is_conducted_from_a_terminal_and_it_is_left_as_it_was_found(world: World, tmp_path: Path) -> None:
    with terminal(world, tmp_path) as one:
        one.wait("EXERCISE  payments-outage on demo")
        world.say(READY, Said(who="sue", text="\x1b]0;stolen\x07coming"))
        one.wait("? is everybody ready?")
        one.wait("coming")
        one.type("go all is well\r")
        until(lambda: any(isinstance(fact, Answered) for fact in world.facts()))
        one.wait("fay (facilitator) said go: all is well")
        world.end()
        one.wait("The day is over")
        assert one.child.wait(LIMIT_S) == 0
        assert termios.tcgetattr(one.theirs) == one.before
        out = one.read()
    assert set(re.findall(r"\x1b(.[\d;]*[A-Za-z]?)", out)) <= {"[K", "[J"} | {f"[{n}F" for n in range(1, 60)}


def test_interrupted_it_leaves_the_terminal_as_it_was_and_the_day_open(world: World, tmp_path: Path) -> None:
    with terminal(world, tmp_path) as one:
        one.wait("EXERCISE")
        one.child.send_signal(signal.SIGINT)
        assert one.child.wait(LIMIT_S) == 130
        time.sleep(0.1)
        assert termios.tcgetattr(one.theirs) == one.before
    assert world.store.day(DAY).state == "OPEN"  # type: ignore[union-attr]
