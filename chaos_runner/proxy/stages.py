"""Toxics at work: each stage takes what arrives on one link and hands it on later, in pieces, or not at all.

Synchronous and without a clock: every call says what time it is. A stage passes items on with the time at which they
were due, so that a late wake-up does not add up along the chain. What has to be held waits in a deque.
"""

from __future__ import annotations

import enum
import random
from collections import deque
from collections.abc import Callable, Mapping
from math import inf
from typing import Protocol, TypeAlias

from chaos_runner.proxy.toxics import Toxic

SLICE_DELAY_FLOOR_S = 0.001
SLICES_AT_ONCE = 256
NEXT_TURN_S = 1e-6  # later than now, so that the loop looks after everybody else first
HELD_BYTES_MAX = 32 << 20


class End(enum.Enum):
    """How a link's data ends."""

    FIN = "the sender has finished; the other direction lives on"
    CUT = "both sides are closed"
    RST = "both sides are reset"


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
        if isinstance(item, End):
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


class Bandwidth(Stage):
    """At most `rate` kB/s: chunks follow each other, and large ones go in pieces of a tenth of a second."""

    def begin(self, now: float) -> None:
        self.free_at = now
        self.next_at = inf

    def feed(self, at: float, item: Item) -> None:
        if isinstance(item, End) and not self.queue:
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
        if isinstance(item, End):
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
        if isinstance(item, End) or len(item) <= piece:
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


class SlowClose(Stage):
    """Data passes; the end of it waits."""

    def feed(self, at: float, item: Item) -> None:
        if isinstance(item, End):
            self.touched(0)
            self.queue.append((at + self.seconds("delay"), at, item))
        else:
            self.after.feed(at, item)

    def change(self, now: float) -> None:
        self.queue = deque((at + self.seconds("delay"), at, item) for _, at, item in self.queue)


class Timeout(Stage):
    """Drops everything; after `timeout` of silence cuts the connection, with 0 never. So does deleting the toxic."""

    def begin(self, now: float) -> None:
        self.deadline = inf
        self.restart(now)

    def restart(self, now: float) -> None:
        wait = self.seconds("timeout")
        self.deadline = now + wait if wait > 0 else inf

    def feed(self, at: float, item: Item) -> None:
        if isinstance(item, End):
            self.deadline = inf
            self.after.feed(at, item)
            return
        self.touched(len(item))
        self.restart(at)

    def due(self) -> float:
        return self.deadline

    def wake(self, now: float) -> None:
        if self.deadline <= now:
            self.deadline = inf
            self.after.feed(now, End.CUT)

    def change(self, now: float) -> None:
        self.restart(now)

    def remove(self, now: float) -> None:
        # Bytes are missing from the stream: letting it go on would corrupt it.
        self.after.feed(now, End.CUT)


class ResetPeer(Stage):
    """Resets both sides `timeout` after the first thing that arrives; deleting the toxic in time lets it all pass."""

    def begin(self, now: float) -> None:
        self.first_at: float | None = None
        self.spent = False

    def feed(self, at: float, item: Item) -> None:
        if self.spent:
            return
        self.hold(inf, at, item)
        self.first_at = at if self.first_at is None else self.first_at
        if self.due() <= at:
            self.wake(at)

    def due(self) -> float:
        if self.first_at is None or self.spent:
            return inf
        return self.first_at + self.seconds("timeout")

    def wake(self, now: float) -> None:
        if self.due() <= now:
            self.spent = True
            self.queue.clear()
            self.after.feed(now, End.RST)


class Slicer(Stage):
    """Cuts data into pieces of about average_size, `delay` µs apart (a millisecond at least).

    Each piece is cut when it leaves: a flood in single bytes must not stop everybody else for as long as that takes.
    """

    def begin(self, now: float) -> None:
        self.free_at = now
        self.random = random.Random(self.seed)
        # What is left of the first in the queue, as ranges; the next one is the last.
        self.uncut: list[tuple[int, int]] = []

    def feed(self, at: float, item: Item) -> None:
        if isinstance(item, End) and not self.queue:
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
        if isinstance(item, End):
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
            if variation:
                middle += self.random.randrange(-variation, variation)
            middle = min(max(middle, start + 1), end - 1)
            self.uncut.append((middle, end))
            end = middle
        return start, end

    def release(self, now: float) -> None:
        sent = self.uncut[-1][0] if self.uncut else 0
        rest = b"".join(item for _, _, item in self.queue if isinstance(item, bytes))[sent:]
        ends = [item for _, _, item in self.queue if isinstance(item, End)]
        self.queue.clear()
        self.uncut.clear()
        self.held = 0
        for item in ([rest] if rest else []) + ends:
            self.after.feed(now, item)


class LimitData(Stage):
    """Passes exactly `bytes` bytes, counted from when the toxic was added, then cuts the connection."""

    def begin(self, now: float) -> None:
        self.passed = 0
        self.spent = False

    def feed(self, at: float, item: Item) -> None:
        if self.spent:
            return
        if isinstance(item, End):
            self.after.feed(at, item)
            return
        rest = max(self.toxic.attributes["bytes"] - self.passed, 0)
        self.passed += min(len(item), rest)
        self.spent = len(item) >= rest
        if rest:
            self.after.feed(at, item[:rest])
        if self.spent:
            self.touched(max(len(item) - rest, 0))
            self.after.feed(at, End.CUT)


STAGES: Mapping[str, type[Stage]] = {
    "latency": Latency,
    "bandwidth": Bandwidth,
    "slow_close": SlowClose,
    "timeout": Timeout,
    "reset_peer": ResetPeer,
    "slicer": Slicer,
    "limit_data": LimitData,
}
