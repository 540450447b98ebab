"""HTTP toxics on real sockets: single requests are hit, and everything around them stays what it was."""

from __future__ import annotations

import http.client
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.proxy import toxi
from tests.proxy.http.conftest import Shop, ask


def raw(shop: Shop, data: bytes, limit_s: float = 2.0) -> bytes:
    """Everything that comes back until the other side closes, or is silent."""
    with socket.create_connection((toxi.LOOP, shop.port), timeout=limit_s) as line:
        line.sendall(data)
        whole = b""
        try:
            while part := line.recv(65536):
                whole += part
        except TimeoutError:
            pass
        return whole


def test_an_error_before_is_an_answer_that_the_service_never_gave(shop: Shop) -> None:
    shop.api.toxic("http_error", status=503, body="try later", headers={"Retry-After": "7"})
    client = shop.client()
    client.request("GET", "/orders")
    answer = client.getresponse()

    assert (answer.status, answer.reason, answer.read()) == (503, "Service Unavailable", b"try later")
    assert answer.headers["Retry-After"] == "7"
    assert shop.asked == []


def test_an_error_after_is_one_after_the_work_was_done(shop: Shop) -> None:
    shop.api.toxic("http_error", status=500, when="after")

    assert ask(shop.client(), "/orders", "POST", b"one") == (500, b"")
    assert shop.asked == ["POST /orders"]


