"""What both halves of a connection's dialogue have, one on each link, nearest to the upstream.

Requests meet the other toxics first, and answers last, so that an answer of ours is as late as one of the service.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING

from chaos_runner.proxy.stages.stage import HELD_BYTES_MAX, Item, Sink

if TYPE_CHECKING:
    from chaos_runner.proxy.http.dialogue import Dialogue

EXCHANGES_MAX = 1000  # requests under way on one connection; more are held back


class Half:
    """What a link sees of the dialogue: a stage like those of the other toxics."""

    def __init__(self, dialogue: Dialogue) -> None:
        self.dialogue = dialogue
        self.after: Sink = dialogue.up
        self.queue: deque[tuple[float, float, Item]] = deque()
        self.held = 0

    def glance(self, data: bytes) -> bytes | None:
        """What passes now, with nothing left to do: mostly all of it; None where it has to be fed."""
        raise NotImplementedError

    def feed(self, at: float, item: Item) -> None:
        """Takes what arrives."""
        raise NotImplementedError

    def due(self) -> float:
        """When `wake` has something to do next."""
        return self.queue[0][0] if self.queue else inf

    def wake(self, now: float) -> None:
        """Hands on everything that is due."""
        while self.queue and self.queue[0][0] <= now:
            self.leave()

    def leave(self) -> None:
        due, at, item = self.queue.popleft()
        self.held -= len(item) if isinstance(item, bytes) else 0
        self.after.feed(max(due, at), item)

    def pass_on(self, at: float, due: float, item: Item) -> None:
        """At `due`, and not before what came earlier."""
        if due <= at and not self.queue:
            self.after.feed(at, item)
            return
        self.queue.append((max(due, self.queue[-1][0] if self.queue else due), at, item))
        self.held += len(item) if isinstance(item, bytes) else 0

    def release(self, now: float) -> None:
        """Hands on everything held; the toxics are gone."""
        while self.queue:
            self.leave()

    def full(self, share: float) -> bool:
        """True when more is under way than this share of what may be."""
        return len(self.dialogue.exchanges) > EXCHANGES_MAX * share or self.held > HELD_BYTES_MAX * share
