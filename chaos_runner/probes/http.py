"""HTTP requests: one a sample, or a steady load at a rate from a process of its own."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from chaos_runner import wire
from chaos_runner.api import Env, Metric, Reading, Refused, SampleStream, Unknown
from chaos_runner.expect import Clause, Duration, Rate, percentile
from chaos_runner.model import Where
from chaos_runner.probes import _addresses, _streams, _values

if TYPE_CHECKING:
    import httpx2

    from chaos_runner.clients.http import Answer

RATE_MAX = 2000.0
_REFERENCE = r"(env|file):.+"
_HEADER = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_GAUGES = (
    Metric("status", "gauge", "number", "the status of the answer"),
    Metric("latency", "gauge", "duration", "the time to the last byte of the answer"),
    Metric("body", "gauge", "text", "the body as text; `body contains ready`"),
    Metric("json.", "gauge", "any", "a value in a JSON body by its path, such as json.items[0].price"),
)


class HttpProbe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Asks a URL. With `rate:` it sends a steady load and counts answers; without, it reads one answer a sample.

    One attempt, no redirects, no proxy settings. A request without an answer is not a success, and slower than any
    limit.
    """

    kind: ClassVar[str] = "http"

    service: Annotated[str, Meta(description="a service of the environment", max_length=200)] = ""
    url: Annotated[str, Meta(description="an address instead of a service: http://host:port", max_length=2000)] = ""
    path: Annotated[str, Meta(description="the path, with its query", pattern=r"^/[!-~]*$", max_length=4000)] = "/"
    method: Annotated[
        Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], Meta(description="the HTTP method")
    ] = "GET"
    headers: Annotated[
        dict[str, str], Meta(description="headers; a value may be a secret: env:NAME or file:PATH", max_length=50)
    ] = {}
    body: Annotated[str, Meta(description="the body of the request", max_length=100_000)] = ""
    status: Annotated[
        tuple[str, ...], Meta(description='statuses of a success: "200", "200-299" or 2xx', min_length=1, max_length=20)
    ] = ("200-399",)
    contains: Annotated[str, Meta(description="what a success has in its body", max_length=1000)] = ""
    json: Annotated[
        dict[str, Any], Meta(description="values a success has in its JSON body, by dotted path", max_length=20)
    ] = {}
    timeout: Annotated[Duration, Meta(description="how long to wait for an answer, at most 8s")] = 2.0
    rate: Annotated[Rate | None, Meta(description="a steady load of so many requests, whatever the answers do")] = None

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        if bool(self.service) == bool(self.url):
            yield (), "name a service with `service:`, or an address with `url:`"
        elif self.url and (why := _addresses.wrong(self.url)):
            yield ("url",), why
        if not 0.01 <= self.timeout <= 8:
            yield ("timeout",), "between 10ms and 8s"
        if self.rate is not None and not 0.1 <= self.rate <= RATE_MAX:
            yield ("rate",), f"between 6/m and {RATE_MAX:g}/s"
        try:
            _streams.statuses(self.status)
        except ValueError as odd:
            yield ("status",), str(odd)
        for name, value in self.headers.items():
            if not re.fullmatch(_HEADER, name) or not value.isprintable() or not value.isascii():
                yield ("headers", name), "no header of HTTP/1.1"

    def metrics(self) -> tuple[Metric, ...]:
        """Events, and where each answer is read by itself also its parts."""
        return _streams.EVENTS if self.streaming() else (*_streams.EVENTS, *_GAUGES)

    def secrets(self) -> tuple[str, ...]:
        """The references to secrets among its headers."""
        return tuple(value for value in self.headers.values() if re.fullmatch(_REFERENCE, value))

    def reads(self, env: Env) -> str:
        """The request, as a sentence has it."""
        load = f", {self.rate:g}/s" if self.rate else ""
        return f"{self.method} {self._address(env).url}{self.path}{load}"

    async def read(self, env: Env) -> Reading:
        """One request and its answer."""
        from chaos_runner.clients import http

        try:
            where, headers = self._address(env), self._headers(env)
        except Refused as why:
            raise Unknown(str(why)) from None
        await _addresses.check(where)
        client: httpx2.AsyncClient = await env.opened("http", _opener)
        try:
            answer = await http.exchange(
                client,
                self.method,
                where.url + self.path,
                headers=headers,
                body=self.body.encode(),
                limit_s=self.timeout,
                connect_s=self.timeout,
            )
        except http.TooLarge as why:
            raise Unknown(f"{where.text}: {why}") from None
        except (http.NotSent, http.NoAnswer, http.BrokenAnswer) as why:
            return Reading({"success": False, "error": str(why)})
        return self._reading(answer)

    def _reading(self, answer: Answer) -> Reading:
        text = answer.body.decode("utf-8", "replace")
        values: dict[str, Any] = {"status": answer.status, "latency": answer.seconds, "body": text}
        values |= _values.flat(answer.body)
        values["success"] = self._success(answer, text, values)
        return Reading(values, latency_s=answer.seconds)

    def _success(self, answer: Answer, text: str, values: dict[str, Any]) -> bool:
        fits = any(low <= answer.status <= high for low, high in _streams.statuses(self.status))
        wanted = all(_same(values.get(f"json.{path}", ...), value) for path, value in self.json.items())
        return fits and self.contains in text and wanted

    def _address(self, env: Env) -> _addresses.Address:
        return _addresses.address(env, self.service, self.url)

    def _headers(self, env: Env) -> dict[str, str]:
        return {
            name: env.secret(value) if re.fullmatch(_REFERENCE, value) else value
            for name, value in self.headers.items()
        }

    def streaming(self) -> bool:
        """With a rate it measures in a process of its own."""
        return self.rate is not None

    def events_per_second(self) -> float:
        """Requests a second."""
        return self.rate or 0.0

    def lag_s(self, clause: Clause) -> float:
        """A limit below the timeout is final earlier."""
        limit = clause.value if percentile(clause.metric) is not None and isinstance(clause.value, float) else None
        return min(self.timeout, limit) if limit is not None else self.timeout

    @contextlib.asynccontextmanager
    async def stream(
        self, env: Env, check: str, clauses: tuple[Clause, ...], t0_ns: int
    ) -> AsyncIterator[SampleStream]:
        """A load worker for as long as the block runs. Raises Refused where it cannot begin."""
        from chaos_runner.probes import _load

        async with _load.running(await self._plan(env, check, clauses), t0_ns) as stream:
            yield stream

    async def _plan(self, env: Env, check: str, clauses: tuple[Clause, ...]) -> wire.LoadPlan:
        where = self._address(env)
        try:
            await _addresses.check(where)
        except Unknown as why:
            raise Refused(str(why)) from None
        return wire.LoadPlan(
            check=check,
            host=where.host,
            port=where.port,
            tls=where.tls,
            rate=self.rate or 0.0,
            timeout_s=self.timeout,
            clauses=_streams.clauses(clauses),
            method=self.method,
            path=where.base + self.path,
            headers=self._headers(env),
            body=self.body,
            success=wire.Success(_streams.statuses(self.status), self.contains, self.json),
        )


def _same(value: Any, wanted: Any) -> bool:
    """JSON's equality: 1 is 1.0, but true is not 1."""
    return isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)


async def _opener(_env: Env) -> contextlib.AbstractAsyncContextManager[httpx2.AsyncClient]:
    from chaos_runner.clients import http

    return http.opened()
