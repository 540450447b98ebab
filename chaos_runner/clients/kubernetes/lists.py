"""Reads objects: one by its name, or all that match, in pages. Network; changes nothing.

A list is consistent: it comes from one moment, and begins anew where the server has forgotten that moment. It is
looked through while it is read, so that fifty thousand pods need the memory of those that are kept.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import msgspec

from chaos_runner.api import Doubt, Refused
from chaos_runner.clients.http import Answer
from chaos_runner.clients.kubernetes import answers, paths, refusals
from chaos_runner.clients.kubernetes.connection import CALL_S, Cluster
from chaos_runner.clients.kubernetes.objects import Meta, Namespace, Place
from chaos_runner.clients.kubernetes.status import ListMeta

PAGE = 500
PAGE_S = 15.0
PAGE_BYTES_MAX = 128 << 20
PAGES_MAX = 2000
STARTS_MAX = 3


class Object(Protocol):
    """An object of a kind that has a place in the API."""

    @property
    def metadata(self) -> Meta:
        """What it is called."""
        ...


T = TypeVar("T", bound=Object)


class Found(msgspec.Struct, Generic[T], frozen=True):
    """What a list found; `seen` counts those that were not kept, too. A watch goes on from `resource_version`."""

    items: tuple[T, ...]
    resource_version: str
    seen: int
    pages: int


class _Page(msgspec.Struct, Generic[T], frozen=True):
    metadata: ListMeta = ListMeta()
    items: list[T] | None = None


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
    kept: list[T] = []
    seen, token = 0, ""
    decoder = msgspec.json.Decoder(_Page[kind])  # type: ignore[valid-type]
    for number in range(1, PAGES_MAX + 1):
        asked = paths.query(limit=size, continue_=token, label_selector=labels, field_selector=fields)
        answer = await cluster.call(
            "GET", path + asked, limit_s=PAGE_S, body_max=PAGE_BYTES_MAX, paging=True, encoding="gzip"
        )
        one = _decoded(decoder, answer, path)
        items = one.items or []
        seen += len(items)
        kept += items if keep is None else [item for item in items if keep(item)]
        token = one.metadata.continue_
        if not token:
            return Found(tuple(kept), one.metadata.resource_version, seen, number)
    raise Refused(f"GET {path}: more than {PAGES_MAX} pages of {size}")


def _decoded(decoder: msgspec.json.Decoder[_Page[T]], answer: Answer, path: str) -> _Page[T]:
    try:
        body = _plain(answer)
        return decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, zlib.error) as why:
        raise Doubt(f"GET {path}: the answer is not in Kubernetes' words: {why}") from None


def _plain(answer: Answer) -> bytes:
    if answer.headers.get("content-encoding", "identity") != "gzip":
        return answer.body
    inflate = zlib.decompressobj(wbits=31)
    body = inflate.decompress(answer.body, PAGE_BYTES_MAX)
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
