"""Toxics that hold back what passes: all data, or its end."""

from __future__ import annotations

import random
from collections import deque

from chaos_runner.proxy.stages.stage import Item, Stage


class Latency(Stage):
    """Each chunk leaves latency ± jitter after its own arrival, in order; an end waits only for data before it."""

    chunks_max = 1024

    def begin(self, now: float) -> None:
        self.random: random.Random | None = None

    def feed(self, at: float, item: Item) -> None:
        due = max(at + self.delay(item), self.queue[-1][0] if self.queue else at)
        if due <= at and not self.queue:
            self.after.feed(at, item)
        else:
            self.hold(due, at, item)

    def delay(self, item: Item) -> float:
        if not isinstance(item, bytes):
            return 0.0
        if not (jitter := self.seconds("jitter")):
            return self.seconds("latency")
        # A generator takes 2.5 kB, so only links with jitter have one.
        self.random = self.random or random.Random(self.seed)
        return self.seconds("latency") + self.random.uniform(-jitter, jitter)

    def change(self, now: float) -> None:
        if self.queue:
            self.leave(now)
        waiting, self.queue = self.queue, deque()
        last = now
        for _, at, item in waiting:
            last = max(last, at + self.delay(item))
            self.queue.append((last, at, item))


class SlowClose(Stage):
    """Data passes; the end of it waits."""

    def feed(self, at: float, item: Item) -> None:
        if not isinstance(item, bytes):
            self.touched(0)
            self.queue.append((at + self.seconds("delay"), at, item))
        else:
            self.after.feed(at, item)

    def change(self, now: float) -> None:
        self.queue = deque((at + self.seconds("delay"), at, item) for _, at, item in self.queue)
