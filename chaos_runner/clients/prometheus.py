"""A client of Prometheus' query API: one attempt a call, every wait and body limited, every answer checked.

Network only. What is no clear answer is Doubt: an empty one, one with warnings, one that is not a number. A query that
the server does not understand is Refused, in the server's words.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx2
import msgspec

from chaos_runner.alerts import Alert, Heard, Rule, State
from chaos_runner.api import Doubt, Env, Refused
from chaos_runner.clients import _answers, http

CALL_S = 5.0
BODY_BYTES_MAX = 4 << 20
SERIES_SHOWN = 3
POINTS_MAX = 1000

_Point = tuple[float, str]


class Series(msgspec.Struct, frozen=True):
    """One series of an answer: a value now, or its points."""

    metric: dict[str, str] = {}
    value: _Point | None = None
    values: tuple[_Point, ...] = ()


class _Result(msgspec.Struct, frozen=True, rename="camel"):
    result_type: str
    result: msgspec.Raw


class _Alert(msgspec.Struct, frozen=True, rename="camel"):
    labels: dict[str, str]
    state: str
    active_at: str = ""


class _Alerts(msgspec.Struct, frozen=True):
    alerts: tuple[_Alert, ...]


class _Rule(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    labels: dict[str, str] = {}
    health: str = "unknown"
    last_error: str = ""
    type: str = "alerting"


class _Group(msgspec.Struct, frozen=True):
    rules: tuple[_Rule, ...] = ()


class _Groups(msgspec.Struct, frozen=True):
    groups: tuple[_Group, ...]


class _Envelope(msgspec.Struct, frozen=True, rename="camel"):
    status: str
    data: msgspec.Raw = msgspec.Raw(b"null")
    error_type: str = ""
    error: str = ""
    warnings: tuple[str, ...] | None = None


class Client:
    """One Prometheus. Every call raises Refused (the query is wrong) or Doubt (no valid answer), nothing else."""

    def __init__(self, url: str, connection: httpx2.AsyncClient, token: str = "") -> None:
        self.url = url.rstrip("/")
        self._connection = connection
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def value(self, query: str, *, at: float | None = None, limit_s: float = CALL_S) -> float:
        """The one number that the query comes to now, or at a Unix time."""
        series = await self._instant(query, at, limit_s)
        if len(series) != 1:
            raise Doubt(_not_one(series))
        found = series[0].value
        return _number(found[1] if found is not None else "nothing")

    async def count(self, query: str, *, at: float | None = None, limit_s: float = CALL_S) -> int:
        """How many series the query comes to; none is an answer here."""
        return len(await self._instant(query, at, limit_s))

    async def points(self, query: str, range_s: float, step_s: float, *, limit_s: float = CALL_S) -> list[float]:
        """The one series that the query comes to, over a time that ends now, oldest first."""
        end = time.time()
        asked = {"query": query, "start": f"{end - range_s:.3f}", "end": f"{end:.3f}", "step": f"{step_s:g}"}
        result = await self._result("query_range", asked, limit_s)
        series = _answers.read(tuple[Series, ...], result.result, self.url)
        if len(series) != 1:
            raise Doubt(_not_one(series))
        return [_number(value) for _at, value in series[0].values]

    async def understood(self, query: str, *, limit_s: float = CALL_S) -> None:
        """Asks whether the server understands the query. Raises Refused in its words."""
        await self._instant(query, None, limit_s)

    async def alerts(self, *, limit_s: float = CALL_S) -> Heard:
        """Every alert of its rules, the pending ones included."""
        body, at = await self._get("alerts", {}, limit_s)
        told = _answers.read(_Alerts, body, self.url)
        return Heard(tuple(self._alert(one) for one in told.alerts), at)

    async def rules(self, *, limit_s: float = CALL_S) -> tuple[Rule, ...]:
        """Every rule that makes an alert, whether it fires or not."""
        body, _at = await self._get("rules", {"type": "alert"}, limit_s)
        told = _answers.read(_Groups, body, self.url)
        alerting = (one for group in told.groups for one in group.rules if one.type == "alerting")
        return tuple(Rule(one.name, one.labels, _trouble(one)) for one in alerting)

    def _alert(self, one: _Alert) -> Alert:
        state: State = "firing" if one.state == "firing" else "pending"
        return Alert(one.labels, state, _answers.unix(one.active_at, self.url))

    async def _instant(self, query: str, at: float | None, limit_s: float) -> tuple[Series, ...]:
        asked = {"query": query} | ({} if at is None else {"time": f"{at:.3f}"})
        told = await self._result("query", asked, limit_s)
        if told.result_type == "scalar":
            return (Series(value=_answers.read(tuple[float, str], told.result, self.url)),)
        if told.result_type != "vector":
            raise Refused(f"the query comes to a {told.result_type}, not to a number")
        return _answers.read(tuple[Series, ...], told.result, self.url)

    async def _result(self, what: str, asked: dict[str, str], limit_s: float) -> _Result:
        body, _at = await self._get(what, asked | {"timeout": f"{max(1, math.ceil(limit_s))}s"}, limit_s)
        return _answers.read(_Result, body, self.url)

    async def _get(self, what: str, asked: dict[str, str], limit_s: float) -> tuple[bytes, float]:
        url = f"{self.url}/api/v1/{what}" + (f"?{urlencode(asked)}" if asked else "")
        answer = await _answers.get(self._connection, url, self._headers, limit_s, BODY_BYTES_MAX)
        envelope = _envelope(answer, self.url)
        if envelope.warnings:
            raise Doubt(f"{self.url} warns: {'; '.join(envelope.warnings)[:300]}")
        return bytes(envelope.data), _answers.time_of(answer)


def _trouble(rule: _Rule) -> str:
    return (rule.last_error[:300] or "it says only that it is an error") if rule.health == "err" else ""


def _envelope(answer: http.Answer, url: str) -> _Envelope:
    try:
        envelope = msgspec.json.decode(answer.body, type=_Envelope)
    except (msgspec.DecodeError, RecursionError):
        raise _answers.doubt(answer, url) from None
    if envelope.status == "success" and answer.status == 200:
        return envelope
    why = f"{url} says: {envelope.error[:300] or f'status {answer.status}'}"
    raise (Refused if envelope.error_type == "bad_data" and answer.status == 400 else Doubt)(why)


def _not_one(series: tuple[Series, ...]) -> str:
    if not series:
        return "the query comes to no series: there is no such metric now, or nothing matches"
    names = ", ".join(str(one.metric)[:100] for one in series[:SERIES_SHOWN])
    return f"the query comes to {len(series)} series, not to one; aggregate it, as in sum(...): {names}"


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise Doubt(f"'{text[:40]}' is no number") from None
    if not math.isfinite(value):
        raise Doubt(f"the query comes to {text}: there was nothing to divide by, or to average")
    return value


@contextlib.asynccontextmanager
async def connect(url: str, token: str = "") -> AsyncIterator[Client]:
    """A client for as long as the block runs."""
    async with http.opened() as connection:
        yield Client(url, connection, token)


async def open_client(env: Env) -> Client:
    """The Prometheus of this environment, opened once. Raises Refused when there is none."""
    client: Client = await env.opened("prometheus", _opener)
    return client


async def _opener(env: Env) -> contextlib.AbstractAsyncContextManager[Client]:
    settings = env.environment.prometheus
    if settings is None:
        raise Refused(f"environment '{env.name}' has no `prometheus:`")
    return connect(settings.url, env.secret(settings.token) if settings.token else "")
