"""Leases and counters: the routes that the real server does not know."""

from __future__ import annotations

import http.client
import time
from typing import Any

import pytest

from tests.proxy.relay import Relay
from tests.proxy.toxi import Api, Rig, can_connect, quiet, read, takes, to_end, wait_until

V1 = "/chaos-runner/v1"


def lease(api: Api, run: str = "run-1", **body: Any) -> dict[str, Any]:
    answer = api("PUT", f"{V1}/leases/{run}", body)
    assert answer.status == 200, answer
    return answer.json


def end(api: Api, run: str = "run-1") -> int:
    return api("DELETE", f"{V1}/leases/{run}").status


@pytest.fixture(autouse=True)
def no_lease_stays(embedded: Api) -> Any:
    yield
    for run in ("run-1", "run-2", *(f"n{number}" for number in range(65))):
        if embedded("GET", f"{V1}/leases/{run}").status == 200:
            end(embedded, run)


def test_the_capabilities_say_what_there_is(embedded: Api) -> None:
    assert embedded("GET", V1).json == {
        "version": 1,
        "capabilities": ["leases", "counters", "http", "limits"],
        "seed": 7,
    }


def test_a_lease_is_made_renewed_shown_and_ended(embedded: Api) -> None:
    made = lease(embedded)
    assert (made["run"], made["ttl"], made["restore"]) == ("run-1", 5.0, {})
    lease(embedded, ttl=9.5, restore={"a": {"enabled": True}})
    lease(embedded, restore={"b": {"enabled": False}})

    shown = embedded("GET", f"{V1}/leases/run-1").json

    assert (shown["ttl"], shown["restore"]) == (9.5, {"a": {"enabled": True}, "b": {"enabled": False}})
    assert 8 < shown["expires_in"] <= 9.5
    assert end(embedded) == 204
    for method in ("GET", "DELETE"):
        gone = embedded(method, f"{V1}/leases/run-1")
        assert (gone.status, gone.error) == (404, "lease not found")


@pytest.mark.parametrize(
    ("run", "body"),
    [
        ("UPPER", {}),
        ("dot.ted", {}),
        ("x" * 64, {}),
        ("run-1", {"ttl": 0.4}),
        ("run-1", {"ttl": 3601}),
        ("run-1", {"ttl": "5"}),
        ("run-1", {"restore": {"p": {"enabled": "yes"}}}),
        ("run-1", {"restore": {"p": {"enable": True}}}),
        ("run-1", {"restor": {}}),
        ("run-1", []),
        ("run-1", b"{"),
    ],
)
def test_a_lease_that_is_not_understood_is_refused(embedded: Api, run: str, body: Any) -> None:
    assert embedded("PUT", f"{V1}/leases/{run}", body).status == 400
    assert embedded("GET", f"{V1}/leases/{run}").status == 404


def test_there_are_at_most_64_leases(embedded: Api) -> None:
    for number in range(64):
        lease(embedded, f"n{number}")

    refused = embedded("PUT", f"{V1}/leases/n64", {})

    assert (refused.status, refused.error) == (409, "too many leases: at most 64")
    assert lease(embedded, "n63")["run"] == "n63"


@pytest.mark.parametrize("kind", ["latency", "noop"])
def test_a_runs_toxic_needs_its_live_lease(own: Rig, kind: str) -> None:
    body = {"type": kind, "name": "cx.run-1.0.99", "toxicity": 0}
    lease(own.api, "run-2")

    refused = own.api("POST", "/proxies/p/toxics", body)
    lease(own.api)
    taken = own.api("POST", "/proxies/p/toxics", body)

    assert (refused.status, refused.error) == (409, "no live lease for run run-1")
    assert taken.status == 200
    assert own.api("POST", "/proxies/p/toxics", body).error == "toxic already exists"


