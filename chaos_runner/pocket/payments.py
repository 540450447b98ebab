"""The payment provider: takes its time, and charges an order once however often it is asked."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Iterator
from typing import Literal

import msgspec

from chaos_runner.pocket import http11, metrics, service

WORK_S = 0.020
WORK_SPREAD_S = 0.002
BACKLOG_MAX_S = 30.0
CHARGES_KEPT = 100_000
RECEIPT = [f"line {n:02d}: thank you for shopping here; keep this slip" for n in range(1, 33)]


class Charge(msgspec.Struct, frozen=True):
    """What is asked for; the order makes a repeated request harmless."""

    order: str


class Receipt(msgspec.Struct, frozen=True):
    """The answer to a charge; `receipt` is long enough for a starved line to feel it."""

    order: str
    status: Literal["charged"]
    receipt: list[str]


class Payments:
    """POST /charge, and GET /charges to count what really happened.

    With a capacity it does one charge after the other, so many in a second, and the others wait their turn.
    """

    def __init__(self, capacity: float | None = None, backlog_max_s: float = BACKLOG_MAX_S) -> None:
        self._backlog_max_s = backlog_max_s
        self._turn_s = 1.0 / capacity if capacity else None
        self._free_at = 0.0
        self.charged = 0
        self.repeated = 0
        self._orders: OrderedDict[str, None] = OrderedDict()

    def as_service(self) -> service.Service:
        """The service over these accounts."""
        routes: service.Routes = {("POST", "/charge"): self.charge, ("GET", "/charges"): self.charges}
        return service.Service("payments", routes, (), (self._lines,))

    async def charge(self, call: service.Call) -> http11.Response:
        """Charges after some simulated work."""
        try:
            asked = msgspec.json.decode(call.body, type=Charge)
        except msgspec.DecodeError as refusal:
            return http11.json_response(400, {"error": f"not a charge: {refusal}"})
        work_s = self._work_s()
        if work_s > self._backlog_max_s:
            return http11.json_response(503, {"error": "too many charges wait already"})
        await asyncio.sleep(work_s)
        self._remember(asked.order)
        return http11.json_response(200, Receipt(asked.order, "charged", RECEIPT))

    async def charges(self, _: service.Call) -> http11.Response:
        """How many orders were charged, and how many requests repeated one that was."""
        return http11.json_response(200, {"charged": self.charged, "repeated": self.repeated})

    def _work_s(self) -> float:
        """How long this charge takes, with those before it."""
        if self._turn_s is None:
            return WORK_S + random.uniform(-WORK_SPREAD_S, WORK_SPREAD_S)
        # By the clock, not by one sleep after the other: what a busy machine adds to each would lower the capacity.
        now = asyncio.get_running_loop().time()
        begins = max(now, self._free_at)
        work_s = begins + self._turn_s - now
        if work_s <= self._backlog_max_s:
            self._free_at = now + work_s
        return work_s

    def _remember(self, order: str) -> None:
        if order in self._orders:
            self.repeated += 1
            return
        self.charged += 1
        self._orders[order] = None
        if len(self._orders) > CHARGES_KEPT:
            self._orders.popitem(last=False)

    def _lines(self) -> Iterator[str]:
        yield from metrics.counter("shop_charges_total", {metrics.labels(): self.charged})
