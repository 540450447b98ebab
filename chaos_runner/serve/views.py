"""What many pages show of one look at the store: made once for all of them, in a thread.

Watching one run takes at most a tenth of a core, however many watch: what took long is made less often.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from chaos_runner.serve.looking import DayShot, RunShot, Shots

T = TypeVar("T")
KEPT_MAX = 64


class Views:
    """What was made of the newest shots, by a name and what they are of."""

    def __init__(self, shots: Shots) -> None:
        self._shots = shots
        self._kept: OrderedDict[tuple[str, str], tuple[RunShot | DayShot, Any]] = OrderedDict()
        self._locks: dict[tuple[str, str], anyio.Lock] = {}

    async def of(self, name: str, of: str, shot: RunShot | DayShot, make: Callable[[], T]) -> T:
        """What `make` makes of this shot; what it made before, where it is the same one."""
        key = (name, of)
        async with self._locks.setdefault(key, anyio.Lock()):
            kept = self._kept.get(key)
            if kept is not None and kept[0] is shot:
                found: T = kept[1]
                return found
            began = time.monotonic()
            made = await anyio.to_thread.run_sync(make)
            self._shots.rest(of, time.monotonic() - began)
            self._kept[key] = (shot, made)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT_MAX:
                old, _ = self._kept.popitem(last=False)
                self._locks.pop(old, None)
            return made
