"""The control groups below which a node keeps its pods: made, and removed when nobody is in them."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = "cxk"
REMOVE_S = 20.0


def hierarchies() -> Iterator[Path]:
    """Where each hierarchy is mounted."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        words = line.split()
        if words[words.index("-") + 1] in {"cgroup", "cgroup2"}:
            yield Path(words[4])


def make(name: str) -> None:
    """Makes a group in every hierarchy; one of processors needs to be told which."""
    for top in hierarchies():
        group = top / name
        group.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (top / file).exists():
                (group / file).write_text((top / file).read_text())


def names() -> set[str]:
    """All groups that nodes have, or had."""
    found = (one.name for top in hierarchies() for one in top.glob(f"{PREFIX}*"))
    return {name for name in found if re.fullmatch(rf"{PREFIX}\d+n\d+", name)}


def remove(name: str) -> None:
    """Removes the group and all below it, once its last process is gone."""
    ends = time.monotonic() + REMOVE_S
    for top in hierarchies():
        while (top / name).exists():
            for folder, _, _ in os.walk(top / name, topdown=False):
                with contextlib.suppress(OSError):  # a process that was killed just now may still be in it
                    Path(folder).rmdir()
            assert time.monotonic() < ends, f"the group {top / name} is not empty"
            time.sleep(0.05)


def remove_left() -> list[str]:
    """Removes the groups of nodes that are gone, and says which."""
    left = sorted(name for name in names() if not Path("/sys/class/net", name).exists())
    for name in left:
        remove(name)
    return left