def test_a_lapsed_lease_takes_its_toxics_and_traffic_flows(own: Rig) -> None:
    lease(own.api, ttl=0.5)
    own.api.toxic("latency", name="cx.run-1.0.99", latency=60_000)
    own.api.toxic("bandwidth", name="cx.run-1.1.99", rate=0)
    own.api.toxic("noop", name="mine")
    line = own.line()
    line.server.sendall(b"held")

    with takes(0, 1.5):
        assert read(line.client, 4) == b"held"
    line.client.sendall(b"more")
    assert read(line.server, 4) == b"more"
    assert [toxic["name"] for toxic in own.api("GET", "/proxies/p/toxics").json] == ["mine"]
    assert own.api("GET", f"{V1}/leases/run-1").status == 404
    assert own.api("POST", "/proxies/p/toxics", {"type": "noop", "name": "cx.run-1.0.99"}).status == 409
    said = "lease of run run-1 lapsed after 0.5s without renewal: 2 toxics removed"
    wait_until(lambda: said in own.api.log.read_text())


def test_a_renewed_lease_lives_on(own: Rig) -> None:
    lease(own.api, ttl=0.5)
    own.api.toxic("bandwidth", name="cx.run-1.0.99", rate=0)
    line = own.line()
    line.server.sendall(b"held")
    end_at = time.monotonic() + 1.2
    while time.monotonic() < end_at:
        lease(own.api)
        assert quiet(line.client, 0.1)


def test_a_lapsed_lease_restores_what_was_disabled(own: Rig) -> None:
    lease(own.api, ttl=0.5, restore={"p": {"enabled": True}, "gone": {"enabled": True}})
    own.api("PATCH", "/proxies/p", {"enabled": False})
    assert not can_connect(own.port)

    wait_until(lambda: own.api("GET", "/proxies/p").json["enabled"])
    line = own.line()
    line.client.sendall(b"x")
    assert read(line.server, 1) == b"x"
    wait_until(lambda: "p enabled, gone not restored: no such proxy" in own.api.log.read_text())


def test_a_value_that_another_run_holds_is_left_to_it(own: Rig) -> None:
    lease(own.api, "run-2", ttl=60, restore={"p": {"enabled": True}})
    lease(own.api, "run-1", ttl=0.5, restore={"p": {"enabled": True}})
    own.api("PATCH", "/proxies/p", {"enabled": False})

    wait_until(lambda: "p left as it is" in own.api.log.read_text())
    assert own.api("GET", "/proxies/p").json["enabled"] is False


def test_ending_a_lease_takes_its_toxics_and_leaves_enabled_alone(own: Rig) -> None:
    lease(own.api, restore={"p": {"enabled": True}})
    own.api.toxic("latency", name="cx.run-1.0.99")
    own.api.toxic("latency", name="cx2")
    own.api("PATCH", "/proxies/p", {"enabled": False})

    assert end(own.api) == 204
    shown = own.api("GET", "/proxies/p").json
    assert (shown["enabled"], [toxic["name"] for toxic in shown["toxics"]]) == (False, ["cx2"])


def counters(api: Api) -> dict[str, Any]:
    return api("GET", f"{V1}/counters").json["proxies"]["p"]


def test_counters_start_at_nothing(own: Rig) -> None:
    nothing = {"upstream": 0, "downstream": 0}

    assert counters(own.api) == {
        "connections": 0, "open": 0, "bytes": nothing, "reads": nothing, "payload_streams": nothing, "toxics": {},
    }  # fmt: skip


def test_counters_say_what_passed_and_what_was_hit(own: Rig) -> None:
    own.api.toxic("latency", name="slow", latency=100)
    idle, busy = own.line(), own.line()
    for _ in range(2):
        busy.client.sendall(b"12345")
        read(busy.server, 5)
        busy.server.sendall(b"1234567890")
        read(busy.client, 10)
    idle.close()
    wait_until(lambda: counters(own.api)["open"] == 1)

    now = counters(own.api)

    slow = now["toxics"]["slow"]
    assert (now["connections"], now["bytes"]) == (2, {"upstream": 10, "downstream": 20})
    assert now["payload_streams"] == {"upstream": 1, "downstream": 1}
    assert (slow["streams"], slow["affected"], slow["bytes"]) == (2, 1, 20)
    assert 199 <= slow["delay_ms"] <= 201


