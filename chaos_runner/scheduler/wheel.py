"""Which schedule is due next, and what has come due: a heap of next instants. No clock and no store of its own."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

import msgspec

HORIZON_S = 8 * 86400.0  # how far ahead one look goes
SLOTS_MAX = 10_000  # of one schedule in one go: what is more is missed all the same


class Instant(Protocol):
    """A slot: when it is due, and what it is known by."""

    @property
    def due(self) -> float:
        """When it may start."""
        ...


S_co = TypeVar("S_co", bound=Instant, covariant=True)


class Dated(Protocol[S_co]):
    """Something with slots."""

    def due(self, after: float, before: float) -> Iterator[S_co]:
        """Its slots that are due in (after, before], in order."""
        ...


D = TypeVar("D", bound=Dated[Any])


class Due(msgspec.Struct, Generic[D], frozen=True):
    """What came due of one schedule: the latest slot, the one before it, and how many came before the latest."""

    item: D
    slot: Any
    first: float
    before: Any = None
    earlier: int = 0


class Wheel(Generic[D]):
    """The next slot of each of many schedules."""

    def __init__(self, items: Iterable[D], after: float) -> None:
        self._items = list(items)
        self._at = after
        self._heap: list[tuple[float, int, bool]] = [self._next(n, after) for n in range(len(self._items))]
        heapq.heapify(self._heap)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def at(self) -> float:
        """Everything up to here was popped."""
        return self._at

    def next(self) -> float | None:
        """When there is something to pop; perhaps only to look further ahead."""
        return self._heap[0][0] if self._heap else None

    def pop(self, now: float) -> list[Due[D]]:
        """What came due up to `now`, each schedule at most once."""
        popped = []
        while self._heap and self._heap[0][0] <= now:
            first, n, real = self._heap[0]
            if real:
                popped.append(self._due(n, first, now))
            heapq.heapreplace(self._heap, self._next(n, max(now, first)))
        self._at = max(self._at, now)
        return popped

    def _due(self, n: int, first: float, now: float) -> Due[D]:
        item = self._items[n]
        before, slot, count = None, None, 0
        for one in itertools.islice(item.due(first - 1, now), SLOTS_MAX):
            before, slot, count = slot, one, count + 1
        return Due(item, slot, first, before, count - 1)

    def _next(self, n: int, after: float) -> tuple[float, int, bool]:
        until = after + HORIZON_S
        slot = next(self._items[n].due(after, until), None)
        return (until, n, False) if slot is None else (slot.due, n, True)
