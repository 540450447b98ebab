"""Runs the embedded proxy as it is, and answers each line on stdin with what lives in it, as a line on stdout.

A script for a process of its own: `python watched.py -port 0`. A thread looks at the garbage collector's list, so that
nothing of the proxy is touched or replaced.
"""

from __future__ import annotations

import asyncio
import collections
import gc
import json
import sys
import threading

from chaos_runner.proxy.__main__ import main

COUNTED = ("Connection", "Dialogue", "Exchange", "Half", "Lease", "Link", "Proxy", "Side", "Stage", "Toxic")


def census() -> dict[str, int]:
    """Objects of the proxy by kind, tasks that are not done, and everything that the collector knows."""
    gc.collect()
    everything = gc.get_objects()
    kinds = collections.Counter(kind(one) for one in everything)
    found = {name: kinds[name] for name in COUNTED}
    tasks = sum(isinstance(one, asyncio.Task) and not one.done() for one in everything)
    return {**found, "tasks": tasks, "threads": threading.active_count() - 1, "objects": len(everything)}


def kind(one: object) -> str:
    """The class of one of the proxy's own objects, any toxic at work being a Stage; of others nothing."""
    mine = type(one).__mro__
    if not str(mine[0].__module__).startswith("chaos_runner.proxy"):
        return ""
    return next((base.__name__ for base in mine if base.__name__ in {"Stage", "Half"}), mine[0].__name__)


def answer() -> None:
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(census()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    threading.Thread(target=answer, daemon=True).start()
    sys.exit(main(sys.argv[1:]))
