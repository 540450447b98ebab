"""Processes that a person starts and comes back to: one command at a time, a first line, an end within a limit."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

READ_BYTES = 65_536


class Busy(RuntimeError):
    """Another command has been at work there for too long."""


@contextlib.contextmanager
def turn(state_dir: Path, file: str, within_s: float) -> Iterator[None]:
    """One command at a time for whatever that file describes. Raises Busy."""
    fd = os.open(state_dir / f".{file}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + within_s
    try:
        while not _locked(fd):
            if time.monotonic() > deadline:
                raise Busy(f"has been at work in {state_dir} for {within_s:g} s")
            time.sleep(0.05)
        yield
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def detached(argv: Sequence[str], log: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """A process that may outlive this one; what it has to say is one line on stdout, and its log."""
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [*argv, "--detached"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=fd,
            start_new_session=True,
            env=env,
        )
    finally:
        os.close(fd)


def let_go(process: subprocess.Popen[bytes]) -> None:
    """It lives on without us."""
    if process.stdout is not None:
        process.stdout.close()
    if process.poll() is None:
        process.returncode = 0  # Popen would warn about a child that nobody waited for


def first_line(process: subprocess.Popen[bytes], within_s: float, most: int) -> bytes:
    """The first line that it says, at most so many bytes; empty where it ended, or said nothing in time."""
    assert process.stdout is not None
    fd, deadline, line = process.stdout.fileno(), time.monotonic() + within_s, b""
    while not line.endswith(b"\n") and len(line) < most:
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not select.select([fd], [], [], left_s)[0]:
            return b""
        piece = os.read(fd, READ_BYTES)
        if not piece:
            return b""
        line += piece
    return line


def end(process: subprocess.Popen[bytes], within_s: float) -> None:
    """It is gone afterwards: asked by the end of its stdin and a signal, killed after the limit."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    process.terminate()
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(within_s)
