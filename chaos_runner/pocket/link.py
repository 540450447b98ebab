"""How one service of the shop calls another: one code path, ruled by a row of `rules.MODES`."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter

from chaos_runner.pocket import breaker, http11, http_client, rules

RETRY_AFTER_MAX_S = 0.03
OVERLOADED = frozenset({408, 429})


class BreakerOpen(OSError):
    """The call was not made: the last ones failed too often."""


class BadReply(OSError):
    """The dependency answered, but not with what was asked for."""


class Link:
    """The way to one dependency. Every failure of a call is an OSError."""

    def __init__(self, name: str, url: str, row: rules.LinkRules) -> None:
        self.name = name
        self.results: Counter[str] = Counter()
        self.pool = http_client.Pool(url, connections=row.connections, queue_max=row.queue_max)
        self._row = row
        self._breaker = breaker.Breaker(
            calls_min=row.breaker_calls_min, share=row.breaker_share, open_for_s=row.breaker_open_for_s
        )
        self._budget = breaker.RetryBudget(share=row.retry_share)

    async def call(self, request: http11.Request) -> http11.Response:
        """The response, unless the dependency fails, is too slow or is known to be failing."""
        self._budget.earn()
        try:
            async with asyncio.timeout(self._row.timeout_s):
                response = await self._call(request)
        except OSError as failure:
            self.results[type(failure).__name__] += 1
            raise
        self.results["ok"] += 1
        return response

    def state(self) -> str:
        """What the breaker says now."""
        return self._breaker.state(time.monotonic())

    async def _call(self, request: http11.Request) -> http11.Response:
        for _ in range(self._row.retries):
            try:
                return await self._attempt(request)
            except (ConnectionError, BadReply):
                if not self._budget.spend():
                    raise
                self.results["retried"] += 1
            await asyncio.sleep(random.uniform(0, RETRY_AFTER_MAX_S))
        return await self._attempt(request)

    async def _attempt(self, request: http11.Request) -> http11.Response:
        ticket = self._breaker.admit(time.monotonic())
        if ticket is None:
            raise BreakerOpen(f"{self.name} fails too often; not asked")
        ok = False
        try:
            response = await self.pool.exchange(request)
            ok = response.status < 500 and response.status not in OVERLOADED
        finally:
            # Also when the time limit cancels the wait: a timeout is the failure that matters most.
            self._breaker.record(ticket, ok=ok, now=time.monotonic())
        if not ok:
            raise BadReply(f"{self.name} answered {response.status}")
        return response
