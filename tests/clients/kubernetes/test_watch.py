"""Watches and mirrors: what changed, how old the copy may be, and lists only where history is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from chaos_runner.api import Doubt
from chaos_runner.clients.kubernetes import mirror, refusals, watch
from chaos_runner.clients.kubernetes.objects import Pod
from tests.clients.kubernetes.server import Api, Asked, Said, client, pod, serving, status

pytestmark = pytest.mark.anyio


def line(kind: str, name: str = "a", version: str = "8", **metadata: Any) -> bytes:
    return json.dumps({"type": kind, "object": pod(name, **{"resourceVersion": version, **metadata})}).encode() + b"\n"


def streamed(*pieces: bytes) -> Said:
    return Said(200, pieces=iter(pieces))


BOOKMARK = (
    b'{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"99"},"spec":{"containers":null}}}\n'
)
TOO_OLD = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 1 (350)"}
ERROR = json.dumps({"type": "ERROR", "object": TOO_OLD}).encode() + b"\n"


async def changes(api: Api, **options: Any) -> list[watch.Change[Pod]]:
    found = []
    async with client(api.url) as cluster, watch.opened(cluster, Pod, "shop", "7", **options) as open_watch:
        while (change := await open_watch.next()) is not None:
            found.append(change)
    return found


async def test_changes_come_whole_however_they_are_cut() -> None:
    raw = line("ADDED") + line("MODIFIED", version="9") + line("DELETED", version="10") + BOOKMARK
    with serving(lambda _: streamed(*(raw[at : at + 7] for at in range(0, len(raw), 7)))) as api:
        found = await changes(api, labels="app=web", lasts_s=3)
    assert [(change.kind, change.resource_version) for change in found] == [
        ("ADDED", "8"),
        ("MODIFIED", "9"),
        ("DELETED", "10"),
        ("BOOKMARK", "99"),
    ]
    assert found[0].item is not None
    assert found[0].item.metadata.name == "a"
    query = api.asked[0].query
    assert query["watch"] == "1"
    assert query["allowWatchBookmarks"] == "true"
    assert (query["resourceVersion"], query["timeoutSeconds"], query["labelSelector"]) == ("7", "3", "app=web")


async def test_too_old_comes_as_200_with_an_error_inside_and_is_expired() -> None:
    with serving(lambda _: streamed(ERROR)) as api, pytest.raises(refusals.Expired, match="too old resource version"):
        await changes(api)


async def test_a_refusal_instead_of_a_watch_has_its_type() -> None:
    with serving(status(403, "Forbidden")) as api, pytest.raises(refusals.Forbidden):
        await changes(api)


@pytest.mark.parametrize(
    "piece", [b"<html>\n", b'{"type":"ADDED"}\n', b'{"type":"WHAT","object":{"metadata":{}}}\n', line("ADDED")[:-9]]
)
async def test_what_is_no_change_is_doubt(piece: bytes) -> None:
    with serving(lambda _: streamed(piece)) as api, pytest.raises(Doubt):
        await changes(api)


async def test_a_change_without_an_end_is_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LINE_BYTES_MAX", 100_000)
    with serving(lambda _: streamed(*[b"x" * 50_000] * 4)) as api, pytest.raises(Doubt, match="above 100000 bytes"):
        await changes(api)


async def test_a_watch_that_is_silent_beyond_its_end_is_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LATE_S", 0.3)

    def silent() -> Iterator[bytes]:
        yield line("ADDED")
        api.over.wait(20)

    with serving(lambda _: Said(200, pieces=silent())) as api:
        began = time.monotonic()
        with pytest.raises(refusals.Hung):
            await changes(api, lasts_s=1)
        assert time.monotonic() - began < 5
        api.over.set()


# --- mirrors -----------------------------------------------------------------------------------------------------


class Shop:
    """Pods in a list, and watches that a test scripts."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.watches: list[Said] = []

    def __call__(self, asked: Asked) -> Said:
        if "watch" in asked.query:
            return self.watches.pop(0) if self.watches else Said(200, pieces=self.quiet())
        return Said(200, {"metadata": {"resourceVersion": "7"}, "items": [pod(name) for name in self.names]})

    @staticmethod
    def quiet() -> Iterator[bytes]:
        time.sleep(0.1)
        yield BOOKMARK


def names(items: dict[str, Pod]) -> set[str]:
    return {item.metadata.name for item in items.values()}


async def test_a_mirror_follows_what_happens_and_lists_only_once() -> None:
    shop = Shop("a", "b")
    shop.watches = [streamed(line("ADDED", "c", "8"), line("DELETED", "a", "9"))]
    with serving(shop) as api:
        async with client(api.url) as cluster, mirror.following(cluster, Pod, "shop") as pods:
            assert await pods.until(lambda items: names(items) == {"b", "c"}, within_s=10)
            heard_at = pods.heard_at
            with anyio.fail_after(10):
                while pods.heard_at == heard_at:
                    await anyio.sleep(0.02)
            assert (pods.trouble, pods.lists) == ("", 1)
    versions = [asked.query["resourceVersion"] for asked in api.asked if "watch" in asked.query]
    assert versions[:2] == ["7", "9"]


async def test_a_mirror_whose_history_is_lost_lists_again() -> None:
    shop = Shop("a")

    def lost() -> Iterator[bytes]:
        shop.names = ["z"]
        yield ERROR

    shop.watches = [Said(200, pieces=lost())]
    with serving(shop) as api:
        async with client(api.url) as cluster, mirror.following(cluster, Pod, "shop") as pods:
            assert await pods.until(lambda items: names(items) == {"z"}, within_s=10)
            assert pods.lists == 2


async def test_a_mirror_says_what_is_wrong_while_it_hears_nothing_and_goes_on_after() -> None:
    shop = Shop("a")
    shop.watches = [Said(503, b"no"), Said(503, b"no"), streamed(line("ADDED", "c"))]
    with serving(shop) as api:
        async with client(api.url) as cluster, mirror.following(cluster, Pod, "shop") as pods:
            with anyio.fail_after(10):
                while "503" not in pods.trouble:
                    await anyio.sleep(0.01)
            assert await pods.until(lambda items: names(items) == {"a", "c"}, within_s=10)
            assert pods.trouble == ""


async def test_a_mirror_that_may_not_watch_says_so_and_asks_again_ever_more_rarely() -> None:
    """A server that has just started knows no roles yet, and refuses everybody for a moment."""
    shop = Shop("a")
    shop.watches = [status(403, "Forbidden", "you may not")] * 3 + [streamed(line("ADDED", "c"))]
    with serving(shop) as api:
        async with client(api.url) as cluster, mirror.following(cluster, Pod, "shop") as pods:
            with anyio.fail_after(10):
                while "you may not" not in pods.trouble:
                    await anyio.sleep(0.01)
            began = time.monotonic()
            assert await pods.until(lambda items: names(items) == {"a", "c"}, within_s=20)
            assert time.monotonic() - began > 1  # 0.2, 0.4 and 0.8 s


async def test_a_mirror_that_cannot_begin_raises() -> None:
    with serving(status(403, "Forbidden")) as api:
        async with client(api.url) as cluster:
            with pytest.raises(refusals.Forbidden):
                async with mirror.following(cluster, Pod, "shop"):
                    pass
