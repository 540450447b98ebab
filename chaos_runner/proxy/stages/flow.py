"""Toxics that say how data flows: so many bytes a second, or in pieces."""

from __future__ import annotations

import random
from math import inf

from chaos_runner.proxy.stages.stage import Item, Stage

SLICE_DELAY_FLOOR_S = 0.001
SLICES_AT_ONCE = 256
NEXT_TURN_S = 1e-6  # later than now, so that the loop looks after everybody else first


class Bandwidth(Stage):
    """At most `rate` kB/s: chunks follow each other, and large ones go in pieces of a tenth of a second."""

    def begin(self, now: float) -> None:
        self.free_at = now
        self.next_at = inf

    def feed(self, at: float, item: Item) -> None:
        if not isinstance(item, bytes) and not self.queue:
            self.after.feed(at, item)
            return
        self.hold(inf, at, item)
        if len(self.queue) == 1:
            self.plan()

    def plan(self) -> None:
        """Says when the head's next piece is through."""
        self.next_at = inf
        if not self.queue:
            return
        _, at, item = self.queue[0]
        rate = self.toxic.attributes["rate"]
        start = max(at, self.free_at)
        if not isinstance(item, bytes):
            self.next_at = start
        elif rate > 0:
            self.next_at = start + min(len(item), rate * 100) / (rate * 1000)

    def due(self) -> float:
        return self.next_at

    def wake(self, now: float) -> None:
        while self.next_at <= now:
            self.free_at = self.next_at
            self.send_piece()
            self.plan()

    def send_piece(self) -> None:
        due, at, item = self.queue[0]
        piece = self.toxic.attributes["rate"] * 100
        if not isinstance(item, bytes) or len(item) <= piece:
            self.leave(self.free_at)
            return
        self.queue[0] = (due, at, item[piece:])
        self.held -= piece
        self.after.feed(self.free_at, item[:piece])

    def change(self, now: float) -> None:
        if self.queue:
            self.leave(now)
        self.free_at = now
        self.plan()

    def release(self, now: float) -> None:
        super().release(now)
        self.next_at = inf


class Slicer(Stage):
    """Cuts data into pieces of about average_size, `delay` µs apart (a millisecond at least).

    Each piece is cut when it leaves: a flood in single bytes must not stop everybody else for as long as that takes.
    """

    def begin(self, now: float) -> None:
        self.free_at = now
        self.random: random.Random | None = None
        # What is left of the first in the queue, as ranges; the next one is the last.
        self.uncut: list[tuple[int, int]] = []

    def feed(self, at: float, item: Item) -> None:
        if not isinstance(item, bytes) and not self.queue:
            self.after.feed(at, item)
        else:
            self.hold(inf, at, item)

    def due(self) -> float:
        return self.free_at if self.queue else inf

    def wake(self, now: float) -> None:
        # The pause counts from the sending, so that a late wake-up does not glue pieces together.
        delay = self.toxic.attributes["delay"] / 1_000_000
        pieces = 1 if delay else SLICES_AT_ONCE
        while pieces and self.queue and self.free_at <= now:
            self.send_piece(now)
            pieces -= 1
        if not pieces:
            self.free_at = now + (max(delay, SLICE_DELAY_FLOOR_S) if delay else NEXT_TURN_S)

    def send_piece(self, now: float) -> None:
        _, at, item = self.queue[0]
        if not isinstance(item, bytes):
            self.leave(now)
            return
        start, end = self.cut(len(item))
        if not self.uncut:
            self.queue.popleft()
        self.held -= end - start
        self.toxic.count.delay_s += max(now - at, 0.0)
        self.after.feed(max(now, at), item[start:end])

    def cut(self, size: int) -> tuple[int, int]:
        """The next piece: halves until no longer than average_size + size_variation; the middle wanders a little."""
        average, variation = self.toxic.attributes["average_size"], self.toxic.attributes["size_variation"]
        start, end = self.uncut.pop() if self.uncut else (0, size)
        while end - start - average > variation:
            middle = start + (end - start) // 2
            if variation:  # a generator takes 2.5 kB: only links that vary have one
                self.random = self.random or random.Random(self.seed)
                middle += self.random.randrange(-variation, variation)
            middle = min(max(middle, start + 1), end - 1)
            self.uncut.append((middle, end))
            end = middle
        return start, end

    def release(self, now: float) -> None:
        sent = self.uncut[-1][0] if self.uncut else 0
        rest = b"".join(item for _, _, item in self.queue if isinstance(item, bytes))[sent:]
        ends = [item for _, _, item in self.queue if not isinstance(item, bytes)]
        self.queue.clear()
        self.uncut.clear()
        self.held = 0
        for item in ([rest] if rest else []) + ends:
            self.after.feed(now, item)
