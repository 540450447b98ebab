"""What the real server is never asked: extremes, races, a failure in the middle."""

from __future__ import annotations

import asyncio
import socket

import pytest

from chaos_runner.proxy.proxies import Proxies, Wanted
from tests.proxy.toxi import LOOP, Rig, can_connect, port_of, quiet, read, to_end


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("latency", {"latency": (1 << 63) - 1, "jitter": (1 << 62) - 1}),
        ("latency", {"latency": -(1 << 63)}),
        ("bandwidth", {"rate": (1 << 63) - 1}),
        ("timeout", {"timeout": (1 << 63) - 1}),
        ("reset_peer", {"timeout": (1 << 63) - 1}),
        ("slow_close", {"delay": -(1 << 63)}),
        ("limit_data", {"bytes": (1 << 63) - 1}),
        ("slicer", {"average_size": (1 << 63) - 1, "size_variation": (1 << 63) - 1, "delay": (1 << 63) - 1}),
    ],
)
def test_no_number_that_is_accepted_breaks_anything(own: Rig, kind: str, attributes: dict[str, int]) -> None:
    name = own.api.toxic(kind, "upstream", **attributes)
    line = own.line()
    line.client.sendall(b"some data")
    line.client.shutdown(socket.SHUT_WR)
    quiet(line.server, 0.03)
    own.api.drop(name)

    assert own.api("GET", "/proxies/p/toxics").json == []
    assert to_end(line.server) in (b"some data", b"")


def test_one_taken_port_does_not_keep_the_rest_from_reset(own: Rig) -> None:
    own.api("PATCH", "/proxies/p", {"enabled": False})
    with socket.create_server((LOOP, own.port)):
        other = own.api.make("z", enabled=False, listen=f"{LOOP}:0")
        own.api.toxic("latency", proxy="z")
        answer = own.api("POST", "/reset")
        assert answer.status == 500

    shown = own.api("GET", "/proxies/z").json
    assert (other["enabled"], shown["enabled"], shown["toxics"]) == (False, True, [])
    assert can_connect(port_of(shown))


def test_data_sent_before_the_dial_is_done_is_not_lost(own: Rig) -> None:
    threads = []
    for number in range(20):
        client = socket.create_connection((LOOP, own.port), timeout=5)
        client.sendall(b"%d" % number)
        client.shutdown(socket.SHUT_WR)
        threads.append(client)

    got = set()
    for _ in threads:
        server, _ = own.listener.accept()
        server.settimeout(5)
        got.add(int(to_end(server)))
        server.close()
    for client in threads:
        client.close()
    assert got == set(range(20))


def test_of_many_that_create_one_name_at_once_one_succeeds() -> None:
    async def race() -> list[object]:
        all_of_them = Proxies(seed=1)
        wanted = Wanted({"name": "same", "upstream": "x:1", "listen": f"{LOOP}:0"})
        made = await asyncio.gather(*(all_of_them.create(wanted) for _ in range(9)), return_exceptions=True)
        all_of_them.stop()
        return [getattr(one, "status", 201) for one in made]

    assert asyncio.run(race()) == [201] + [409] * 8


def test_an_answer_that_nobody_asked_for_passes(own: Rig) -> None:
    """A toxic that knows requests counts answers; one too many is still the service's to give."""
    asked = {"type": "http_delay", "attributes": {"delay": 0}}
    assert own.api("POST", "/proxies/p/toxics", asked).status == 200
    line = own.line()
    line.client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert read(line.server, 3) == b"GET"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    line.server.sendall(answer * 2)
    line.server.close()

    assert to_end(line.client) == answer * 2
