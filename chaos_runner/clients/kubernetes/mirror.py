"""A copy of everything that matches, kept up to date by a watch; lists only to begin, and where history is lost.

Whoever reads it can tell how old it may be: `heard_at` is when the server last answered, and a watch that hears
nothing ends by itself after `lasts_s`, so that silence is never longer than that while the server is well.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

import anyio

from chaos_runner.api import Doubt, Refused
from chaos_runner.clients.kubernetes import lists, refusals, watch
from chaos_runner.clients.kubernetes.connection import Cluster
from chaos_runner.clients.kubernetes.lists import Object
from chaos_runner.clock import nursery

LASTS_S = 5
PAUSE_MIN_S, PAUSE_MAX_S = 0.2, 5.0
T = TypeVar("T", bound=Object)


class Mirror(Generic[T]):
    """What matches now, by uid. `trouble` is why it is not up to date; empty while it is."""

    def __init__(
        self,
        cluster: Cluster,
        kind: type[T],
        namespace: str | None,
        labels: str | None,
        fields: str | None,
        lasts_s: int,
    ) -> None:
        self.items: dict[str, T] = {}
        self.heard_at = anyio.current_time()
        self.trouble = ""
        self.lists = 0
        self._asked = (cluster, kind, namespace)
        self._labels, self._fields = labels, fields
        self._lasts_s = lasts_s
        self._version = ""
        self._changed = anyio.Event()

    async def until(self, holds: Callable[[dict[str, T]], bool], within_s: float) -> bool:
        """Whether this came true in time; looked at after each change."""
        with anyio.move_on_after(within_s):
            while not holds(self.items):
                await self._changed.wait()
            return True
        return holds(self.items)

    async def begin(self) -> None:
        """Lists once. Raises Refused or Doubt."""
        found = await lists.every(*self._asked, labels=self._labels, fields=self._fields)
        self.lists += 1
        self.items = {item.metadata.uid: item for item in found.items}
        self._version = found.resource_version
        self._heard()

    async def follow(self) -> None:
        """Watches until it is cancelled, whatever the server says: one that has just started refuses for a while."""
        pause_s = PAUSE_MIN_S
        while True:
            try:
                if not self._version:
                    await self.begin()
                await self._watch()
                pause_s = PAUSE_MIN_S
            except refusals.Expired:
                self._version = ""  # the list is begun anew, at once
            except (Refused, Doubt) as why:
                self.trouble = str(why)
                await anyio.sleep(pause_s)
                pause_s = min(pause_s * 2, PAUSE_MAX_S)

    async def _watch(self) -> None:
        async with watch.opened(
            *self._asked, self._version, labels=self._labels, fields=self._fields, lasts_s=self._lasts_s
        ) as line:
            self._heard()
            while (change := await line.next()) is not None:
                self._version = change.resource_version
                self._take(change)
                self._heard()
        self._heard()

    def _take(self, change: watch.Change[T]) -> None:
        if change.item is None:
            return
        if change.kind == "DELETED":
            self.items.pop(change.item.metadata.uid, None)
        else:
            self.items[change.item.metadata.uid] = change.item

    def _heard(self) -> None:
        self.heard_at = anyio.current_time()
        self.trouble = ""
        self._changed.set()
        self._changed = anyio.Event()


@contextlib.asynccontextmanager
async def following(
    cluster: Cluster,
    kind: type[T],
    namespace: str | None,
    *,
    labels: str | None = None,
    fields: str | None = None,
    lasts_s: int = LASTS_S,
) -> AsyncIterator[Mirror[T]]:
    """A mirror that is kept for as long as the block runs. Raises what the first list raises."""
    mirror = Mirror(cluster, kind, namespace, labels, fields, lasts_s)
    await mirror.begin()
    async with nursery() as group:
        group.start_soon(mirror.follow)
        try:
            yield mirror
        finally:
            group.cancel_scope.cancel()
