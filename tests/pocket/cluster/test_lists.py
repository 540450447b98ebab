"""Lists and watches answer as a real API server does; nothing here needs a socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chaos_runner.pocket.cluster.api import lists
from tests.pocket.cluster.kit import Desk, Reply

PODS = "/api/v1/namespaces/lab/pods"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def names(reply: Reply) -> list[str]:
    assert reply.status == 200, reply
    return [item["metadata"]["name"] for item in reply.value["items"]]


def events(reply: Reply) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in reply.body.splitlines()]
    return [(line["type"], line["object"]["metadata"].get("name", "")) for line in lines]


@pytest.fixture
def five(desk: Desk) -> Desk:
    for n in range(5):
        desk.pod(f"p{n}", labels={"n": str(n), "odd": str(n % 2)})
    return desk


def test_items_have_no_kind_and_the_list_has(five: Desk) -> None:
    value = five.get(PODS).value

    assert (value["kind"], value["apiVersion"]) == ("PodList", "v1")
    assert all("kind" not in item for item in value["items"])


def test_pages_are_of_one_version_whatever_happens_between_them(five: Desk) -> None:
    first = five.get(f"{PODS}?limit=2")
    metadata = first.value["metadata"]
    five.ask("DELETE", f"{PODS}/p3?gracePeriodSeconds=0")
    five.pod("p9")
    second = five.get(f"{PODS}?limit=2&continue={metadata['continue']}")
    third = five.get(f"{PODS}?limit=2&continue={second.value['metadata']['continue']}")

    assert [names(first), names(second), names(third)] == [["p0", "p1"], ["p2", "p3"], ["p4"]]
    assert metadata["remainingItemCount"] == 3
    assert metadata["resourceVersion"] == third.value["metadata"]["resourceVersion"]
    assert third.value["metadata"].keys() == {"resourceVersion"}


def test_a_page_with_a_selector_does_not_say_how_many_remain(five: Desk) -> None:
    metadata = five.get(f"{PODS}?limit=1&labelSelector=odd%3D0").value["metadata"]

    assert "continue" in metadata
    assert "remainingItemCount" not in metadata


def test_a_page_after_a_compaction_is_expired_and_brings_a_token_that_works(five: Desk) -> None:
    token = five.get(f"{PODS}?limit=2").value["metadata"]["continue"]
    five.pod("p9")
    five.api._store.compact()
    late = five.get(f"{PODS}?limit=2&continue={token}")
    again = five.get(f"{PODS}?limit=9&continue={late.value['metadata']['continue']}")

    assert (late.status, late.value["reason"]) == (410, "Expired")
    assert "details" not in late.value
    assert lists.read(late.value["metadata"]["continue"]).rv == -1
    assert names(again) == ["p2", "p3", "p4", "p9"]


def test_an_exact_version_is_what_was_there_then(five: Desk) -> None:
    version = five.get(PODS).value["metadata"]["resourceVersion"]
    five.pod("p9")
    five.ask("DELETE", f"{PODS}/p0?gracePeriodSeconds=0")
    then = five.get(f"{PODS}?resourceVersion={version}&resourceVersionMatch=Exact")
    five.api._store.compact()

    assert names(then) == ["p0", "p1", "p2", "p3", "p4"]
    assert five.get(f"{PODS}?resourceVersion={version}&resourceVersionMatch=Exact").status == 410


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [
        ("limit=x", 400, "invalid syntax"),
        ("continue=garbage", 400, "invalid continue token"),
        ("resourceVersion=abc", 400, "invalid syntax"),
        ("resourceVersionMatch=Exact", 422, "resourceVersionMatch is forbidden"),
        ("labelSelector=%3Da", 400, "unable to parse requirement: found '=', expected: identifier"),
        ("fieldSelector=foo", 400, "invalid selector: 'foo'; can't understand 'foo'"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(desk: Desk, query: str, status: int, says: str) -> None:
    reply = desk.get(f"{PODS}?{query}")

    assert reply.status == status
    assert says in reply.value["message"]


def test_a_continued_list_has_no_version_of_its_own(five: Desk) -> None:
    token = five.get(f"{PODS}?limit=2").value["metadata"]["continue"]

    assert five.get(f"{PODS}?limit=2&continue={token}&resourceVersion=5").status == 400


def test_no_limit_below_zero_and_none_for_the_cache(five: Desk) -> None:
    assert len(names(five.get(f"{PODS}?limit=-1"))) == 5
    assert len(names(five.get(f"{PODS}?limit=2&resourceVersion=0"))) == 5


def test_a_namespace_that_does_not_exist_is_an_empty_list(desk: Desk) -> None:
    assert names(desk.get("/api/v1/namespaces/tpyo/pods")) == []


def test_a_version_of_the_future_is_waited_for_and_then_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaos_runner.pocket.cluster.api.server.FUTURE_WAIT_S", 0.01)
    reply = desk.get(f"{PODS}?resourceVersion=999999")

    assert (reply.status, reply.headers["retry-after"], reply.value["reason"]) == (504, "1", "Timeout")
    assert reply.value["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/api/v1/frobs", 404, b"could not find the requested resource"),
        ("/apis/frob.io/v1/frobs", 404, b"404 page not found\n"),
    ],
)
def test_what_is_not_served_is_not_found(desk: Desk, path: str, status: int, says: bytes) -> None:
    reply = desk.get(path)

    assert reply.status == status
    assert says in reply.body


def test_the_same_list_can_be_metadata_or_a_table(five: Desk) -> None:
    partial = five.get(PODS, accept="application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io").value
    table = five.get(PODS, accept=TABLE).value

    assert partial["kind"] == "PartialObjectMetadataList"
    assert {item["kind"] for item in partial["items"]} == {"PartialObjectMetadata"}
    assert table["rows"][0]["cells"][:3] == ["p0", "0/1", "Pending"]
    assert [column["name"] for column in table["columnDefinitions"]][:2] == ["Name", "Ready"]
    assert five.get(PODS, accept="application/xml").status == 406
    single = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    assert five.get(PODS, accept=single).status == 406
    assert five.get(PODS, accept=f"{single},application/json").value["kind"] == "PodList"


def test_a_watch_without_a_version_begins_with_what_is_there(five: Desk) -> None:
    reply = five.get(f"{PODS}?watch=1&timeoutSeconds=1&labelSelector=odd%3D1")

    assert events(reply) == [("ADDED", "p1"), ("ADDED", "p3")]


def test_a_watch_from_a_version_tells_what_happened_since(five: Desk) -> None:
    version = five.get(PODS).value["metadata"]["resourceVersion"]
    five.pod("new", labels={"odd": "1"})
    five.patch(f"{PODS}/p0", {"metadata": {"labels": {"odd": "1"}}})
    five.patch(f"{PODS}/p1", {"metadata": {"labels": {"odd": "0"}}})
    five.ask("DELETE", f"{PODS}/p3?gracePeriodSeconds=0")
    reply = five.get(f"{PODS}?watch=1&timeoutSeconds=1&labelSelector=odd%3D1&resourceVersion={version}")
    left = json.loads(reply.body.splitlines()[2])["object"]["metadata"]

    assert events(reply) == [("ADDED", "new"), ("ADDED", "p0"), ("DELETED", "p1"), ("DELETED", "p3")]
    assert left["labels"]["odd"] == "1", "it left the selector, and is shown as it was"
    assert int(left["resourceVersion"]) > int(version)


def test_initial_events_end_with_a_bookmark(five: Desk) -> None:
    query = "watch=1&timeoutSeconds=1&sendInitialEvents=true&allowWatchBookmarks=true"
    reply = five.get(f"{PODS}?{query}&resourceVersionMatch=NotOlderThan")
    last: dict[str, Any] = json.loads(reply.body.splitlines()[-1])

    assert len(events(reply)) == 6
    assert last["type"] == "BOOKMARK"
    assert last["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert five.get(f"{PODS}?{query}").status == 422


def test_a_watch_from_a_forgotten_version_is_an_error_event_under_200(five: Desk) -> None:
    version = int(five.get(PODS).value["metadata"]["resourceVersion"])
    five.pod("new")
    five.api._store.compact()
    reply = five.get(f"{PODS}?watch=1&timeoutSeconds=1&resourceVersion={version}")
    event = json.loads(reply.body)

    assert (reply.status, event["type"], event["object"]["code"]) == (200, "ERROR", 410)
    assert event["object"]["message"] == f"too old resource version: {version} ({version + 1})"
    assert five.get(f"{PODS}?watch=1&resourceVersion=abc").status == 500
