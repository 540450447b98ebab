"""Calls the controllers: each change makes some objects due, and each due object is looked at once, in turn."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import Protocol

from chaos_runner.pocket.cluster import kinds
from chaos_runner.pocket.cluster.store import Change, Store

BREATHE_AFTER_S = 0.005
AGAIN_AFTER_TROUBLE_S = 5.0


class Controller(Protocol):
    """Brings what is there nearer to what was asked for."""

    def concerns(self, change: Change) -> Iterable[str]:
        """The keys that are due after a change."""

    def reconcile(self, key: str) -> float | None:
        """Looks at one object; the seconds after which it wants to look again, if so."""


class Loop:
    """All controllers over one store."""

    def __init__(self, store: Store, controllers: Iterable[Controller]) -> None:
        self._store = store
        self._controllers = tuple(controllers)
        self._due: dict[tuple[int, str], None] = {}
        self._woken = asyncio.Event()
        self._timers: dict[tuple[int, str], asyncio.TimerHandle] = {}
        store.listen(self._heard)

    def begin(self) -> None:
        """Everything that is there already is due, but for pods: whoever cares for them looks at their owners."""
        for kind in kinds.KINDS:
            if kind is not kinds.PODS:
                for key, obj in self._store.shelf(kind).under(""):
                    self._heard(Change(self._store.version, kind, key, None, obj))

    async def run(self) -> None:
        """Works until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._woken.wait()
            self._woken.clear()
            began = loop.time()
            while self._due:
                n, key = mark = next(iter(self._due))
                del self._due[mark]
                self._look(n, key)
                if loop.time() - began > BREATHE_AFTER_S:
                    await asyncio.sleep(0)
                    began = loop.time()

    def _look(self, n: int, key: str) -> None:
        try:
            again_s = self._controllers[n].reconcile(key)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as why:
            # Objects have no schema here: one that makes no sense must not stop the work on all others.
            sys.stderr.write(f"{type(self._controllers[n]).__name__} cannot work on {key}: {why!r}\n")
            again_s = AGAIN_AFTER_TROUBLE_S
        if again_s is not None:
            self._later(n, key, again_s)

    def _later(self, n: int, key: str, seconds: float) -> None:
        if (timer := self._timers.pop((n, key), None)) is not None:
            timer.cancel()
        loop = asyncio.get_running_loop()
        self._timers[n, key] = loop.call_later(max(0.01, seconds), self._timed, n, key)

    def _timed(self, n: int, key: str) -> None:
        self._timers.pop((n, key), None)
        self._make_due(n, key)

    def _heard(self, change: Change) -> None:
        for n, controller in enumerate(self._controllers):
            for key in controller.concerns(change):
                self._make_due(n, key)

    def _make_due(self, n: int, key: str) -> None:
        self._due[n, key] = None
        self._woken.set()
