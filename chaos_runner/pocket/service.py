"""What all services of the shop have in common: routes, request ids, access log, metrics, health."""

from __future__ import annotations

import re
import sys
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime

import msgspec

from chaos_runner.pocket import http11, metrics
from chaos_runner.pocket.link import Link

REQUEST_ID = "x-request-id"
REQUEST_ID_FORM = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Call(msgspec.Struct, frozen=True):
    """One request as a handler sees it."""

    request_id: str
    body: bytes

    def onward(self, method: str, path: str, value: object = None) -> http11.Request:
        """A request to the next service, under the same request id."""
        headers = {REQUEST_ID: self.request_id}
        if value is None:
            return http11.Request(method, path, headers)
        return http11.Request(method, path, {**headers, "content-type": http11.JSON}, msgspec.json.encode(value))


Route = Callable[[Call], Awaitable[http11.Response]]
Routes = dict[tuple[str, str], Route]


class Service:
    """Answers requests by a table of routes, and keeps count."""

    def __init__(self, name: str, routes: Routes, links: Iterable[Link], pages: Iterable[Page] = ()) -> None:
        self.name = name
        self.ready = False
        self._links = tuple(links)
        self._pages = tuple(pages)
        self._requests: Counter[metrics.Labels] = Counter()
        self._seconds = metrics.Histogram()
        self._routes: Routes = {
            **routes,
            ("GET", "/healthz"): self._health,
            ("GET", "/readyz"): self._readiness,
            ("GET", "/metrics"): self._metrics,
        }

    async def handle(self, request: http11.Request) -> http11.Response:
        """The response of the request's route, with its request id; counted and logged."""
        started = time.perf_counter()
        path = request.path.partition("?")[0]
        route = self._routes.get((request.method, path))
        call = Call(_request_id(request), request.body)
        response = await (route or self._nowhere)(call)
        seconds = time.perf_counter() - started
        self._count(request.method, path if route else "other", response.status, seconds)
        log(
            service=self.name,
            request_id=call.request_id,
            method=request.method,
            path=path[:200],
            status=response.status,
            ms=round(seconds * 1000, 2),
        )
        return http11.Response(response.status, response.body, {**response.headers, REQUEST_ID: call.request_id})

    def _count(self, method: str, path: str, status: int, seconds: float) -> None:
        known = method if path != "other" else "other"
        self._requests[metrics.labels(service=self.name, method=known, path=path, code=str(status))] += 1
        self._seconds.observe(metrics.labels(service=self.name, path=path), seconds)

    async def _nowhere(self, _: Call) -> http11.Response:
        return http11.json_response(404, {"error": f"no such page in {self.name}"})

    async def _health(self, _: Call) -> http11.Response:
        return http11.json_response(200, {"status": "ok", "service": self.name})

    async def _readiness(self, _: Call) -> http11.Response:
        if self.ready:
            return http11.json_response(200, {"status": "ready", "service": self.name})
        return http11.json_response(503, {"status": "starting or stopping", "service": self.name})

    async def _metrics(self, _: Call) -> http11.Response:
        lines = [
            *metrics.counter("shop_http_requests_total", self._requests),
            *self._seconds.lines("shop_http_request_seconds"),
            *link_lines(self._links),
        ]
        for page in self._pages:
            lines.extend(page())
        return http11.Response(200, metrics.text(lines), {"content-type": metrics.CONTENT_TYPE})


Page = Callable[[], Iterable[str]]


def link_lines(links: tuple[Link, ...]) -> list[str]:
    """How the calls to other services went, and what their breakers say."""
    if not links:
        return []
    results = {
        metrics.labels(link=link.name, result=result): float(count)
        for link in links
        for result, count in link.results.items()
    }
    waiting = {metrics.labels(link=link.name): float(link.pool.waiting) for link in links}
    opened = {metrics.labels(link=link.name): float(link.state() != "closed") for link in links}
    return [
        *metrics.counter("shop_link_calls_total", results),
        *metrics.gauge("shop_link_waiting", waiting),
        *metrics.gauge("shop_link_breaker_open", opened),
    ]


def log(**fields: object) -> None:
    """One JSON line on stderr. Logs may be lost, requests may not."""
    line = msgspec.json.encode({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **fields})
    try:
        sys.stderr.buffer.write(line + b"\n")
        sys.stderr.buffer.flush()
    except OSError:
        return


def _request_id(request: http11.Request) -> str:
    given = request.headers.get(REQUEST_ID, "")
    return given if REQUEST_ID_FORM.fullmatch(given) else uuid.uuid4().hex[:16]
