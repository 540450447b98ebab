"""A client of Alertmanager's API v2: which alerts it has now, and who suppresses them. Network only; reads only."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlencode

import httpx2
import msgspec

from chaos_runner.alerts import Alert, Heard, State, labels_of
from chaos_runner.api import Doubt, Env, Refused
from chaos_runner.clients import _answers, http

CALL_S = 5.0
BODY_BYTES_MAX = 4 << 20


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    state: str
    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()


class _Alert(msgspec.Struct, frozen=True, rename="camel"):
    labels: dict[str, str]
    starts_at: str
    updated_at: str
    status: _Status


class Client:
    """One Alertmanager. Every call raises Doubt where there is no valid answer, and Refused for a definite no."""

    def __init__(self, url: str, connection: httpx2.AsyncClient, token: str = "") -> None:
        self.url = url.rstrip("/")
        self._connection = connection
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def alerts(self, wanted: Sequence[str] = (), *, limit_s: float = CALL_S) -> Heard:
        """The alerts it has now, suppressed ones included; only those that are `wanted` where their names say which."""
        url = f"{self.url}/api/v2/alerts" + _filter(wanted)
        answer = await _answers.get(self._connection, url, self._headers, limit_s, BODY_BYTES_MAX)
        if answer.status != 200:
            raise _answers.doubt(answer, self.url)
        told = _answers.read(tuple[_Alert, ...], answer.body, self.url)
        return Heard(tuple(self._alert(one) for one in told), _answers.time_of(answer))

    def _alert(self, one: _Alert) -> Alert:
        by = [f"silence {name}" for name in one.status.silenced_by] + [f"alert {x}" for x in one.status.inhibited_by]
        starts_at = _answers.unix(one.starts_at, self.url)
        return Alert(
            labels=one.labels,
            state=_state(one.status.state, self.url),
            starts_at=starts_at,
            fired_at=starts_at,
            heard_at=_answers.unix(one.updated_at, self.url),
            why=", ".join(by),
        )


def _state(said: str, url: str) -> State:
    """An alert that it has not yet looked at is firing: whoever is to be told will be."""
    known: dict[str, State] = {"active": "firing", "unprocessed": "firing", "suppressed": "suppressed"}
    if said not in known:
        raise Doubt(f"{url}: {said[:40]!r} is no state of an alert")
    return known[said]


def _filter(wanted: Sequence[str]) -> str:
    names = [labels_of(ref).get("alertname", "") for ref in wanted]
    if not names or not all(names):
        return ""
    escaped = "|".join(re.escape(name).replace("\\ ", " ").replace('"', '\\"') for name in dict.fromkeys(names))
    pattern = escaped.replace("\\", "\\\\")
    return "?" + urlencode({"filter": f'alertname=~"^(?:{pattern})$"'})


@contextlib.asynccontextmanager
async def connect(url: str, token: str = "") -> AsyncIterator[Client]:
    """A client for as long as the block runs."""
    async with http.opened() as connection:
        yield Client(url, connection, token)


async def open_client(env: Env) -> Client:
    """The Alertmanager of this environment, opened once. Raises Refused when there is none."""
    client: Client = await env.opened("alertmanager", _opener)
    return client


async def _opener(env: Env) -> contextlib.AbstractAsyncContextManager[Client]:
    settings = env.environment.alertmanager
    if settings is None:
        raise Refused(f"environment '{env.name}' has no `alertmanager:`")
    return connect(settings.url, env.secret(settings.token) if settings.token else "")
