"""Reads objects: one by its name, or all that match, in pages. Network; changes nothing.

A list is consistent: it comes from one moment, and begins anew where the server has forgotten that moment. It is
looked through while it is read, so that fifty thousand pods need the memory of those that are kept.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import anyio
import msgspec
from anyio.streams.memory import MemoryObjectSendStream

from chaos_runner.api import Doubt, Refused
from chaos_runner.clients.http import Answer
from chaos_runner.clients.kubernetes import answers, paths, refusals
from chaos_runner.clients.kubernetes.connection import CALL_S, Cluster
from chaos_runner.clients.kubernetes.objects import Meta, Namespace, Place
from chaos_runner.clients.kubernetes.status import ListMeta
from chaos_runner.clock import nursery

PAGE = 500
PAGE_S = 15.0
PAGE_BYTES_MAX = 128 << 20
PAGES_MAX = 2000
STARTS_MAX = 3
HEAD_BYTES_MAX = 4096
_CONTINUE = re.compile(rb'"continue":"([^"\\]*)"')


class Object(Protocol):
    """An object of a kind that has a place in the API."""

    @property
    def metadata(self) -> Meta:
        """What it is called."""
        ...


T = TypeVar("T", bound=Object)
P = TypeVar("P")


class Found(msgspec.Struct, Generic[T], frozen=True):
    """What a list found; `seen` counts those that were not kept, too. A watch goes on from `resource_version`."""

    items: tuple[T, ...]
    resource_version: str
    seen: int
    pages: int


class _Page(msgspec.Struct, Generic[T], frozen=True):
    metadata: ListMeta = ListMeta()
    items: list[T] | None = None


class _Head(msgspec.Struct, frozen=True):
    metadata: ListMeta = ListMeta()


_HEAD = msgspec.json.Decoder(_Head)


def place(kind: type[T]) -> Place:
    """Where objects of this kind live."""
    at: Place = kind.at  # type: ignore[attr-defined]
    return at


async def get(cluster: Cluster, kind: type[T], namespace: str | None, name: str, *, limit_s: float = CALL_S) -> T:
    """One object as it is now. Raises NotFound."""
    path = paths.single(place(kind), namespace, name)
    return answers.read(kind, await cluster.call("GET", path, limit_s=limit_s), f"GET {path}")


async def every(
    cluster: Cluster,
    kind: type[T],
    namespace: str | None,
    *,
    labels: str | None = None,
    fields: str | None = None,
    keep: Callable[[T], bool] | None = None,
    page: int = PAGE,
) -> Found[T]:
    """All that match, in the order of their names; in a namespace, or with None everywhere.

    Raises NotFound where the namespace does not exist: the server would answer "none", and a typo would pass.
    """
    path = paths.collection(place(kind), namespace)
    if labels == "" or fields == "":  # not sent at all, it would select everything
        raise Refused(f"GET {path}: an empty selector selects nothing; leave it out to mean everything")
    for start in range(1, STARTS_MAX + 1):
        try:
            found = await _pages(cluster, kind, path, labels, fields, keep, page)
            break
        except refusals.Expired:
            if start == STARTS_MAX:
                raise
    if not found.seen and namespace is not None:
        await _exists(cluster, namespace)
    return found


async def _pages(
    cluster: Cluster,
    kind: type[T],
    path: str,
    labels: str | None,
    fields: str | None,
    keep: Callable[[T], bool] | None,
    size: int,
) -> Found[T]:
    """Decodes one page while the next is on its way."""
    kept: list[T] = []
    seen = number = 0
    version = ""
    decoder = msgspec.json.Decoder(_Page[kind])  # type: ignore[valid-type]
    filled, pages = anyio.create_memory_object_stream[bytes](1)
    async with nursery() as group, pages:
        group.start_soon(_fetch, cluster, path, labels, fields, size, filled)
        async for body in pages:
            one = _decoded(decoder, body, path)
            items = one.items or []
            seen, number, version = seen + len(items), number + 1, one.metadata.resource_version
            kept += items if keep is None else [item for item in items if keep(item)]
    return Found(tuple(kept), version, seen, number)


async def _fetch(
    cluster: Cluster,
    path: str,
    labels: str | None,
    fields: str | None,
    size: int,
    filled: MemoryObjectSendStream[bytes],
) -> None:
    """One page after the other, as it came."""
    token = ""
    async with filled:
        for _ in range(PAGES_MAX):
            asked = paths.query(limit=size, continue_=token, label_selector=labels, field_selector=fields)
            answer = await cluster.call(
                "GET", path + asked, limit_s=PAGE_S, body_max=PAGE_BYTES_MAX, paging=True, encoding="gzip"
            )
            body = _plain(answer, path)
            token = _continues(body, path)
            await filled.send(body)
            if not token:
                return
    raise Refused(f"GET {path}: more than {PAGES_MAX} pages of {size}")


def _continues(body: bytes, path: str) -> str:
    """What to ask the next page with; empty for the last one. A server says it before the items."""
    early = _CONTINUE.search(body, 0, HEAD_BYTES_MAX)
    if early is not None and b'"items"' not in body[: early.start()]:
        return early[1].decode()
    return _decoded(_HEAD, body, path).metadata.continue_


def _decoded(decoder: msgspec.json.Decoder[P], body: bytes, path: str) -> P:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as why:
        raise Doubt(f"GET {path}: the answer is not in Kubernetes' words: {why}") from None


def _plain(answer: Answer, path: str) -> bytes:
    if answer.headers.get("content-encoding", "identity") != "gzip":
        return answer.body
    inflate = zlib.decompressobj(wbits=31)
    try:
        body = inflate.decompress(answer.body, PAGE_BYTES_MAX)
    except zlib.error as why:
        raise Doubt(f"GET {path}: the answer is not in Kubernetes' words: {why}") from None
    if inflate.unconsumed_tail:
        raise Doubt(f"a compressed page is above {PAGE_BYTES_MAX} bytes")
    return body


async def _exists(cluster: Cluster, namespace: str) -> None:
    try:
        await get(cluster, Namespace, None, namespace)
    except refusals.NotFound:
        raise refusals.NotFound(f"there is no namespace '{namespace}'") from None
    except refusals.Forbidden:
        raise refusals.Forbidden(
            f"nothing is there, and this user may not read whether the namespace '{namespace}' exists;"
            f" allow `get` of this namespace"
        ) from None