@pytest.mark.parametrize(
    ("kind", "attributes", "bytes_hit"),
    [
        ("bandwidth", {"rate": 0}, 10),
        ("timeout", {"timeout": 0}, 10),
        ("reset_peer", {"timeout": 0}, 10),
        ("limit_data", {"bytes": 4}, 6),
        ("slicer", {"average_size": 2, "delay": 10}, 10),
        ("latency", {"latency": 0}, 0),
        ("limit_data", {"bytes": 100}, 0),
        ("noop", {}, 0),
    ],
)
def test_a_toxic_counts_the_payload_that_it_did_something_to(
    own: Rig, kind: str, attributes: dict[str, int], bytes_hit: int
) -> None:
    name = own.api.toxic(kind, **attributes)
    line = own.line()
    line.server.sendall(b"1234567890")
    wait_until(lambda: counters(own.api)["bytes"]["downstream"] == 10)

    hit = counters(own.api)["toxics"][name]

    assert (hit["streams"], hit["bytes"], hit["affected"]) == (1, bytes_hit, int(bytes_hit > 0))


def test_a_connection_that_did_not_draw_the_toxic_is_seen_and_not_affected(own: Rig) -> None:
    own.api.toxic("limit_data", "upstream", bytes=0, toxicity=0.5, name="half")
    hit = 0
    for _ in range(40):
        line = own.line()
        line.client.sendall(b"x")
        hit += to_end(line.server) == b"" if line.server.recv(1) == b"" else 0

    half = counters(own.api)["toxics"]["half"]
    assert (half["streams"], half["affected"]) == (40, hit)
    assert 0 < hit < 40


def test_counts_outlive_their_toxic_and_a_fence_in_its_place(own: Rig) -> None:
    name = own.api.toxic("latency", latency=10)
    line = own.line()
    line.server.sendall(b"12345")
    read(line.client, 5)
    before = counters(own.api)["toxics"][name]
    own.api.drop(name)
    own.api.toxic("noop", name=name, toxicity=0)

    assert counters(own.api)["toxics"][name] == before
    assert before["affected"] == 1


def test_at_most_1000_counts_are_kept(own: Rig) -> None:
    own.api.toxic("noop", name="stays")
    for number in range(1005):
        own.api.drop(own.api.toxic("noop", name=f"t{number}"))

    kept = counters(own.api)["toxics"]
    assert len(kept) == 1000
    assert {"stays", "t1004"} <= kept.keys()


def disable(port: int, path: str) -> int:
    """A PATCH that takes the proxy down, through whatever stands there; 0 where no answer comes."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        line.request("PATCH", path, b'{"enabled": false}')
        return line.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        line.close()


def test_a_proxy_goes_down_for_a_run_only_while_its_lease_lives(own: Rig) -> None:
    lease(own.api, "run-2")
    refused = own.api("PATCH", "/proxies/p?lease=run-1", {"enabled": False})
    assert (refused.status, refused.error) == (409, "no live lease for run run-1")
    assert own.api("GET", "/proxies/p").json["enabled"]

    lease(own.api)
    assert own.api("PATCH", "/proxies/p?lease=run-1", {"enabled": False}).json["enabled"] is False
    end(own.api)
    assert own.api("PATCH", "/proxies/p", {"enabled": True}).json["enabled"], "an undo needs no lease"
    assert own.api("PATCH", "/proxies/p", {"enabled": False}).status == 200, "nor does anybody else"
    assert own.api("PATCH", "/proxies/p?" + "lease=run-1&" * 20, {"enabled": True}).status == 400


@pytest.mark.parametrize("ended", ["lapsed", "released"])
def test_a_request_that_was_held_up_cannot_take_a_proxy_down_after_its_lease(own: Rig, ended: str) -> None:
    lease(own.api, ttl=0.5 if ended == "lapsed" else 60, restore={"p": {"enabled": True}})
    with Relay(own.api.port, lambda _: "held") as relay:
        assert disable(relay.port, "/proxies/p?lease=run-1") == 0
        if ended == "released":
            end(own.api)
        wait_until(lambda: own.api("GET", f"{V1}/leases/run-1").status == 404)

        assert relay.release() == [409]

    assert own.api("GET", "/proxies/p").json["enabled"]
    assert can_connect(own.port)
