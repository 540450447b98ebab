"""T16-T21, T24-T26: less, later, in pieces or not at all."""

from __future__ import annotations

import os
import socket

import pytest

from tests.proxy.parity.kit import STREAMS, TRIES, ends, in_thread, send, within
from tests.proxy.toxi import Rig, quiet, read, to_end


@pytest.mark.parametrize(("rate", "size", "seconds"), [(1000, 480_000, 0.48), (100, 24_000, 0.24), (10_000, 50_000, 0)])
def test_t16_bandwidth_is_in_thousands_of_bytes_a_second(rig: Rig, rate: int, size: int, seconds: float) -> None:
    rig.api.toxic("bandwidth", "upstream", rate=rate)
    data = os.urandom(size)

    def pass_all() -> None:
        line = rig.line()
        thread = in_thread(line.client.sendall, data)
        assert read(line.server, size) == data
        thread.join()

    within(seconds, pass_all)


@pytest.mark.parametrize("stream", STREAMS)
def test_t17_rate_0_blocks_and_its_removal_releases_all(rig: Rig, stream: str) -> None:
    name = rig.api.toxic("bandwidth", stream, rate=0)
    line = rig.line()
    sender, receiver = ends(line, stream)
    sender.sendall(b"first")
    sender.sendall(b"second")
    assert quiet(receiver)
    rig.api.drop(name)

    assert read(receiver, 11) == b"firstsecond"


def test_t18_timeout_0_drops_and_holds_up_no_other_removal(rig: Rig) -> None:
    rig.api.toxic("latency", name="before", latency=1)
    rig.api.toxic("timeout", timeout=0)
    line = rig.line()
    line.server.sendall(b"lost")
    assert quiet(line.client)

    within(0, lambda: rig.api("DELETE", "/proxies/p/toxics/before"), most_s=0.8)
    line.server.sendall(b"lost too")
    assert quiet(line.client)


def test_t19_removing_timeout_closes_both_ends(rig: Rig) -> None:
    name = rig.api.toxic("timeout", timeout=0)
    line = rig.line()
    line.server.sendall(b"lost")
    assert quiet(line.client, 0.05)
    rig.api.drop(name)

    assert (line.client.recv(1), line.server.recv(1)) == (b"", b"")


@pytest.mark.parametrize("stream", STREAMS)
def test_t20_timeout_closes_an_idle_connection_on_time(rig: Rig, stream: str) -> None:
    rig.api.toxic("timeout", stream, timeout=300)

    def wait_for_the_end() -> None:
        line = rig.line()
        assert (line.client.recv(1), line.server.recv(1)) == (b"", b"")

    within(0.3, wait_for_the_end)


def test_t21_timeout_follows_its_toxicity(rig: Rig) -> None:
    name = rig.api.toxic("timeout", timeout=0, toxicity=0)

    def hit_a_live_connection() -> None:
        line = rig.lines[-1]
        rig.api.patch(name, toxicity=1, attributes={"timeout": 100})
        assert line.client.recv(1) == b""
        rig.api.patch(name, toxicity=0)
        rig.line()

    assert send(rig.line(), "downstream", b"passes") == b"passes"
    within(0.1, hit_a_live_connection)


@pytest.mark.parametrize("stream", STREAMS)
def test_t24_slow_close_holds_the_end_and_not_the_data(rig: Rig, stream: str) -> None:
    rig.api.toxic("slow_close", stream, delay=250)

    def close() -> None:
        sender, receiver = ends(rig.line(), stream)
        sender.close()
        assert to_end(receiver) == b""

    line = rig.line()
    within(0, lambda: send(line, stream, b"data"))
    within(0.25, close)


def pieces(sock: socket.socket, size: int) -> list[bytes]:
    got: list[bytes] = []
    while sum(map(len, got)) < size and (more := sock.recv(1 << 16)):
        got.append(more)
    return got


def sliced(rig: Rig, size: int, least: int, most: int) -> None:
    """So much data comes whole and in so many pieces; late wake-ups glue some together, so one try of three counts."""
    found = []
    for _ in range(TRIES):
        line = rig.line()
        data = os.urandom(size)
        thread = in_thread(line.client.sendall, data)
        got = pieces(line.server, size)
        thread.join()
        assert b"".join(got) == data
        found.append(len(got))
        if found[-1] >= least:
            break
    assert least <= max(found) <= most, found


def test_t25_the_slicer_cuts_480_kb_into_about_so_many(rig: Rig) -> None:
    rig.api.toxic("slicer", "upstream", average_size=1024, size_variation=512, delay=10)

    sliced(rig, 480_000, 240, 1100)


def test_t26_the_slicer_cuts_single_bytes(rig: Rig) -> None:
    rig.api.toxic("slicer", "upstream", average_size=1, delay=10_000)

    sliced(rig, 24, 20, 24)
