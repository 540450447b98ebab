"""What every stage has: a place in the chain, what it holds, and when that is due.

Synchronous and without a clock: every call says what time it is. A stage passes items on with the time at which they
were due, so that a late wake-up does not add up along the chain. What has to be held waits in a deque.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Protocol, TypeAlias

from chaos_runner.proxy.toxics import Toxic

HELD_BYTES_MAX = 32 << 20
CHUNK_BYTES = 32 << 10  # what comes in larger pieces is cut before the stages


class End(enum.Enum):
    """How a link's data ends."""

    FIN = "the sender has finished; the other direction lives on"
    CUT = "both sides are closed"
    RST = "both sides are reset"


# Ask for bytes: an instance of an enum is told three times as slowly.
Item: TypeAlias = bytes | End


class Sink(Protocol):
    def feed(self, at: float, item: Item) -> None: ...


class Stage:
    """One toxic on one link; this one passes everything on.

    `after` takes what leaves. `touched` is called with the bytes of each chunk that the toxic did something to.
    """

    chunks_max = 4

    def __init__(self, toxic: Toxic, after: Sink, touched: Callable[[int], None], now: float, seed: str) -> None:
        self.toxic = toxic
        self.after = after
        self.touched = touched
        self.seed = seed
        self.queue: deque[tuple[float, float, Item]] = deque()
        self.held = 0
        self.begin(now)

    def begin(self, now: float) -> None:
        """Sets up what the toxic needs from the moment it is there."""

    def feed(self, at: float, item: Item) -> None:
        self.after.feed(at, item)

    def due(self) -> float:
        """When `wake` has something to do next."""
        return self.queue[0][0] if self.queue else inf

    def wake(self, now: float) -> None:
        """Hands on everything that is due."""
        while self.queue and self.queue[0][0] <= now:
            due, _, _ = self.queue[0]
            self.leave(due)

    def change(self, now: float) -> None:
        """The attributes have changed: the item in hand leaves at once, the others are timed anew."""

    def release(self, now: float) -> None:
        """Hands on everything held, in order; the toxic no longer applies here."""
        while self.queue:
            self.leave(now)

    def remove(self, now: float) -> None:
        """The toxic was deleted."""
        self.release(now)

    def full(self, share: float) -> bool:
        """True when the stage holds more than this share of what it may."""
        return len(self.queue) > self.chunks_max * share or self.held > HELD_BYTES_MAX * share

    def hold(self, due: float, at: float, item: Item) -> None:
        self.queue.append((due, at, item))
        if isinstance(item, bytes):
            self.held += len(item)
            self.touched(len(item))

    def leave(self, when: float) -> None:
        _, at, item = self.queue.popleft()
        when = max(when, at)
        if isinstance(item, bytes):
            self.held -= len(item)
            self.toxic.count.delay_s += when - at
        self.after.feed(when, item)

    def seconds(self, attribute: str) -> float:
        return self.toxic.attributes[attribute] / 1000
