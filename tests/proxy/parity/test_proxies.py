"""P1-P14: bytes through a proxy without toxics, and live connections when the proxy changes."""

from __future__ import annotations

import os
import socket
import statistics
import time

import pytest

from tests.proxy.parity.kit import STREAMS, ends, in_thread, send, within
from tests.proxy.toxi import LOOP, Api, Rig, can_connect, free_port, port_of, read, to_end

PATH = "/proxies/p"


@pytest.mark.parametrize("stream", STREAMS)
def test_p01_bytes_pass_unchanged(rig: Rig, stream: str) -> None:
    line = rig.line()
    sender, receiver = ends(line, stream)
    for data in (b"hello world", os.urandom(64 << 10), os.urandom(1 << 20)):
        thread = in_thread(sender.sendall, data)
        assert read(receiver, len(data)) == data
        thread.join()
    sender.sendall(b"in two ")
    sender.sendall(b"parts")
    assert read(receiver, 12) == b"in two parts"


@pytest.mark.parametrize("stream", STREAMS)
def test_p02_the_end_comes_after_all_bytes(rig: Rig, stream: str) -> None:
    sender, receiver = ends(rig.line(), stream)
    sender.sendall(b"first ")
    sender.sendall(b"x" * 100_000)
    sender.close()

    assert to_end(receiver) == b"first " + b"x" * 100_000


def test_p03_a_refused_upstream_ends_the_client_within_half_a_second(api: Api) -> None:
    port = port_of(api.make(upstream=f"{LOOP}:{free_port()}"))

    def connect() -> None:
        with socket.create_connection((LOOP, port), timeout=5) as client:
            assert client.recv(1) == b""

    within(0, connect, most_s=0.4)


def test_p04_stopping_thrice_is_harmless(rig: Rig) -> None:
    for _ in range(3):
        assert rig.api("PATCH", PATH, {"enabled": False}).json["enabled"] is False
    rig.api("PATCH", PATH, {"enabled": True})

    assert send(rig.line(), "upstream", b"again") == b"again"


def test_p05_only_another_address_moves_a_proxy(rig: Rig) -> None:
    line = rig.line()
    assert rig.api("PATCH", PATH, {"listen": f"{LOOP}:{rig.port}"}).json["listen"] == f"{LOOP}:{rig.port}"
    assert send(line, "upstream", b"alive") == b"alive"

    moved = rig.api("PATCH", PATH, {"listen": f"{LOOP}:0"}).json
    assert port_of(moved) not in (0, rig.port)
    assert to_end(line.client) == b""
    assert (can_connect(rig.port), can_connect(port_of(moved))) == (False, True)


def test_p06_the_same_address_by_name_keeps_live_connections(rig: Rig) -> None:
    line = rig.line()

    assert rig.api("PATCH", PATH, {"listen": f"localhost:{rig.port}"}).json["listen"] == f"{LOOP}:{rig.port}"
    assert send(line, "upstream", b"alive") == b"alive"


def test_p07_a_start_that_failed_works_when_the_port_is_free(rig: Rig) -> None:
    with socket.create_server((LOOP, 0)) as taken:
        listen = f"{LOOP}:{taken.getsockname()[1]}"
        failed = rig.api("PATCH", PATH, {"listen": listen})
        shown = rig.api("GET", PATH).json

    assert (failed.status, failed.error) == (500, f"listen tcp {listen}: bind: address already in use")
    assert (shown["enabled"], shown["listen"]) == (False, listen)
    assert rig.api("PATCH", PATH, {"enabled": True}).status == 200
    assert can_connect(port_of(shown))


def test_p08_disabling_ends_live_connections_and_refuses_new_ones(rig: Rig) -> None:
    line = rig.line()
    send(line, "upstream")
    rig.api("PATCH", PATH, {"enabled": False})

    assert (line.client.recv(1), line.server.recv(1)) == (b"", b"")
    assert not can_connect(rig.port)


def test_p09_enabling_binds_the_same_port(rig: Rig) -> None:
    rig.line()
    for enabled in (False, True):
        assert port_of(rig.api("PATCH", PATH, {"enabled": enabled}).json) == rig.port

    assert send(rig.line(), "downstream", b"back") == b"back"


def test_p10_a_new_upstream_drops_live_connections_and_gets_the_new_ones(rig: Rig) -> None:
    line = rig.line()
    with socket.create_server((LOOP, 0)) as other:
        rig.api("PATCH", PATH, {"upstream": f"{LOOP}:{other.getsockname()[1]}"})
        assert (to_end(line.client), to_end(line.server)) == (b"", b"")
        with socket.create_connection((LOOP, rig.port), timeout=5) as client, other.accept()[0] as server:
            client.sendall(b"new")
            assert read(server, 3) == b"new"


def test_p11_deleting_ends_live_connections(rig: Rig) -> None:
    line = rig.line()
    rig.api("DELETE", PATH)

    assert (to_end(line.client), to_end(line.server)) == (b"", b"")


@pytest.mark.parametrize("change", [{"enabled": False}, {"listen": f"{LOOP}:0"}, {"upstream": "elsewhere:1"}])
def test_p12_toxics_survive_what_happens_to_their_proxy(rig: Rig, change: dict[str, object]) -> None:
    for stream in STREAMS:
        rig.api.toxic("latency", stream, latency=5)
    before = rig.api("GET", f"{PATH}/toxics").json
    rig.api("PATCH", PATH, change)
    rig.api("PATCH", PATH, {"enabled": True})

    assert rig.api("GET", f"{PATH}/toxics").json == before


def test_p13_a_proxy_adds_less_than_300_us(rig: Rig) -> None:
    """200 messages one way against the same without a proxy; the least of five rounds, stalls are not the proxy's."""
    line = rig.line()
    with socket.create_connection(rig.listener.getsockname()) as near, rig.listener.accept()[0] as far:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        added = [median_us(line.client, line.server) - median_us(near, far) for _ in range(5)]

    assert min(added) < 300, added


def median_us(client: socket.socket, server: socket.socket) -> float:
    taken = []
    for _ in range(200):
        begin = time.perf_counter()
        client.sendall(b"ping")
        read(server, 4)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) * 1e6


def test_p14_a_thousand_connections_at_once(rig: Rig, many_files: None) -> None:
    lines = [rig.line() for _ in range(1000)]
    for number, line in enumerate(lines):
        line.client.sendall(b"%4d" % number)

    assert [int(read(line.server, 4)) for line in lines] == list(range(1000))
