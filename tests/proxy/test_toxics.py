"""What each toxic does to a connection, on both servers; times are generous, order and bytes exact."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time

import pytest

from tests.proxy.toxi import Line, Rig, quiet, read, takes, to_end

STREAMS = ("upstream", "downstream")


def ends(line: Line, stream: str) -> tuple[socket.socket, socket.socket]:
    """Who sends and who receives on this stream."""
    return (line.client, line.server) if stream == "upstream" else (line.server, line.client)


def send(line: Line, stream: str, data: bytes = b"x") -> bytes:
    sender, receiver = ends(line, stream)
    sender.sendall(data)
    return read(receiver, len(data))


@pytest.mark.parametrize(  # T1 T2 T3 T4
    ("up", "down"), [(100, 0), (0, 100), (100, 100), (300, 100), (0, 0)]
)
def test_latency_delays_its_own_stream(rig: Rig, up: int, down: int) -> None:
    rig.api.toxic("latency", "upstream", latency=up)
    rig.api.toxic("latency", "downstream", latency=down)
    line = rig.line()

    with takes(up / 1000):
        send(line, "upstream")
    with takes(down / 1000):
        send(line, "downstream")


def test_two_latencies_add_up(rig: Rig) -> None:  # T5
    rig.api.toxic("latency", "upstream", latency=150, name="a")
    rig.api.toxic("latency", "upstream", latency=150, name="b")

    with takes(0.3):
        send(rig.line(), "upstream")


def test_latency_reaches_a_live_connection(rig: Rig) -> None:  # T6
    line = rig.line()
    send(line, "downstream")
    rig.api.toxic("latency", latency=150)

    with takes(0.15):
        send(line, "downstream")


@pytest.mark.parametrize("how", ["update", "remove"])  # T7 T8
def test_held_data_leaves_at_once_and_in_order_when_latency_goes(rig: Rig, how: str) -> None:
    name = rig.api.toxic("latency", latency=30_000)
    line = rig.line()
    for number in range(10):
        line.server.sendall(b"%d" % number)
        time.sleep(0.005)
    assert quiet(line.client)

    with takes(0):
        if how == "update":
            rig.api.patch(name, attributes={"latency": 0})
        else:
            rig.api.drop(name)
        assert read(line.client, 10) == b"0123456789"


def test_latency_keeps_the_spacing(rig: Rig) -> None:  # T10
    rig.api.toxic("latency", "upstream", latency=200)
    line = rig.line()
    begin = time.monotonic()
    for _ in range(10):
        line.client.sendall(b"x")
        time.sleep(0.02)

    assert read(line.server, 10) == b"x" * 10
    assert time.monotonic() - begin < 0.2 + 10 * 0.02 + 0.3


def test_jitter_stays_in_its_range(rig: Rig) -> None:  # T9
    rig.api.toxic("latency", "upstream", latency=60, jitter=30)
    line = rig.line()

    for _ in range(8):
        with takes(0.03, 0.06 + 0.25):
            send(line, "upstream")


def test_latency_does_not_delay_a_bare_close_but_close_stays_behind_data(rig: Rig) -> None:
    rig.api.toxic("latency", "upstream", latency=200)
    bare, late = rig.line(), rig.line()

    with takes(0):
        bare.client.close()
        assert to_end(bare.server) == b""
    with takes(0.2):
        late.client.sendall(b"last")
        late.client.close()
        assert to_end(late.server) == b"last"


def test_latency_costs_no_throughput(rig: Rig) -> None:  # T11: 20 MB in far less than a chunk at a time would take
    rig.api.toxic("latency", latency=100)
    line = rig.line()
    data = os.urandom(1 << 20) * 20
    thread = threading.Thread(target=line.server.sendall, args=(data,))

    with takes(0.1, 3):
        thread.start()
        assert read(line.client, len(data)) == data
    thread.join()


def test_toxics_come_and_go_around_short_connections(rig: Rig) -> None:  # T12
    for _ in range(60):
        name = rig.api.toxic("latency", "upstream", latency=10)
        line = rig.line()
        line.client.sendall(b"x")
        line.client.close()
        rig.api.drop(name)
        assert to_end(line.server) in (b"x", b"")
        line.close()


def test_a_stream_stays_whole_while_toxics_come_and_go(rig: Rig) -> None:  # T13 T14
    line = rig.line()
    data = b"".join(b"%8d" % number for number in range(1 << 14))
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(read(line.client, len(data))))
    reader.start()
    sender = threading.Thread(target=lambda: [(line.server.sendall(data[i : i + 512]), time.sleep(0.001))
                                              for i in range(0, len(data), 512)])  # fmt: skip
    sender.start()
    while sender.is_alive():
        for kind, attributes in (("latency", {"latency": 5}), ("noop", {}), ("bandwidth", {"rate": 5000})):
            rig.api.drop(rig.api.toxic(kind, **attributes))
    sender.join()
    reader.join()

    assert got == [data]


def test_a_live_connection_survives_reset(rig: Rig) -> None:  # T15
    line = rig.line()
    for _ in range(2):
        rig.api.toxic("latency", latency=20)
        rig.api("POST", "/reset")
        assert send(line, "downstream", b"hello") == b"hello"


@pytest.mark.parametrize(("rate", "size", "seconds"), [(1000, 300_000, 0.3), (100, 30_000, 0.3)])  # T16
def test_bandwidth_is_in_thousands_of_bytes_a_second(rig: Rig, rate: int, size: int, seconds: float) -> None:
    rig.api.toxic("bandwidth", "upstream", rate=rate)
    line = rig.line()

    with takes(seconds):
        send(line, "upstream", os.urandom(size))


@pytest.mark.parametrize("stream", STREAMS)  # T17
def test_rate_0_blocks_and_its_removal_releases_all(rig: Rig, stream: str) -> None:
    name = rig.api.toxic("bandwidth", stream, rate=0)
    line = rig.line()
    sender, receiver = ends(line, stream)
    sender.sendall(b"first")
    sender.sendall(b"second")
    assert quiet(receiver)
    rig.api.drop(name)

    assert read(receiver, 11) == b"firstsecond"


def test_timeout_0_drops_and_its_removal_closes(rig: Rig) -> None:  # T18 T19
    rig.api.toxic("latency", name="before", latency=1)
    name = rig.api.toxic("timeout", timeout=0)
    line = rig.line()
    line.server.sendall(b"lost")
    assert quiet(line.client)
    with takes(0, 1):
        rig.api.drop("before")
    assert quiet(line.client)
    rig.api.drop(name)

    assert (to_end(line.client), to_end(line.server)) == (b"", b"")


def test_timeout_closes_after_that_much_silence(rig: Rig) -> None:  # T20
    rig.api.toxic("timeout", "upstream", timeout=200)
    line = rig.line()

    with takes(0.2):
        assert (to_end(line.client), to_end(line.server)) == (b"", b"")


def test_timeout_starts_anew_with_every_chunk(rig: Rig) -> None:
    rig.api.toxic("timeout", "upstream", timeout=400)
    line = rig.line()
    for _ in range(6):
        line.client.sendall(b"x")
        assert quiet(line.server)

    with takes(0.4):
        line.client.sendall(b"x")
        assert to_end(line.server) == b""


def test_timeout_follows_its_toxicity(rig: Rig) -> None:  # T21
    name = rig.api.toxic("timeout", timeout=0, toxicity=0)
    line = rig.line()
    assert send(line, "downstream", b"passes") == b"passes"
    rig.api.patch(name, toxicity=1, attributes={"timeout": 100})

    with takes(0.1):
        assert to_end(line.client) == b""


@pytest.mark.parametrize(("stream", "timeout"), [("upstream", 0), ("downstream", 0), ("upstream", 200)])  # T22 T23
def test_reset_peer_resets_after_the_first_chunk(rig: Rig, stream: str, timeout: int) -> None:
    rig.api.toxic("reset_peer", stream, timeout=timeout)
    line = rig.line()
    assert quiet(line.client)

    with takes(timeout / 1000), pytest.raises(ConnectionResetError) as caught:
        ends(line, stream)[0].sendall(b"x")
        line.client.recv(1)
    assert caught.value.errno == errno.ECONNRESET
    assert line.client.recv(1) == b""


def test_slow_close_holds_the_end_and_not_the_data(rig: Rig) -> None:  # T24
    rig.api.toxic("slow_close", "upstream", delay=250)
    line = rig.line()

    with takes(0.25):
        with takes(0):
            assert send(line, "upstream", b"data") == b"data"
        line.client.close()
        assert to_end(line.server) == b""


def test_removing_slow_close_closes_at_once(rig: Rig) -> None:
    name = rig.api.toxic("slow_close", "upstream", delay=30_000)
    line = rig.line()
    line.client.close()
    assert quiet(line.server)

    with takes(0):
        rig.api.drop(name)
        assert to_end(line.server) == b""


def pieces(sock: socket.socket, size: int) -> list[bytes]:
    got: list[bytes] = []
    while sum(map(len, got)) < size and (more := sock.recv(1 << 16)):
        got.append(more)
    return got


@pytest.mark.parametrize(  # T25 T26; late wake-ups glue pieces together, so the lower marks are low
    ("size", "average", "variation", "least", "most"),
    [(48_000, 1024, 512, 10, 90), (24, 1, 0, 5, 24), (500, 1000, 0, 1, 1)],
)
def test_the_slicer_cuts_and_loses_nothing(
    rig: Rig, size: int, average: int, variation: int, least: int, most: int
) -> None:
    rig.api.toxic("slicer", "upstream", average_size=average, size_variation=variation, delay=2000)
    line = rig.line()
    data = os.urandom(size)
    line.client.sendall(data)

    got = pieces(line.server, size)

    assert b"".join(got) == data
    assert least <= len(got) <= most


@pytest.mark.parametrize(  # T27
    ("limit", "sends", "gets", "over"),
    [
        (100, [50], b"x" * 50, False),
        (100, [100], b"x" * 100, True),
        (100, [150], b"x" * 100, True),
        (100, [25, 25, 25, 25], b"x" * 100, True),
        (100, [90, 20], b"x" * 100, True),
        (0, [1], b"", True),
        (-5, [1], b"", True),
    ],
)
def test_limit_data_passes_exactly_so_many_bytes(
    rig: Rig, limit: int, sends: list[int], gets: bytes, over: bool
) -> None:
    rig.api.toxic("limit_data", bytes=limit)
    line = rig.line()
    for size in sends:
        line.server.sendall(b"x" * size)
        time.sleep(0.02)

    assert (to_end(line.client) if over else read(line.client, len(gets))) == gets
    assert over or quiet(line.client)


def test_limit_data_counts_from_when_it_was_added_and_through_updates(rig: Rig) -> None:  # T28 T29
    line = rig.line()
    send(line, "downstream", b"before it was there")
    name = rig.api.toxic("limit_data", bytes=100)
    assert send(line, "downstream", b"12345") == b"12345"
    rig.api.patch(name, attributes={"bytes": 7})
    line.server.sendall(b"67890")

    assert to_end(line.client) == b"67"


def test_toxicity_0_leaves_data_alone(rig: Rig) -> None:  # T30
    for kind, attributes in (("latency", {"latency": 5000}), ("limit_data", {"bytes": 1}), ("bandwidth", {"rate": 0})):
        rig.api.toxic(kind, toxicity=0, **attributes)

    assert send(rig.line(), "downstream", b"as it is") == b"as it is"


def test_half_toxicity_hits_about_half_of_200_connections(rig: Rig) -> None:  # T30
    rig.api.toxic("limit_data", "upstream", bytes=0, toxicity=0.5)
    hit = 0
    for _ in range(200):
        line = rig.line()
        line.client.sendall(b"x")
        hit += line.server.recv(1) == b""
        line.close()

    assert 70 <= hit <= 130


def test_one_connection_has_one_fate(rig: Rig) -> None:  # T30
    rig.api.toxic("latency", latency=60, toxicity=0.5)
    fates = []
    for _ in range(12):
        line = rig.line()
        delays = []
        for _ in range(3):
            begin = time.monotonic()
            send(line, "downstream")
            delays.append(time.monotonic() - begin > 0.05)
        fates.append(delays)

    assert sum(len(set(delays)) > 1 for delays in fates) <= 1  # a busy machine may delay one by itself
    assert any(delays[0] for delays in fates)


def test_the_chain_has_the_order_of_creation(rig: Rig) -> None:  # T31
    rig.api.toxic("limit_data", name="first", bytes=4)
    rig.api.toxic("latency", name="second", latency=150)
    line = rig.line()

    with takes(0.15):
        line.server.sendall(b"123456")
        assert to_end(line.client) == b"1234"


@pytest.mark.parametrize(("stream", "requests"), [("upstream", b""), ("downstream", b"GET")])  # T32
def test_an_upstream_fault_comes_before_the_work_and_a_downstream_one_after(
    rig: Rig, stream: str, requests: bytes
) -> None:
    rig.api.toxic("limit_data", stream, bytes=0)
    line = rig.line()
    line.client.sendall(b"GET")
    got = read(line.server, 3)
    if got:
        line.server.sendall(b"200")

    assert got == requests
    assert to_end(line.client) == b""