@pytest.mark.parametrize("path", ["/", "/chunked", "/until-close"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_whatever_the_answer_s_framing_the_error_takes_its_place(shop: Shop, path: str, when: str) -> None:
    shop.api.toxic("http_error", status=502, body="no", when=when)

    assert ask(shop.client(), path) == (502, b"no")


def test_a_connection_lives_on_after_an_error(shop: Shop) -> None:
    client = shop.client()
    name = shop.api.toxic("http_error")
    assert ask(client, "/1")[0] == 503
    mine = client.sock
    assert ask(client, "/2", "POST", b"x" * 100_000)[0] == 503
    shop.api.drop(name)

    assert ask(client, "/3") == (200, b"GET /3 0")
    assert client.sock is mine
    assert shop.asked == ["GET /3"]


def test_a_live_connection_is_hit_and_left_alone_as_toxics_come_and_go(shop: Shop) -> None:
    client = shop.client()
    for round_ in range(3):
        assert ask(client, f"/{round_}")[0] == 200
        name = shop.api.toxic("http_error", status=429)
        assert ask(client)[0] == 429
        shop.api.drop(name)
        assert ask(client, f"/again-{round_}")[0] == 200


def test_the_share_is_of_requests_and_the_same_for_the_same_seed(shop: Shop) -> None:
    name = shop.api.toxic("http_error", share=0.3, name="third")
    client = shop.client()
    hit = [ask(client, f"/{n}")[0] == 503 for n in range(200)]

    assert 35 <= sum(hit) <= 85
    assert shop.counts(name) | {"requests": 200, "hits": sum(hit)} == shop.counts(name)
    assert len(shop.asked) == 200 - sum(hit)


def test_never_more_are_hit_than_allowed(shop: Shop) -> None:
    name = shop.api.toxic("http_error", max_affected=3)
    statuses = [ask(shop.client())[0] for _ in range(10)]

    assert statuses == [503] * 3 + [200] * 7
    assert shop.counts(name)["hits"] == 3


def test_only_what_matches_is_hit_and_never_what_is_excluded(shop: Shop) -> None:
    match = {"methods": ["GET"], "path": "/api/*", "headers": {"X-Tenant": "blue"}}
    shop.api.toxic("http_error", match=match, exclude=["/api/health*"])
    client = shop.client()

    assert ask(client, "/api/orders?x=1", X_Tenant="blue")[0] == 503
    assert ask(client, "/api/orders", "POST", b"", X_Tenant="blue")[0] == 200
    assert ask(client, "/other", X_Tenant="blue")[0] == 200
    assert ask(client, "/api/orders", X_Tenant="red")[0] == 200
    assert ask(client, "/api/healthz", X_Tenant="blue")[0] == 200


def test_a_delay_holds_the_request_before_the_service_and_loses_nothing(shop: Shop) -> None:
    name = shop.api.toxic("http_delay", delay=150)
    client, began = shop.client(), time.monotonic()

    assert ask(client, "/a", "POST", b"x" * 50_000) == (200, b"POST /a 50000")
    assert shop.server.asked[0].at - began >= 0.15 - toxi.EARLY_S
    assert time.monotonic() - began < 0.15 + 2
    assert shop.counts(name)["delay_ms"] == 150


def test_a_delayed_error_comes_late(shop: Shop) -> None:
    shop.api.toxic("http_delay", delay=150)
    shop.api.toxic("http_error")
    began = time.monotonic()

    assert ask(shop.client())[0] == 503
    assert time.monotonic() - began >= 0.15 - toxi.EARLY_S


def test_an_error_of_ours_is_as_late_as_an_answer_of_the_service(shop: Shop) -> None:
    shop.api.toxic("latency", latency=150)
    shop.api.toxic("http_error")
    client = shop.client()
    for _ in range(2):  # the first one on a connection goes another way than those that follow
        began = time.monotonic()
        assert ask(client)[0] == 503
        assert time.monotonic() - began >= 0.15 - toxi.EARLY_S


def test_a_truncated_answer_has_its_head_and_so_many_bytes(shop: Shop) -> None:
    shop.api.toxic("http_truncate", bytes=4)
    client = shop.client()
    client.request("GET", "/")
    answer = client.getresponse()

    assert answer.status == 200
    with pytest.raises(http.client.IncompleteRead) as cut:
        answer.read()
    assert cut.value.partial == b"GET "


def test_a_malformed_answer_is_no_http(shop: Shop) -> None:
    shop.api.toxic("http_malformed")
    with pytest.raises(http.client.BadStatusLine):
        ask(shop.client())
    assert shop.asked == ["GET /"]


def test_pipelined_requests_are_answered_in_their_order(shop: Shop) -> None:
    shop.api.toxic("http_error", body="E", match={"path": "/bad*"})
    wanted = ["/1", "/bad2", "/3", "/bad4", "/bad5", "/6"]
    data = b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode() for path in wanted[:-1])
    data += b"GET /6 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    back = raw(shop, data)

    places = [back.find(f"GET {path} 0".encode()) for path in ("/1", "/3", "/6")]
    assert places == sorted(places)
    assert min(places) > 0
    assert re.findall(rb"HTTP/1.1 ([0-9]+)", back) == [b"200", b"503", b"200", b"503", b"503", b"200"]


def test_a_client_that_waits_for_a_word_before_its_body_gets_the_error(shop: Shop) -> None:
    shop.api.toxic("http_error", body="no")
    back = raw(shop, b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")

    assert back.startswith(b"HTTP/1.1 503 ")
    assert back.endswith(b"no")


def test_head_gets_no_body(shop: Shop) -> None:
    shop.api.toxic("http_error", body="long")
    assert ask(shop.client(), method="HEAD") == (503, b"")


def test_what_is_no_http_passes_untouched(own: toxi.Rig) -> None:
    own.api.toxic("http_error")
    line = own.line()
    line.client.sendall(b"\x16\x03\x01 not http \x00")
    assert line.server.recv(100) == b"\x16\x03\x01 not http \x00"
    line.server.sendall(b"\x16\x03\x03 nor this")

    assert line.client.recv(100) == b"\x16\x03\x03 nor this"


def test_envoy_s_names_are_understood(shop: Shop) -> None:
    asked = {"abort": {"http_status": 429, "percentage": {"numerator": 1000, "denominator": "TEN_THOUSAND"}}}
    name = shop.api.toxic("http_error", **asked)
    shown = shop.api("GET", f"/proxies/p/toxics/{name}").json["attributes"]
    assert (shown["status"], shown["share"]) == (429, 0.1)

    name = shop.api.toxic("http_delay", delay={"fixed_delay": "0.25s", "percentage": 50})
    shown = shop.api("GET", f"/proxies/p/toxics/{name}").json["attributes"]
    assert (shown["delay"], shown["share"]) == (250, 0.5)


@pytest.mark.parametrize(
    ("kind", "attributes", "says"),
    [
        ("http_error", {"status": 99}, "`$.status`"),
        ("http_error", {"status": "503"}, "`$.status`"),
        ("http_error", {"stauts": 503}, "unknown field `stauts`"),
        ("http_error", {"share": 1.5}, "`$.share`"),
        ("http_error", {"headers": {"a b": "c"}}, "`$.headers"),
        ("http_error", {"headers": {"a": "c\r\nd: e"}}, "`$.headers"),
        ("http_error", [], "takes an object"),
        ("http_delay", {"fixed_delay": "soon"}, "such as 0.5s"),
        ("http_delay", {"percentage": "half"}, "percentage is a number"),
    ],
)
def test_a_bad_attribute_is_a_400_that_names_it(shop: Shop, kind: str, attributes: object, says: str) -> None:
    answer = shop.api("POST", "/proxies/p/toxics", {"type": kind, "attributes": attributes})

    assert answer.status == 400
    assert says in answer.error
    assert shop.api("GET", "/proxies/p/toxics").json == []


def test_an_update_is_merged_and_counts_from_the_next_request_on(shop: Shop) -> None:
    name = shop.api.toxic("http_error", body="b")
    client = shop.client()
    assert ask(client) == (503, b"b")
    shop.api.patch(name, attributes={"status": 404})

    assert ask(client) == (404, b"b")


@pytest.mark.parametrize("which", ["shop", "plain_shop"])
def test_many_clients_at_once_get_each_their_own_answers(which: str, request: pytest.FixtureRequest) -> None:
    shop: Shop = request.getfixturevalue(which)
    name = shop.api.toxic("http_error", share=0.5, body="E")

    def client(n: int) -> int:
        mine, errors = shop.client(), 0
        for k in range(40):
            path = f"{'/chunked' if k % 2 else ''}/{n}/{k}"
            status, body = ask(mine, path, "POST", b"x" * (k * 100))
            assert (status, body) in {(200, f"POST {path} {k * 100}".encode()), (503, b"E")}
            errors += status == 503
        return errors

    with ThreadPoolExecutor(8) as pool:
        errors = sum(pool.map(client, range(8)))
    assert shop.counts(name)["hits"] == errors
    assert len(shop.asked) == 320 - errors


def test_an_upgraded_connection_is_left_alone(own: toxi.Rig) -> None:
    own.api.toxic("http_error", match={"path": "/never"})
    line = own.line()
    line.client.sendall(b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    assert line.server.recv(1000).startswith(b"GET /chat")
    line.server.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x02hi")
    assert line.client.recv(1000).endswith(b"\x81\x02hi")
    line.client.sendall(b"GET /never HTTP/1.1\r\n\r\n")

    assert line.server.recv(1000) == b"GET /never HTTP/1.1\r\n\r\n"


def test_who_asks_and_never_reads_is_not_listened_to_for_ever(shop: Shop) -> None:
    name = shop.api.toxic("http_error", status=503, body="x" * 60_000)
    with socket.create_connection((toxi.LOOP, shop.port), timeout=2) as line:
        for _ in range(400):
            line.sendall(b"GET / HTTP/1.1\r\n\r\n")
            time.sleep(0.001)  # one by one: each is an answer of its own
        toxi.wait_until(lambda: shop.counts(name)["requests"] > 20)
        assert shop.counts(name)["requests"] < 300, "answers pile up for somebody who does not read"
        size = 0
        while size < 400 * 60_000:
            size += len(line.recv(1 << 20))
    assert shop.counts(name)["requests"] == 400
