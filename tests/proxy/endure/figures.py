"""What a process uses, as the kernel and the process itself say, and whether that grows."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.proxy import toxi

WATCHED = (str(Path(__file__).with_name("watched.py")),)
TICK = os.sysconf("SC_CLK_TCK")
MEMORY_SHARE, MEMORY_KB = 0.05, 2048
COUNT_SHARE, COUNT = 0.10, 10
LOOKS_MIN = 9


class Use(NamedTuple):
    """One look at a process."""

    at: float
    memory_kb: int
    files: int
    threads: int
    cpu_s: float
    alive: dict[str, int]


def start(log: Path, *arguments: str) -> toxi.Api:
    """A proxy that can be looked into."""
    return toxi.start_embedded(log, *arguments, start=WATCHED)


def look(api: toxi.Api) -> Use:
    """The process as it is now."""
    pid, process = api.process.pid, api.process
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"?\n")
    process.stdin.flush()
    alive: dict[str, int] = json.loads(process.stdout.readline())
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    memory, threads = int(status["VmRSS"].split()[0]), int(status["Threads"])
    return Use(time.monotonic(), memory, files, threads, cpu_s(pid), alive)


def cpu_s(pid: int) -> float:
    """Seconds of processor time so far."""
    # The name in brackets may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def calm(api: toxi.Api, before: Use, limit_s: float) -> Use:
    """The proxy once nothing is left of a load, or what is left when waiting for that is over."""
    end = time.monotonic() + limit_s
    while left(before, now := look(api)) and time.monotonic() < end:
        time.sleep(0.1)
    return now


def growth(looks: Sequence[Use]) -> list[str]:
    """What grew, as sentences: the median of the last third against that of the third before it.

    Memory may differ by 5 % or 2 MiB, every count by 10 % or 10, whichever is more: load is never the same twice.
    """
    if len(looks) < LOOKS_MIN:
        return [f"{len(looks)} looks are too few to tell"]
    found = []
    for name, (before, after) in thirds(looks).items():
        share, more = (MEMORY_SHARE, MEMORY_KB) if name == "memory_kb" else (COUNT_SHARE, COUNT)
        if name != "objects" and after > before + max(before * share, more):
            found.append(f"{name} grew from {before:g} to {after:g}")
    return found


def thirds(looks: Sequence[Use]) -> dict[str, tuple[float, float]]:
    """Of each figure the medians of the second third and of the last."""
    third = len(looks) // 3
    return {
        name: (statistics.median(values[-2 * third : -third]), statistics.median(values[-third:]))
        for name, values in series(looks).items()
    }


def series(looks: Sequence[Use]) -> dict[str, list[float]]:
    """Each figure over time."""
    own: dict[str, list[float]] = {
        name: [float(getattr(one, name)) for one in looks] for name in ("memory_kb", "files", "threads")
    }
    return own | {name: [float(one.alive[name]) for one in looks] for name in looks[0].alive}


def left(before: Use, after: Use) -> list[str]:
    """What an idle proxy has that it had not before the load."""
    found = [
        f"{after.alive[name] - before.alive[name]} more {name}"
        for name in before.alive
        if name != "objects" and after.alive[name] > before.alive[name]
    ]
    return found + ([f"{after.files - before.files} more files"] if after.files > before.files else [])
