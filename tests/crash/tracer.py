"""strace, as a means to stop a process at its n-th system call of a name: killed there, or told that it failed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ATTACH_S = 10.0
DETACH_S = 1.0
_LINE = re.compile(r"^(?:(?P<pid>\d+) +)?(?P<name>[a-z_0-9]+)\((?P<rest>.*)")


class Where(NamedTuple):
    """The n-th call of a name, in whichever thread; what then happens: "KILL", or an error such as "ENOSPC".

    With `on` the error stays from there on.
    """

    name: str
    n: int
    what: str = "KILL"
    on: bool = False

    def __str__(self) -> str:
        return f"{self.name}#{self.n}{'+' if self.on else ''}:{self.what}"

    def options(self) -> list[str]:
        effect = "signal=SIGKILL" if self.what == "KILL" else f"error={self.what}"
        when = f"{self.n}+" if self.on else str(self.n)
        return ["-e", f"trace={self.name}", "-e", f"inject={self.name}:{effect}:when={when}"]


def problem() -> str:
    """Why nothing can be traced here, as a sentence; empty when it can."""
    if shutil.which("strace") is None:
        return "no strace: `make real` installs it"
    try:
        with subprocess.Popen(["sleep", "5"]) as sleeper:
            try:
                with attached(sleeper.pid, [], Path(os.devnull)):
                    return ""
            finally:
                sleeper.kill()
    except AssertionError as why:
        return f"strace cannot attach here: {why}"


@contextlib.contextmanager
def attached(pid: int, options: list[str], out: Path, *, threads: bool = False) -> Iterator[None]:
    """Traces the process for as long as the block, or the process, lasts; with `threads` those and its children too."""
    errors = out.with_suffix(".err") if out != Path(os.devnull) else out
    with errors.open("wb") as said:
        tracer = subprocess.Popen(
            ["strace", "-q", *(["-f"] if threads else []), "-p", str(pid), "-o", str(out), *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: _traced_by(pid) or tracer.poll() is not None, ATTACH_S)
        assert tracer.poll() is None, errors.read_text() if errors.is_file() else "it ended"
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            tracer.send_signal(signal.SIGTERM)  # it lets go; what it traced lives on
        try:
            tracer.wait(DETACH_S)
        except subprocess.TimeoutExpired:  # it may wait for ever for a thread of what it has just killed
            tracer.kill()
            tracer.wait(ATTACH_S)


def _traced_by(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("TracerPid:"):
                return int(line.split()[1])
    return 0


def until(holds: Callable[[], object], limit_s: float) -> bool:
    """Whether it came to hold in time."""
    end = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


class Step(NamedTuple):
    """One system call of a trace: which thread, its name, the rest of the line, and which of its name in its thread."""

    pid: int
    name: str
    rest: str
    n: int


def steps(trace: Path) -> list[Step]:
    """The system calls of a trace, in order."""
    found, counts = list[Step](), Counter[tuple[int, str]]()
    for line in trace.read_text(encoding="utf-8", errors="replace").splitlines():
        if (seen := _LINE.match(line)) is None:
            continue  # the end of a call that was interrupted, a signal, an exit
        pid, name = int(seen["pid"] or 0), seen["name"]
        counts[pid, name] += 1
        found.append(Step(pid, name, seen["rest"], counts[pid, name]))
    return found
