"""D2, D8: no control call waits for a client, a server or a dial."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest

from tests.proxy.parity.kit import send
from tests.proxy.toxi import LOOP, Line, Rig, port_of, quiet, read, takes, to_end, wait_until


@pytest.fixture(params=["latency", "bandwidth", "limit_data", "slicer", "single bytes", "none"])
def stalled(request: pytest.FixtureRequest, own: Rig) -> tuple[Rig, Line, str]:
    """A client that does not read, behind a toxic, while the server sends all it can."""
    attributes = {
        "latency": {"latency": 50}, "bandwidth": {"rate": 100_000}, "limit_data": {"bytes": 1 << 40},
        "slicer": {"average_size": 1000, "delay": 1000}, "none": {}, "single bytes": {"average_size": 1},
    }[request.param]  # fmt: skip
    name = own.api.toxic({"none": "noop", "single bytes": "slicer"}.get(request.param, request.param), **attributes)
    line = own.line()
    line.server.settimeout(0.3)
    with pytest.raises(TimeoutError):
        line.server.sendall(os.urandom(64 << 20))
    return own, line, name


def test_d2_a_stalled_client_blocks_no_call(stalled: tuple[Rig, Line, str]) -> None:
    rig, _, name = stalled
    for call in (
        lambda: rig.api.drop(name),
        lambda: rig.api.toxic("latency", latency=10, name="another"),
        lambda: rig.api("GET", "/proxies"),
        lambda: rig.api("POST", "/reset"),
        lambda: send(rig.line(), "upstream", b"traffic goes on"),
        lambda: rig.api("PATCH", "/proxies/p", {"enabled": False}),
        lambda: rig.api("PATCH", "/proxies/p", {"enabled": True}),
        lambda: rig.api("DELETE", "/proxies/p"),
    ):
        with takes(0, 1):
            call()


def test_d2_a_pending_reset_blocks_no_delete_and_is_called_off(own: Rig) -> None:
    name = own.api.toxic("reset_peer", timeout=30_000)
    line = own.line()
    line.server.sendall(b"kept")
    assert quiet(line.client)

    with takes(0):
        own.api.drop(name)
        assert read(line.client, 4) == b"kept"


@pytest.fixture
def hung_dial(own: Rig) -> Iterator[str]:
    """An upstream that never answers a dial: its backlog is full."""
    full = socket.create_server((LOOP, 0), backlog=0)
    fill = [socket.socket() for _ in range(3)]
    for sock in fill:
        sock.setblocking(False)
        sock.connect_ex(full.getsockname())
    time.sleep(0.05)
    yield f"{LOOP}:{full.getsockname()[1]}"
    for sock in (*fill, full):
        sock.close()


def test_d2_a_hung_dial_blocks_no_call(own: Rig, hung_dial: str) -> None:
    port = port_of(own.api.make("hung", upstream=hung_dial))
    waiting = [socket.create_connection((LOOP, port), timeout=5) for _ in range(3)]
    waiting[0].sendall(b"early")

    with takes(0, 1):
        own.api.toxic("latency", proxy="hung", latency=5)
        assert own.api("PATCH", "/proxies/hung", {"enabled": False}).status == 200
    for client in waiting:
        assert to_end(client) == b""
        client.close()


def test_d8_a_hung_dial_holds_up_no_other_client(own: Rig, hung_dial: str) -> None:
    """The real server dials in its accept loop, one after the other and without a limit."""
    port = port_of(own.api.make("hung", upstream=hung_dial))
    waiting = [socket.create_connection((LOOP, port), timeout=5) for _ in range(3)]

    def counted() -> int:
        return own.api("GET", "/chaos-runner/v1/counters").json["proxies"]["hung"]["open"]

    wait_until(lambda: counted() == 3, limit_s=1)
    assert all(quiet(client, 0) for client in waiting)
    for client in waiting:
        client.close()
