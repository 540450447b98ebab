"""T22, T23, T27-T32: resets, limits, shares and the order of the chain."""

from __future__ import annotations

import errno
import time

import pytest

from tests.proxy.parity.kit import STREAMS, ends, send, within
from tests.proxy.toxi import Rig, quiet, read, to_end


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("timeout", [0, 60])
def test_t22_reset_peer_resets_with_the_first_chunk(rig: Rig, stream: str, timeout: int) -> None:
    rig.api.toxic("reset_peer", stream, timeout=timeout)
    line = rig.line()
    assert quiet(line.client, 0.05)
    ends(line, stream)[0].sendall(b"x")

    with pytest.raises(ConnectionResetError) as caught:
        line.client.recv(1)
    assert caught.value.errno == errno.ECONNRESET
    assert line.client.recv(1) == b""


def test_t23_reset_peer_waits_its_timeout(rig: Rig) -> None:
    rig.api.toxic("reset_peer", "upstream", timeout=100)

    def reset() -> None:
        line = rig.line()
        line.client.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            line.client.recv(1)

    within(0.1, reset)


@pytest.mark.parametrize(
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
def test_t27_limit_data_passes_exactly_so_many_bytes(
    rig: Rig, limit: int, sends: list[int], gets: bytes, over: bool
) -> None:
    rig.api.toxic("limit_data", bytes=limit)
    line = rig.line()
    for size in sends:
        line.server.sendall(b"x" * size)
        time.sleep(0.01)

    assert (to_end(line.client) if over else read(line.client, len(gets))) == gets
    assert over or quiet(line.client, 0.05)


def test_t28_the_count_of_limit_data_survives_an_update(rig: Rig) -> None:
    name = rig.api.toxic("limit_data", bytes=100)
    line = rig.line()
    assert send(line, "downstream", b"12345") == b"12345"
    rig.api.patch(name, attributes={"bytes": 7})
    line.server.sendall(b"67890")

    assert to_end(line.client) == b"67"


def test_t29_limit_data_counts_from_when_it_was_added(rig: Rig) -> None:
    line = rig.line()
    assert send(line, "downstream", b"before it was there") == b"before it was there"
    rig.api.toxic("limit_data", bytes=7)
    line.server.sendall(b"1234567890")

    assert to_end(line.client) == b"1234567"


def test_t30_toxicity_is_a_share_of_connections(rig: Rig) -> None:
    name = rig.api.toxic("bandwidth", "upstream", rate=0, toxicity=0.5)
    lines = [rig.line() for _ in range(200)]
    for part in range(2):
        for line in lines:
            line.client.sendall(b"%d" % part)
    time.sleep(0.3)
    got = [b"" if quiet(line.server, 0) else line.server.recv(2) for line in lines]

    assert set(got) == {b"", b"01"}  # all messages of one connection, or none
    assert 70 <= got.count(b"") <= 130
    rig.api.drop(name)
    assert all(read(line.server, 2) == b"01" for line, had in zip(lines, got, strict=True) if not had)

    rig.api.toxic("limit_data", "upstream", bytes=1, toxicity=0)
    assert send(rig.line(), "upstream", b"as it is") == b"as it is"


def test_t31_the_chain_has_the_order_of_creation(rig: Rig) -> None:
    rig.api.toxic("limit_data", name="first", bytes=4)
    rig.api.toxic("latency", name="second", latency=100)

    def cut_and_wait() -> None:
        line = rig.line()
        line.server.sendall(b"123456")
        assert to_end(line.client) == b"1234"

    within(0.1, cut_and_wait)


@pytest.mark.parametrize(("stream", "requests"), [("upstream", b""), ("downstream", b"GET")])
def test_t32_an_upstream_fault_comes_before_the_work_and_a_downstream_one_after(
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
