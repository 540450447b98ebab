"""A client of Toxiproxy's HTTP API: one attempt a call, every wait limited, every answer checked. Network only.

It knows the real server's weak points: values that crash it are refused here, integers are sent as integers, and an
answer that is not in the server's own words (a gateway's 404) is doubt, never "gone".
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
import msgspec

from chaos_runner.api import Doubt, Env, Refused
from chaos_runner.clients import http, toxics

CALL_S = 5.0
UNDO_S = 2.0  # the real server may be deadlocked: an undo does not wait for its 25 s


class _Error(msgspec.Struct, frozen=True):
    error: str
    status: int = 0


_T = TypeVar("_T")
_Json = dict[str, Any]


class Client:
    """One Toxiproxy server. Every call raises Refused (definitely not done) or Doubt (perhaps done), nothing else."""

    def __init__(self, url: str, connection: httpx2.AsyncClient, token: str = "") -> None:
        self.url = url.rstrip("/")
        self._connection = connection
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._capabilities: toxics.Capabilities | None = None

    async def proxies(self) -> dict[str, toxics.Proxy]:
        """Every proxy by name, with its toxics."""
        return self._read(dict[str, toxics.Proxy], await self._call("GET", "/proxies"))

    async def proxy(self, name: str, *, limit_s: float = CALL_S) -> toxics.Proxy:
        """One proxy with its toxics. Raises NotFound."""
        return self._read(toxics.Proxy, await self._call("GET", _path("proxies", name), limit_s=limit_s))

    async def create_proxy(self, name: str, listen: str, upstream: str, *, enabled: bool = True) -> toxics.Proxy:
        """Makes a proxy. Raises Conflict when the name is taken."""
        wish = {"name": name, "listen": listen, "upstream": upstream, "enabled": enabled}
        made = self._read(toxics.Proxy, await self._call("POST", "/proxies", wish))
        if (made.name, made.upstream, made.enabled) != (name, upstream, enabled):
            raise Doubt(f"{self.url} answered with another proxy than asked for: {made}")
        return made

    async def delete_proxy(self, name: str, *, limit_s: float = CALL_S) -> None:
        """Removes a proxy; its connections are dropped. Raises NotFound."""
        await self._call("DELETE", _path("proxies", name), limit_s=limit_s)

    async def patch_proxy(self, name: str, *, enabled: bool, lease: str = "") -> toxics.Proxy:
        """Starts or stops a proxy, and answers what it then is. Raises NotFound.

        With `lease` the embedded proxy obeys only while that run has a live one (Conflict); the real one ignores it.
        """
        path = _path("proxies", name) + (f"?lease={quote(lease, safe='')}" if lease else "")
        answer = await self._call("PATCH", path, {"enabled": enabled})
        proxy = self._read(toxics.Proxy, answer)
        if proxy.enabled != enabled:
            raise Doubt(f"{self.url} did not set enabled={enabled} on proxy '{name}'")
        return proxy

    async def move_proxy(self, name: str, upstream: str, *, enabled: bool, limit_s: float = CALL_S) -> toxics.Proxy:
        """Leads a proxy elsewhere, and answers what it then is; its connections are dropped. Raises NotFound.

        `enabled` is said though it may not change: of two changes at once that leave it out, the real server takes the
        moment in which the first has stopped the proxy for what the second wants, and leaves it stopped.
        """
        wish = {"upstream": upstream, "enabled": enabled}
        answer = await self._call("PATCH", _path("proxies", name), wish, limit_s=limit_s)
        proxy = self._read(toxics.Proxy, answer)
        if (proxy.upstream, proxy.enabled) != (upstream, enabled):
            raise Doubt(f"{self.url} did not lead proxy '{name}' to {upstream}")
        return proxy

    async def toxic(self, proxy: str, name: str) -> toxics.Toxic:
        """One toxic. Raises NotFound."""
        return self._read(toxics.Toxic, await self._call("GET", _path("proxies", proxy, "toxics", name)))

    async def add_toxic(self, proxy: str, toxic: toxics.Toxic) -> toxics.Toxic:
        """Adds a toxic and answers what the server made of it. Raises Conflict when the name is taken."""
        if why := toxics.problem(toxic):
            raise Refused(why)
        answer = await self._call("POST", _path("proxies", proxy, "toxics"), msgspec.to_builtins(toxic))
        made = self._read(toxics.Toxic, answer)
        # The server ignores keys that it does not know: only an echo shows that it understood.
        if made.name != toxic.name or toxics.differences(toxic, made):
            raise Doubt(
                f"the server made another toxic of '{toxic.name}': {toxics.differences(toxic, made) or made.name}"
            )
        return made

    async def limit(self, proxy: str, toxic: str, max_affected: int) -> None:
        """Has a toxic of this name, once it comes, hit no more connections than so many. The embedded proxy only."""
        path = _path("chaos-runner", "v1", "limits", proxy, toxic)
        answer = await self._call("PUT", path, {"max_affected": max_affected})
        if (most := self._read(toxics.Limit, answer).max_affected) != max_affected:
            raise Doubt(f"{self.url} understood max_affected {most} instead of {max_affected}")

    async def limited(self, proxy: str, toxic: str) -> int:
        """How many connections a toxic may hit; 0 for no limit. Raises NotFound."""
        answer = await self._call("GET", _path("chaos-runner", "v1", "limits", proxy, toxic))
        return self._read(toxics.Limit, answer).max_affected

    async def remove_toxic(self, proxy: str, name: str, *, limit_s: float = UNDO_S) -> None:
        """Removes a toxic. Raises NotFound, and Hung where the server does not answer."""
        await self._call("DELETE", _path("proxies", proxy, "toxics", name), limit_s=limit_s)

    async def capabilities(self) -> toxics.Capabilities:
        """What the server can beyond Toxiproxy; asked once, and nothing where it does not know the question."""
        if self._capabilities is None:
            answer = await self._send("GET", "/chaos-runner/v1")
            known = answer.status == 200
            self._capabilities = self._read(toxics.Capabilities, self._judged(answer)) if known else self._none(answer)
        return self._capabilities

    def _none(self, answer: http.Answer) -> toxics.Capabilities:
        if answer.status != 404:
            self._judged(answer)
            raise Doubt(f"{self.url} answered {answer.status} to the question what it can do")
        return toxics.Capabilities()

    async def counters(self) -> toxics.Counters:
        """The embedded proxy's counters; NotFound on the real server is doubt: ask `capabilities` first."""
        return self._read(toxics.Counters, await self._call("GET", "/chaos-runner/v1/counters"))

    async def lease(self, run: str, ttl_s: float, restore: Mapping[str, bool] | None = None) -> None:
        """Makes or renews a run's lease; `restore` gives for a proxy the `enabled` to go back to, and is merged."""
        back = {proxy: {"enabled": enabled} for proxy, enabled in (restore or {}).items()}
        await self._call(
            "PUT", _path("chaos-runner", "v1", "leases", run), {"ttl": ttl_s, "restore": back}, limit_s=UNDO_S
        )

    async def leased(self, run: str) -> bool:
        """Whether a run has a live lease."""
        try:
            await self._call("GET", _path("chaos-runner", "v1", "leases", run))
        except toxics.NotFound:
            return False
        return True

    async def release(self, run: str) -> None:
        """Ends a run's lease; safe to repeat."""
        with contextlib.suppress(toxics.NotFound):
            await self._call("DELETE", _path("chaos-runner", "v1", "leases", run), limit_s=UNDO_S)

    async def _call(self, method: str, path: str, body: _Json | None = None, *, limit_s: float = CALL_S) -> http.Answer:
        return self._judged(await self._send(method, path, body, limit_s=limit_s))

    async def _send(self, method: str, path: str, body: _Json | None = None, *, limit_s: float = CALL_S) -> http.Answer:
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
        content = b"" if body is None else json.dumps(body).encode()
        what = f"{method} {self.url}{path}"
        try:
            return await http.exchange(
                self._connection, method, self.url + path, headers=headers, body=content, limit_s=limit_s
            )
        except http.NotSent as why:
            raise toxics.Unreachable(f"{what}: not sent: {why}") from None
        except http.NoAnswer as why:
            raise toxics.Hung(f"{what}: {why}") from None
        except http.BrokenAnswer as why:
            raise Doubt(f"{what}: {why}") from None

    def _judged(self, answer: http.Answer) -> http.Answer:
        """The answer, where it is a yes."""
        status = answer.status
        if 200 <= status < 300:
            return answer
        said = _said(answer)
        if status in {404, 409}:
            if said is None or said.status != status:
                raise Doubt(f"{self.url} answered {status}, but not in Toxiproxy's words: {_shown(answer.body)}")
            raise (toxics.NotFound if status == 404 else toxics.Conflict)(said.error)
        why = f"{self.url} answered {status}: {said.error if said else _shown(answer.body)}"
        if 400 <= status < 500 and status not in {408, 425, 429}:
            raise Refused(why)
        raise toxics.Hung(why) if status == 503 else Doubt(why)

    def _read(self, type_: type[_T], answer: http.Answer) -> _T:
        try:
            return msgspec.json.decode(answer.body, type=type_)
        except (msgspec.DecodeError, RecursionError) as why:
            raise Doubt(f"{self.url} does not speak Toxiproxy's API ({why}): {_shown(answer.body)}") from None


