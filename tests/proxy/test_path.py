"""The data path without toxics, and what happens to live connections when a proxy changes."""

from __future__ import annotations

import os
import socket
import statistics
import threading
import time

from tests.proxy.toxi import LOOP, Api, Rig, can_connect, free_port, port_of, quiet, read, takes, to_end, wait_until


def test_bytes_pass_unchanged_both_ways(rig: Rig) -> None:  # P1
    line = rig.line()
    for data in (b"hello world", os.urandom(64 << 10), os.urandom(1 << 20)):
        for sender, receiver in ((line.client, line.server), (line.server, line.client)):
            thread = threading.Thread(target=sender.sendall, args=(data,))
            thread.start()
            assert read(receiver, len(data)) == data
            thread.join()


def test_the_server_sees_the_end_after_all_bytes(rig: Rig) -> None:  # P2
    line = rig.line()
    line.client.sendall(b"first ")
    line.client.sendall(b"second")
    line.client.close()

    assert to_end(line.server) == b"first second"


def test_the_client_sees_the_end_after_all_bytes(rig: Rig) -> None:  # P2
    line = rig.line()
    line.server.sendall(b"x" * 100_000)
    line.server.close()

    assert to_end(line.client) == b"x" * 100_000


def test_a_refused_upstream_ends_the_client_at_once(api: Api) -> None:  # P3
    port = port_of(api.make(upstream=f"{LOOP}:{free_port()}"))

    with takes(0, 0.5), socket.create_connection((LOOP, port), timeout=5) as client:
        assert to_end(client) == b""


def test_disabling_ends_live_connections_and_refuses_new_ones(rig: Rig) -> None:  # P4 P8 P9 P12
    line = rig.line()
    rig.api.toxic("noop")
    for _ in range(3):
        assert rig.api("PATCH", "/proxies/p", {"enabled": False}).status == 200

    assert (to_end(line.client), to_end(line.server)) == (b"", b"")
    assert not can_connect(rig.port)
    again = rig.api("PATCH", "/proxies/p", {"enabled": True}).json
    assert (port_of(again), len(again["toxics"])) == (rig.port, 1)
    new = rig.line()
    new.client.sendall(b"x")
    assert read(new.server, 1) == b"x"


def test_the_same_address_in_other_words_moves_nothing(rig: Rig) -> None:  # P5 P6
    line = rig.line()
    for listen in (f"{LOOP}:{rig.port}", f"localhost:{rig.port}"):
        assert rig.api("PATCH", "/proxies/p", {"listen": listen}).json["listen"] == f"{LOOP}:{rig.port}"
    line.client.sendall(b"alive")

    assert read(line.server, 5) == b"alive"


def test_port_0_moves_the_proxy(rig: Rig) -> None:  # P5
    line = rig.line()
    moved = rig.api("PATCH", "/proxies/p", {"listen": f"{LOOP}:0"}).json

    assert port_of(moved) not in (0, rig.port)
    assert to_end(line.client) == b""
    assert not can_connect(rig.port)


def test_a_start_that_failed_leaves_the_proxy_disabled_at_its_new_address(rig: Rig) -> None:  # P7
    with socket.create_server((LOOP, 0)) as taken:
        listen = f"{LOOP}:{taken.getsockname()[1]}"
        failed = rig.api("PATCH", "/proxies/p", {"listen": listen})
        shown = rig.api("GET", "/proxies/p").json

    assert (failed.status, shown["enabled"], shown["listen"]) == (500, False, listen)
    assert rig.api("PATCH", "/proxies/p", {"enabled": True}).status == 200
    assert can_connect(int(listen.rpartition(":")[2]))


def test_a_new_upstream_gets_the_new_connections(rig: Rig) -> None:  # P10
    line = rig.line()
    with socket.create_server((LOOP, 0)) as other:
        rig.api("PATCH", "/proxies/p", {"upstream": f"{LOOP}:{other.getsockname()[1]}"})
        assert to_end(line.client) == b""
        with socket.create_connection((LOOP, rig.port), timeout=5) as client, other.accept()[0] as server:
            client.sendall(b"new")
            assert read(server, 3) == b"new"


def test_deleting_ends_live_connections(rig: Rig) -> None:  # P11
    line = rig.line()
    rig.api("DELETE", "/proxies/p")

    assert (to_end(line.client), to_end(line.server)) == (b"", b"")


def test_a_slow_reader_holds_back_the_sender_and_loses_nothing(rig: Rig) -> None:
    line = rig.line()
    data = os.urandom(1 << 20) * 48
    thread = threading.Thread(target=lambda: (line.server.sendall(data), line.server.close()))
    line.server.settimeout(30)
    thread.start()
    time.sleep(0.3)

    assert thread.is_alive()
    assert to_end(line.client) == data
    thread.join()


def test_the_proxy_adds_little_time(rig: Rig) -> None:  # P13: upstream's own bar is 300 us; here only that it is small
    line = rig.line()
    taken = []
    for _ in range(200):
        begin = time.perf_counter()
        line.client.sendall(b"ping")
        read(line.server, 4)
        taken.append(time.perf_counter() - begin)

    assert statistics.median(taken) < 0.003


def test_two_hundred_connections_at_once(rig: Rig) -> None:  # P14, as many as a usual file limit allows
    lines = [rig.line() for _ in range(200)]
    for number, line in enumerate(lines):
        line.client.sendall(b"%4d" % number)

    assert [int(read(line.server, 4)) for line in lines] == list(range(200))


def test_metrics_count_bytes_by_direction(rig: Rig) -> None:  # M1
    line = rig.line()
    line.client.sendall(b"12345")
    read(line.server, 5)
    line.server.sendall(b"1234567")
    read(line.client, 7)
    line.close()

    def value(name: str, direction: str) -> float:
        text = rig.api("GET", "/metrics").raw.decode()
        labels = (
            f'direction="{direction}"',
            'proxy="p"',
            f'listener="{LOOP}:{rig.port}"',
            f'upstream="{rig.upstream}"',
        )
        found = [row for row in text.splitlines() if row.startswith(name) and all(label in row for label in labels)]
        return float(found[0].rpartition(" ")[2]) if found else -1

    for family in ("received", "sent"):
        name = f"toxiproxy_proxy_{family}_bytes_total"
        wait_until(lambda name=name: value(name, "upstream") == 5 and value(name, "downstream") == 7)


def test_an_idle_connection_stays_open(rig: Rig) -> None:
    line = rig.line()

    assert quiet(line.client, 0.3)
    assert quiet(line.server, 0.1)
