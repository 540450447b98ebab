"""The orders that checkout has taken, and those that wait for payments to come back."""

from __future__ import annotations

import asyncio
import uuid

import msgspec

from chaos_runner.pocket import service


class Order(msgspec.Struct, frozen=True):
    """One order; a waiting one keeps the request id it came with."""

    id: str
    call: service.Call


class Summary(msgspec.Struct, frozen=True):
    """`later` counts orders ever taken for later: `waiting` + `completed_later` + those refused afterwards."""

    paid: int
    later: int
    waiting: int
    completed_later: int
    failed: int


class OrderBook:
    """Counts every order once, and keeps at most `later_max` of them waiting, in memory."""

    def __init__(self, later_max: int) -> None:
        self.paid = self.later = self.completed_later = self.failed = 0
        self.waiting = 0
        self._later_max = later_max
        self._queue: asyncio.Queue[Order] = asyncio.Queue()

    @staticmethod
    def open(call: service.Call) -> Order:
        """A new order."""
        return Order(f"order-{uuid.uuid4().hex[:12]}", call)

    def take_for_later(self, order: Order) -> bool:
        """Whether there was room for it."""
        if self.waiting >= self._later_max:
            return False
        self.waiting += 1
        self.later += 1
        self._queue.put_nowait(order)
        return True

    async def next_waiting(self) -> Order:
        """The order that waits longest; it counts as waiting until it is settled."""
        return await self._queue.get()

    def still_waiting(self, order: Order) -> None:
        """Puts it back."""
        self._queue.put_nowait(order)

    def settle(self, *, charged: bool) -> None:
        """One waiting order is charged, or refused for good."""
        self.waiting -= 1
        if charged:
            self.completed_later += 1
        else:
            self.failed += 1

    def summary(self) -> Summary:
        """The counts at this moment."""
        return Summary(self.paid, self.later, self.waiting, self.completed_later, self.failed)
