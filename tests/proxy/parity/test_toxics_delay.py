"""T1-T15: latency, and streams that stay whole while toxics come and go."""

from __future__ import annotations

import contextlib
import os
import time

import pytest

from tests.proxy.parity.kit import STREAMS, TRIES, Stalls, ends, in_thread, send, within
from tests.proxy.toxi import Rig, quiet, read, to_end


def test_t01_latency_upstream_delays_what_the_server_reads(rig: Rig) -> None:
    rig.api.toxic("latency", "upstream", latency=100)
    line = rig.line()

    within(0.1, lambda: send(line, "upstream"))
    within(0, lambda: send(line, "downstream"))


def test_t02_latency_downstream_delays_what_the_client_reads(rig: Rig) -> None:
    rig.api.toxic("latency", "downstream", latency=100)
    line = rig.line()

    within(0, lambda: send(line, "upstream"))
    within(0.1, lambda: send(line, "downstream"))


@pytest.mark.parametrize(("up", "down"), [(100, 100), (300, 100), (100, 300)])
def test_t03_latencies_of_both_streams_are_each_their_own(rig: Rig, up: int, down: int) -> None:
    rig.api.toxic("latency", "upstream", latency=up)
    rig.api.toxic("latency", "downstream", latency=down)
    line = rig.line()

    within(up / 1000, lambda: send(line, "upstream"))
    within(down / 1000, lambda: send(line, "downstream"))


def test_t04_no_latency_is_no_delay(rig: Rig) -> None:
    for stream in STREAMS:
        rig.api.toxic("latency", stream)
    line = rig.line()

    for stream in STREAMS:
        within(0, lambda stream=stream: send(line, stream))


def test_t05_two_latencies_add_up(rig: Rig) -> None:
    for name in ("a", "b"):
        rig.api.toxic("latency", "upstream", latency=150, name=name)
    line = rig.line()

    within(0.3, lambda: send(line, "upstream"))


def test_t06_latency_reaches_a_live_connection(rig: Rig) -> None:
    line = rig.line()
    send(line, "downstream")
    rig.api.toxic("latency", latency=120)

    within(0.12, lambda: send(line, "downstream"))


def held_back(rig: Rig) -> bytes:
    """Ten chunks that a latency of half a minute holds."""
    line = rig.line()
    data = b"".join(b"%d" % number for number in range(10))
    for at in range(10):
        line.server.sendall(data[at : at + 1])
        time.sleep(0.003)
    assert quiet(line.client, 0.05)
    return data


def test_t07_an_update_lets_held_data_go_at_once(rig: Rig) -> None:
    name = rig.api.toxic("latency", latency=30_000)
    for _ in range(TRIES):
        data = held_back(rig)
        with Stalls() as stalls:
            begin = time.monotonic()
            rig.api.patch(name, attributes={"latency": 0})
            assert read(rig.lines[-1].client, len(data)) == data
            took = time.monotonic() - begin
        rig.api.patch(name, attributes={"latency": 30_000})
        if took < 0.05 + 3 * stalls.worst:
            return
    raise AssertionError(f"{took:.3f} s, three times")


def test_t08_a_removal_lets_held_data_go_in_order(rig: Rig) -> None:
    name = rig.api.toxic("latency", latency=30_000)
    data = held_back(rig)
    rig.api.drop(name)

    assert read(rig.lines[-1].client, len(data)) == data
    assert send(rig.lines[-1], "downstream", b"on") == b"on"


def test_t09_jitter_stays_in_its_range(rig: Rig) -> None:
    rig.api.toxic("latency", "upstream", latency=60, jitter=30)
    line = rig.line()

    for _ in range(8):
        within(0.03, lambda: send(line, "upstream"), most_s=0.09)


def test_t10_latency_keeps_the_spacing(rig: Rig) -> None:
    rig.api.toxic("latency", "upstream", latency=100)
    line = rig.line()

    def ten_in_a_row() -> None:
        for _ in range(10):
            line.client.sendall(b"x")
            time.sleep(0.02)
        assert read(line.server, 10) == b"x" * 10

    within(0.28, ten_in_a_row, most_s=0.3)


def test_t11_latency_costs_no_throughput(rig: Rig) -> None:
    """20 MB at 50 MB/s at least, and a first byte as late as asked."""
    rig.api.toxic("latency", latency=100)
    line = rig.line()
    data = os.urandom(1 << 20) * 20

    def pass_all() -> None:
        thread = in_thread(line.server.sendall, data)
        assert read(line.client, len(data)) == data
        thread.join()

    within(0.1, pass_all, most_s=0.1 + 20 / 50)


def test_t12_toxics_come_and_go_around_short_connections(rig: Rig) -> None:
    """150 times here; each one of a thousand would do the same again."""
    for _ in range(150):
        name = rig.api.toxic("latency", "upstream", latency=10)
        line = rig.line()
        line.client.sendall(b"x")
        line.client.close()
        rig.api.drop(name)
        assert to_end(line.server) in (b"x", b"")
        line.close()


def test_t13_a_large_stream_stays_whole_while_toxics_come_and_go(rig: Rig) -> None:
    line = rig.line()
    data = b"".join(b"%8d" % number for number in range(1 << 14))

    def dribble() -> None:
        for at in range(0, len(data), 512):
            line.server.sendall(data[at : at + 512])
            time.sleep(0.0005)

    got: list[bytes] = []
    reader = in_thread(lambda: got.append(read(line.client, len(data))))
    sender = in_thread(dribble)
    while sender.is_alive():
        for kind, attributes in (("latency", {"latency": 5}), ("noop", {}), ("bandwidth", {"rate": 5000})):
            rig.api.drop(rig.api.toxic(kind, **attributes))
    reader.join(20)

    assert got == [data]


def test_t14_echoes_pass_while_toxics_are_toggled_on_both_streams(rig: Rig) -> None:
    line = rig.line()

    def echo() -> None:
        with contextlib.suppress(OSError):
            while data := line.server.recv(4096):
                line.server.sendall(data)

    thread = in_thread(echo)
    for number in range(100):
        stream = STREAMS[number % 2]
        name = rig.api.toxic("noop", stream, name=f"n{number}") if number % 4 < 2 else ""
        line.client.sendall(b"%4d" % number)
        assert read(line.client, 4) == b"%4d" % number
        if name:
            rig.api.drop(name)
    line.client.close()
    thread.join(5)


@pytest.mark.parametrize("stream", STREAMS)
def test_t15_a_live_connection_survives_reset_twice(rig: Rig, stream: str) -> None:
    line = rig.line()
    sender, receiver = ends(line, stream)
    for _ in range(2):
        rig.api.toxic("latency", stream, latency=30_000)
        sender.sendall(b"held ")
        assert quiet(receiver, 0.03)
        assert rig.api("POST", "/reset").status == 204
        sender.sendall(b"hello")
        assert read(receiver, 10) == b"held hello"
