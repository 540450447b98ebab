"""Takes orders. Where payments fails, the rules decide: fail with it, or take the order for later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec

from chaos_runner.pocket import http11, metrics, orders, payments, rules, service
from chaos_runner.pocket.link import BadReply, Link

COMPLETING_AT_ONCE = 4
COMPLETE_AGAIN_S = 0.25


class Checkout:
    """POST /checkout and GET /orders."""

    def __init__(self, payments_url: str, mode: rules.Rules) -> None:
        self.book = orders.OrderBook(mode.later_max)
        self.payments = Link("payments", payments_url, mode.payments)

    def as_service(self) -> service.Service:
        """The service over this order book."""
        routes: service.Routes = {("POST", "/checkout"): self.checkout, ("GET", "/orders"): self.summary}
        return service.Service("checkout", routes, (self.payments,), (self._lines,))

    async def checkout(self, call: service.Call) -> http11.Response:
        """200 when paid, 202 when taken for later, 502 when lost."""
        order = self.book.open(call)
        try:
            charged = await self._charge(order)
        except OSError as failure:
            return self._without_payments(order, failure)
        if not charged:
            self.book.failed += 1
            return http11.json_response(402, {"order": order.id, "status": "refused"})
        self.book.paid += 1
        return http11.json_response(200, {"order": order.id, "status": "paid"})

    async def summary(self, _: service.Call) -> http11.Response:
        """What became of all orders so far."""
        return http11.json_response(200, self.book.summary())

    async def complete_waiting(self) -> None:
        """Charges orders that were taken for later, a few at once, until cancelled."""
        async with asyncio.TaskGroup() as workers:
            for _ in range(COMPLETING_AT_ONCE):
                workers.create_task(self._complete_one_by_one())

    async def _complete_one_by_one(self) -> None:
        while True:
            order = await self.book.next_waiting()
            try:
                charged = await self._charge(order)
            except OSError:
                self.book.still_waiting(order)
                await asyncio.sleep(COMPLETE_AGAIN_S)
            else:
                self.book.settle(charged=charged)

    async def _charge(self, order: orders.Order) -> bool:
        reply = await self.payments.call(order.call.onward("POST", "/charge", {"order": order.id}))
        return reply.status == 200 and _is_receipt(reply, order)

    def _without_payments(self, order: orders.Order, failure: OSError) -> http11.Response:
        if self.book.take_for_later(order):
            return http11.json_response(202, {"order": order.id, "status": "later"})
        self.book.failed += 1
        return http11.json_response(502, {"order": order.id, "status": "failed", "error": f"payments: {failure}"})

    def _lines(self) -> Iterator[str]:
        now = self.book.summary()
        outcomes = {"paid": now.paid, "later": now.later, "failed": now.failed}
        series = {metrics.labels(outcome=outcome): float(count) for outcome, count in outcomes.items()}
        yield from metrics.counter("shop_orders_total", series)
        yield from metrics.gauge("shop_orders_waiting", {metrics.labels(): now.waiting})
        yield from metrics.counter("shop_orders_completed_later_total", {metrics.labels(): now.completed_later})


def _is_receipt(reply: http11.Response, order: orders.Order) -> bool:
    # A 200 can come from something in between; only a receipt for this very order is money.
    try:
        receipt = msgspec.json.decode(reply.body, type=payments.Receipt)
    except msgspec.DecodeError as refusal:
        raise BadReply(f"payments answered 200 without a receipt: {refusal}") from refusal
    if receipt.order != order.id:
        raise BadReply(f"payments answered with the receipt of {receipt.order}")
    return True
