"""Lists: paged, consistent, bounded; a namespace that does not exist is an error and an empty selector none at all."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from chaos_runner.api import Doubt, Refused
from chaos_runner.clients.kubernetes import lists, refusals
from chaos_runner.clients.kubernetes.objects import Pod
from tests.clients.kubernetes.server import Asked, Said, client, namespace, pod, serving, status

pytestmark = pytest.mark.anyio


def page(*names: str, more: str = "", version: str = "5") -> Said:
    meta = {"resourceVersion": version, **({"continue": more} if more else {})}
    return Said(200, {"kind": "PodList", "metadata": meta, "items": [pod(name) for name in names]})


async def test_pages_are_one_list_in_their_order() -> None:
    pages = {None: page("a", "b", more="t1"), "t1": page("c", "d", more="t2"), "t2": page("e")}
    with serving(lambda asked: pages[asked.query.get("continue")]) as api:
        async with client(api.url) as cluster:
            found = await lists.every(
                cluster, Pod, "shop", labels="app in (web)", fields="status.phase=Running", page=2
            )
    assert [item.metadata.name for item in found.items] == list("abcde")
    assert (found.resource_version, found.seen, found.pages) == ("5", 5, 3)
    for asked in api.asked:
        assert asked.query["limit"] == "2"
        assert (asked.query["labelSelector"], asked.query["fieldSelector"]) == ("app in (web)", "status.phase=Running")


async def test_what_is_not_kept_is_counted_and_let_go() -> None:
    with serving(page("a", "b", "c")) as api:
        async with client(api.url) as cluster:
            found = await lists.every(cluster, Pod, None, keep=lambda item: item.metadata.name == "b")
    assert [item.metadata.name for item in found.items] == ["b"]
    assert found.seen == 3
    assert api.asked[0].path == "/api/v1/pods"


async def test_a_list_whose_moment_is_forgotten_begins_anew() -> None:
    def act(asked: Asked) -> Said:
        if "continue" not in asked.query:
            return page("a", "b", more="t1") if len(api.asked) == 1 else page("b", "c", version="9")
        return status(410, "Expired", "the provided continue parameter is too old")

    with serving(act) as api:
        async with client(api.url) as cluster:
            found = await lists.every(cluster, Pod, "shop")
    assert [item.metadata.name for item in found.items] == ["b", "c"]
    assert found.resource_version == "9"


async def test_a_list_that_is_forgotten_again_and_again_is_given_up() -> None:
    with serving(lambda asked: status(410, "Expired") if "continue" in asked.query else page("a", more="t")) as api:
        async with client(api.url) as cluster:
            with pytest.raises(refusals.Expired):
                await lists.every(cluster, Pod, "shop")
    assert len(api.asked) == 2 * lists.STARTS_MAX


def answering(namespace_is: Said) -> Any:
    return lambda asked: namespace_is if asked.path == "/api/v1/namespaces/shpo" else page()


async def test_a_namespace_that_does_not_exist_is_an_error_and_not_an_empty_list() -> None:
    with serving(answering(status(404, "NotFound", name="shpo", kind="namespaces"))) as api:
        async with client(api.url) as cluster:
            with pytest.raises(refusals.NotFound, match="there is no namespace 'shpo'"):
                await lists.every(cluster, Pod, "shpo")


async def test_nothing_in_a_namespace_that_exists_is_an_empty_list() -> None:
    with serving(answering(namespace("shpo"))) as api:
        async with client(api.url) as cluster:
            assert (await lists.every(cluster, Pod, "shpo")).items == ()


async def test_a_namespace_that_may_not_be_read_is_no_empty_list_either() -> None:
    with serving(answering(status(403, "Forbidden"))) as api:
        async with client(api.url) as cluster:
            with pytest.raises(refusals.Forbidden, match="allow `get` of this namespace"):
                await lists.every(cluster, Pod, "shpo")


@pytest.mark.parametrize("selector", ["labels", "fields"])
async def test_an_empty_selector_is_refused_unsent(selector: str) -> None:
    with serving(page("a")) as api:
        async with client(api.url) as cluster:
            with pytest.raises(Refused, match="an empty selector"):
                await lists.every(cluster, Pod, "shop", **{selector: ""})
    assert not api.asked


async def test_pages_come_compressed_where_the_server_can() -> None:
    body = gzip.compress(json.dumps(page("a").body).encode())
    with serving(Said(200, body, {"Content-Encoding": "gzip"})) as api:
        async with client(api.url) as cluster:
            assert len((await lists.every(cluster, Pod, "shop")).items) == 1
    assert api.asked[0].headers["Accept-Encoding"] == "gzip"


async def test_a_page_that_would_inflate_without_end_is_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "PAGE_BYTES_MAX", 1 << 20)
    bomb = gzip.compress(b" " * (64 << 20))
    with serving(Said(200, bomb, {"Content-Encoding": "gzip"})) as api:
        async with client(api.url) as cluster:
            with pytest.raises(Doubt, match="above 1048576 bytes"):
                await lists.every(cluster, Pod, "shop")


STRANGE = {
    "a page of the web": b"<html>",
    "another shape": b'{"items": 7}',
    "deep": b"[" * 100_000,
    "half": b'{"items": [',
}


@pytest.mark.parametrize("body", STRANGE.values(), ids=STRANGE)
async def test_a_list_that_is_none_is_doubt(body: bytes) -> None:
    with serving(Said(200, body)) as api:
        async with client(api.url) as cluster:
            with pytest.raises(Doubt, match="not in Kubernetes' words"):
                await lists.every(cluster, Pod, "shop")
    assert len(api.asked) == 1
