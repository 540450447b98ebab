"""The halt button: the lever is pulled at once; how long it took until no fault was open is found out beside it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import msgspec

from chaos_runner.store import levers

KEPT_MAX = 32
WAITS_MAX = 4

Waiting = Callable[[Path, str, float], tuple[list[str], str]]
"""Waits until what a lever concerns, pulled at that Unix time, has no fault open.

One sentence for each run, and what could not be seen.
"""


class Halt(msgspec.Struct):
    """One pull. `gone` is filled once it is known, `trouble` says what could not be seen."""

    number: int
    scope: str
    who: str
    pulled_ms: int
    state: str = "waiting"
    gone: tuple[str, ...] = ()
    trouble: str = ""
    unrecorded: str = ""  # why the game day does not know of it


class Halts:
    """The pulls of this server, the newest kept. The wait has a limit of its own, and a thread that ends with us."""

    def __init__(self, state_dir: Path, wait: Waiting) -> None:
        self._state_dir = state_dir
        self._wait = wait
        self._kept: OrderedDict[int, Halt] = OrderedDict()
        self._count = 0
        self._room = threading.Semaphore(WAITS_MAX)
        self._threads: list[threading.Thread] = []

    def pull(self, scope: str, who: str, reason: str, then: Callable[[], str] | None = None) -> Halt:
        """Pulls the lever, does what comes `then`, and watches. Raises StoreError where it cannot be pulled."""
        began, at = time.monotonic(), time.time()
        levers.pull(self._state_dir, scope, who, reason)
        self._count += 1
        halt = Halt(self._count, scope, who, round((time.monotonic() - began) * 1000))
        self._kept[halt.number] = halt
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        if self._room.acquire(blocking=False):
            self._threads = [one for one in self._threads if one.is_alive()]
            self._threads.append(threading.Thread(target=self._watch, args=(halt, at, then), daemon=True))
            self._threads[-1].start()
        else:
            halt.state, halt.trouble = "done", "too many halts are being watched; the lever holds all the same"
        return halt

    def of(self, number: int) -> Halt | None:
        """A pull that is still known."""
        return self._kept.get(number)

    def ended(self, within_s: float) -> bool:
        """Waits for those that watch; whether none does any more."""
        until = time.monotonic() + within_s
        for one in self._threads:
            one.join(max(0.0, until - time.monotonic()))
        return not any(one.is_alive() for one in self._threads)

    def _watch(self, halt: Halt, at: float, then: Callable[[], str] | None) -> None:
        try:
            halt.unrecorded = then() if then is not None else ""
            gone, halt.trouble = self._wait(self._state_dir, halt.scope, at)
            halt.gone = tuple(gone)
        finally:
            halt.state = "done"
            self._room.release()
