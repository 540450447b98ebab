"""A shop inside the test's own loop, and a payment provider that does as it is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from chaos_runner.pocket import checkout, http11, http_server, orders, payments, rules

ODD = {
    "throttling": http11.json_response(429, {}),
    "no receipt": http11.Response(200, b"<h1>Welcome to the hotel network</h1>"),
    "other receipt": http11.json_response(200, {"order": "order-0", "status": "charged", "receipt": []}),
}

Step = Callable[[http11.Request], Awaitable[http11.Response]]


@contextlib.asynccontextmanager
async def listening(handle: Step) -> AsyncIterator[str]:
    """A server on a port of the system's choice."""
    server = http_server.HttpServer(handle)
    host, port = await server.start("127.0.0.1", 0)
    try:
        yield f"http://{host}:{port}"
    finally:
        await server.stop(within_s=0.05)


class Provider:
    """Payments with moods: `well`, `broken` (503), `silent`, `mute` (charges, but does not say so), or an odd one."""

    def __init__(self) -> None:
        self.mood = "well"
        self.requests: list[http11.Request] = []
        self.books = payments.Payments()
        self._service = self.books.as_service()

    async def handle(self, request: http11.Request) -> http11.Response:
        self.requests.append(request)
        if self.mood == "broken":
            return http11.json_response(503, {"error": "closed for lunch"})
        if self.mood in ODD:
            return ODD[self.mood]
        if self.mood == "silent":
            await asyncio.sleep(60)
        reply = await self._service.handle(request)
        if self.mood == "mute":
            await asyncio.sleep(60)
        return reply


class Till:
    """Checkout before a provider."""

    def __init__(self, url: str, provider: Provider, taker: checkout.Checkout) -> None:
        self.url = url
        self.provider = provider
        self.taker = taker

    def summary(self) -> orders.Summary:
        return self.taker.book.summary()


@contextlib.asynccontextmanager
async def till(mode: str, **payments_rules: Any) -> AsyncIterator[Till]:
    """Checkout in `mode`, with some of its rules for payments replaced."""
    provider = Provider()
    settings = rules.MODES[mode]
    row = msgspec.structs.replace(settings.payments, **payments_rules)
    async with listening(provider.handle) as payments_url:
        taker = checkout.Checkout(payments_url, msgspec.structs.replace(settings, payments=row))
        completing = asyncio.create_task(taker.complete_waiting())
        try:
            async with listening(taker.as_service().handle) as url:
                yield Till(url, provider, taker)
        finally:
            completing.cancel()
            await asyncio.wait([completing])
            taker.payments.pool.close()


async def until(true: Callable[[], bool], within_s: float = 10.0) -> None:
    """Returns as soon as it is true; fails when it does not become true in time."""
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.01)
