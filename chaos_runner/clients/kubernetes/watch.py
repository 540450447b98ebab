"""Changes of objects as they happen. Network; changes nothing.

A watch begins where a list ended, and ends by itself after its time: only an end that comes in time shows that the
line was alive. "Too old" comes as HTTP 200 with an error inside.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Generic, Literal, TypeVar

import anyio
import httpx2
import msgspec

from chaos_runner.api import Doubt
from chaos_runner.clients import http
from chaos_runner.clients.kubernetes import answers, connection, paths
from chaos_runner.clients.kubernetes.connection import Cluster
from chaos_runner.clients.kubernetes.lists import Object, place
from chaos_runner.clients.kubernetes.objects import Meta
from chaos_runner.clients.kubernetes.status import Status

LINE_BYTES_MAX = 8 << 20
CLOSE_S = 1.0
LATE_S = 5.0  # how long after its own end a watch may still be silent
T = TypeVar("T", bound=Object)


class Change(msgspec.Struct, Generic[T], frozen=True):
    """What happened to an object; a bookmark has none, and only says how far the watch is."""

    kind: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    resource_version: str
    item: T | None = None


class _Line(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


class _Marked(msgspec.Struct, frozen=True):
    metadata: Meta


class Watch(Generic[T]):
    """An open watch."""

    def __init__(self, kind: type[T], path: str, cluster: Cluster, response: httpx2.Response, lasts_s: float) -> None:
        self._object = msgspec.json.Decoder(kind)
        self._what = f"GET {path}?watch"
        self._url = cluster.url
        self._response = response
        self._pieces = response.aiter_raw()
        self._buffer = bytearray()
        self._silence_s = lasts_s + LATE_S

    async def next(self) -> Change[T] | None:
        """The next change; None once the watch has ended in time. Raises Expired, Hung or Doubt."""
        while (end := self._buffer.find(b"\n")) < 0:
            piece = await self._piece()
            if not piece:
                if self._buffer.strip():
                    raise Doubt(f"{self._what}: it broke off in the middle of a change")
                return None
            self._buffer += piece
            if len(self._buffer) > LINE_BYTES_MAX:
                raise Doubt(f"{self._what}: a change is above {LINE_BYTES_MAX} bytes")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return self._change(line)

    async def close(self) -> None:
        """Ends the line, and lets the generators below run to their end: an abandoned one is an error on its own."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(CLOSE_S):
            await self._response.aclose()
            with contextlib.suppress(httpx2.TransportError, httpx2.StreamError):
                async for _ in self._pieces:
                    pass

    async def _piece(self) -> bytes:
        with connection.told(self._what, self._url), http.told(self._silence_s), anyio.fail_after(self._silence_s):
            return await anext(self._pieces, b"")

    def _change(self, raw: bytes) -> Change[T]:
        try:
            line = msgspec.json.decode(raw, type=_Line)
            if line.type == "ERROR":
                raise answers.refusal(msgspec.json.decode(line.object, type=Status), self._what)
            version = msgspec.json.decode(line.object, type=_Marked).metadata.resource_version
            if line.type == "BOOKMARK":
                return Change("BOOKMARK", version)
            kind = msgspec.convert(line.type, Literal["ADDED", "MODIFIED", "DELETED"])
            return Change(kind, version, self._object.decode(line.object))
        except (msgspec.DecodeError, RecursionError) as why:
            raise Doubt(f"{self._what}: a change is not in Kubernetes' words: {why}") from None


@contextlib.asynccontextmanager
async def opened(
    cluster: Cluster,
    kind: type[T],
    namespace: str | None,
    resource_version: str,
    *,
    labels: str | None = None,
    fields: str | None = None,
    lasts_s: int = 30,
) -> AsyncIterator[Watch[T]]:
    """A watch of everything that matches, from this version on, for this long."""
    path = paths.collection(place(kind), namespace)
    asked = paths.query(
        watch="1",
        resource_version=resource_version,
        allow_watch_bookmarks="true",
        timeout_seconds=lasts_s,
        label_selector=labels,
        field_selector=fields,
    )
    async with cluster.stream(path + asked, limit_s=lasts_s + LATE_S) as response:
        line = Watch(kind, path, cluster, response, lasts_s)
        try:
            yield line
        finally:
            await line.close()
