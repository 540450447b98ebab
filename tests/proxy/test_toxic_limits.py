"""A toxic's own limits: it is gone after its time, and hits no more than it may, from its first moment on."""

from __future__ import annotations

import time

import pytest

from tests.proxy import toxi
from tests.proxy.http.conftest import Shop, ask, shop  # noqa: F401 -- a fixture

LIMITS = "/chaos-runner/v1/limits"


def limit(api: toxi.Api, toxic: str, **body: object) -> None:
    answer = api("PUT", f"{LIMITS}/p/{toxic}", body)
    assert answer.status == 200, answer


def late(line: toxi.Line) -> bool:
    """Whether a byte from the client takes longer than a moment."""
    began = time.monotonic()
    line.client.sendall(b"x")
    assert line.server.recv(1) == b"x"
    return time.monotonic() - began > 0.1


def test_a_toxic_is_gone_after_its_time_and_traffic_flows_on(own: toxi.Rig) -> None:
    line = own.line()
    limit(own.api, "t", ttl=0.3)
    own.api.toxic("timeout", "upstream", name="t", toxicity=1, timeout=0)
    shown = own.api("GET", f"{LIMITS}/p/t").json

    assert 0 < shown["expires_in"] <= 0.3
    toxi.wait_until(lambda: own.api("GET", "/proxies/p/toxics").json == [])
    assert own.api("GET", f"{LIMITS}/p/t").status == 404
    assert not late(own.line())
    del line


def test_a_limit_can_come_while_the_toxic_is_there(own: toxi.Rig) -> None:
    own.api.toxic("latency", "upstream", name="t", latency=10)
    limit(own.api, "t", ttl=0.2)

    toxi.wait_until(lambda: own.api("GET", "/proxies/p/toxics").json == [])


def test_no_more_connections_are_hit_than_allowed_not_even_those_that_were_open(own: toxi.Rig) -> None:
    before = [own.line() for _ in range(4)]
    limit(own.api, "t", max_affected=3)
    own.api.toxic("latency", "upstream", name="t", latency=200)
    after = [own.line() for _ in range(4)]
    slow = [late(line) for line in before + after]

    assert sum(slow) == 3
    assert [late(line) for line in before + after] == slow


def test_a_limit_counts_requests_where_the_toxic_knows_them(shop: Shop) -> None:  # noqa: F811
    limit(shop.api, "t", max_affected=2)
    shop.api.toxic("http_error", name="t")
    client = shop.client()

    assert [ask(client)[0] for _ in range(5)] == [503, 503, 200, 200, 200]


@pytest.mark.parametrize("body", [{"ttl": 0}, {"ttl": "1s"}, {"max_affected": -1}, {"maxaffected": 1}, []])
def test_a_bad_limit_is_a_400_and_changes_nothing(own: toxi.Rig, body: object) -> None:
    assert own.api("PUT", f"{LIMITS}/p/t", body).status == 400
    assert own.api("GET", f"{LIMITS}/p/t").status == 404
    assert own.api("PUT", f"{LIMITS}/nope/t", {}).status == 404
