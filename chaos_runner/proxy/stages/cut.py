"""Toxics that end a connection: after a silence, a time, or so many bytes."""

from __future__ import annotations

from math import inf

from chaos_runner.proxy.stages.stage import End, Item, Stage


class Timeout(Stage):
    """Drops everything; after `timeout` of silence cuts the connection, with 0 never. So does deleting the toxic."""

    def begin(self, now: float) -> None:
        self.deadline = inf
        self.restart(now)

    def restart(self, now: float) -> None:
        wait = self.seconds("timeout")
        self.deadline = now + wait if wait > 0 else inf

    def feed(self, at: float, item: Item) -> None:
        if not isinstance(item, bytes):
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


class LimitData(Stage):
    """Passes exactly `bytes` bytes, counted from when the toxic was added, then cuts the connection."""

    def begin(self, now: float) -> None:
        self.passed = 0
        self.spent = False

    def feed(self, at: float, item: Item) -> None:
        if self.spent:
            return
        if not isinstance(item, bytes):
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