def _path(*parts: str) -> str:
    """A path of percent-encoded segments. Raises Refused for a name that no path can carry."""
    for part in parts:
        if not part or "/" in part or part in {".", ".."}:
            raise Refused(f"the API cannot address the name {part!r}")
    return "/" + "/".join(quote(part, safe="") for part in parts)


def _said(answer: http.Answer) -> _Error | None:
    try:
        return msgspec.json.decode(answer.body, type=_Error)
    except msgspec.DecodeError:
        return None


def _shown(body: bytes) -> str:
    return repr(body[:120].decode("utf-8", "replace"))


@contextlib.asynccontextmanager
async def connect(url: str, token: str = "") -> AsyncIterator[Client]:
    """A client for as long as the block runs."""
    async with http.opened() as connection:
        yield Client(url, connection, token)


async def open_client(env: Env) -> Client:
    """The Toxiproxy of this environment, opened once. Raises Refused when there is none."""
    client: Client = await env.opened("toxiproxy", _opener)
    return client


async def _opener(env: Env) -> contextlib.AbstractAsyncContextManager[Client]:
    settings = env.environment.toxiproxy
    if settings is None:
        raise Refused(f"environment '{env.name}' has no `toxiproxy:`")
    if settings.url == "embedded":
        raise Refused("the demo's proxy is not running; start it with: chaos-runner demo up")
    return connect(settings.url, env.secret(settings.token) if settings.token else "")
