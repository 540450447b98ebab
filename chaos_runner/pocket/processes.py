"""Processes by pid and start time, so that a number used again is never taken for the process it once named."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

GONE_STATES = "ZX"


class ProcessId(msgspec.Struct, frozen=True):
    """A process that lived at some time; `start_time` is in clock ticks since boot."""

    pid: int
    start_time: int

    def lives(self) -> bool:
        """Whether this very process is still there; a zombie is not."""
        stat = _stat(self.pid)
        return stat is not None and stat == (stat[0], self.start_time) and stat[0] not in GONE_STATES


def identify(pid: int) -> ProcessId:
    """The process that has this pid now. Raises ProcessLookupError."""
    stat = _stat(pid)
    if stat is None:
        raise ProcessLookupError(f"no process {pid}")
    return ProcessId(pid, stat[1])


def descendants(ancestor: int) -> list[ProcessId]:
    """The processes below that one, as far as /proc tells."""
    below: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if (parent := _parent(int(folder.name))) is not None:
            below.setdefault(parent, []).append(int(folder.name))
    found, fresh = list[int](), below.pop(ancestor, [])
    while fresh:
        found += fresh
        fresh = [child for parent in fresh for child in below.pop(parent, [])]
    return [process for process in map(_identified, found) if process is not None]


def runs(process: ProcessId, words: tuple[bytes, ...]) -> bool:
    """Whether these words follow each other on its command line."""
    try:
        line = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(tuple(line[n : n + len(words)]) == words for n in range(len(line)))


def end(processes: Iterable[ProcessId], within_s: float) -> None:
    """Asks each to end, and kills what is left after the limit. Frozen ones are woken so that they can hear."""
    left = [process for process in processes if process.lives()]
    for process in left:
        _signal(process, signal.SIGTERM)
        _signal(process, signal.SIGCONT)
    for process in _await_gone(left, within_s):
        _signal(process, signal.SIGKILL)
    _await_gone(left, within_s)


def _await_gone(processes: list[ProcessId], within_s: float) -> list[ProcessId]:
    deadline = time.monotonic() + within_s
    while (left := [process for process in processes if process.lives()]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def _signal(process: ProcessId, number: int) -> None:
    if process.lives():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _identified(pid: int) -> ProcessId | None:
    stat = _stat(pid)
    return None if stat is None or stat[0] in GONE_STATES else ProcessId(pid, stat[1])


def _parent(pid: int) -> int | None:
    fields = _fields(pid)
    return None if fields is None else int(fields[1])


def _stat(pid: int) -> tuple[str, int] | None:
    fields = _fields(pid)
    return None if fields is None else (fields[0], int(fields[19]))


def _fields(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is a name in brackets that may hold anything, brackets too.
    return text.rpartition(")")[2].split()
