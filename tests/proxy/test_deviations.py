"""Where the embedded proxy is better than the real one, on purpose."""

from __future__ import annotations

import asyncio
import os
import socket
import time

import pytest

from chaos_runner.proxy.proxies import Proxies, Wanted
from tests.proxy.toxi import LOOP, Api, Line, Rig, can_connect, port_of, quiet, read, takes, to_end, wait_until


@pytest.mark.parametrize(  # D1
    ("kind", "attributes", "error"),
    [
        ("slicer", {}, "invalid attribute: average_size must be at least 1"),
        ("slicer", {"average_size": -1}, "invalid attribute: average_size must be at least 1"),
        ("slicer", {"average_size": 5, "size_variation": 6},
         "invalid attribute: size_variation must be between 0 and average_size"),
        ("slicer", {"average_size": 5, "size_variation": -5},
         "invalid attribute: size_variation must be between 0 and average_size"),
        ("bandwidth", {"rate": -1}, "invalid attribute: rate must not be negative"),
        ("latency", {"jitter": 1 << 62}, f"invalid attribute: jitter must be less than {1 << 62}"),
    ],
)  # fmt: skip
def test_what_crashes_the_real_server_is_a_400(own: Rig, kind: str, attributes: dict[str, int], error: str) -> None:
    answer = own.api("POST", "/proxies/p/toxics", {"type": kind, "attributes": attributes})

    assert (answer.status, answer.json) == (400, {"error": error, "status": 400})
    assert own.api("GET", "/proxies/p/toxics").json == []


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


@pytest.fixture(params=["latency", "bandwidth", "limit_data", "slicer", "none"])
def stalled(request: pytest.FixtureRequest, own: Rig) -> tuple[Rig, Line, str]:
    """A client that does not read, behind a toxic, while the server sends all it can."""
    attributes = {
        "latency": {"latency": 50}, "bandwidth": {"rate": 100_000}, "limit_data": {"bytes": 1 << 40},
        "slicer": {"average_size": 1000, "delay": 1000}, "none": {},
    }[request.param]  # fmt: skip
    name = own.api.toxic("noop" if request.param == "none" else request.param, **attributes)
    line = own.line()
    line.server.settimeout(0.3)
    with pytest.raises(TimeoutError):
        line.server.sendall(os.urandom(64 << 20))
    return own, line, name


def test_a_stalled_client_never_blocks_a_delete(stalled: tuple[Rig, Line, str]) -> None:  # D2
    rig, _, name = stalled
    for call in (
        lambda: rig.api.drop(name),
        lambda: rig.api.toxic("latency", latency=10, name="another"),
        lambda: rig.api("GET", "/proxies"),
        lambda: rig.api("POST", "/reset"),
        lambda: rig.api("PATCH", "/proxies/p", {"enabled": False}),
        lambda: rig.api("PATCH", "/proxies/p", {"enabled": True}),
        lambda: rig.api("DELETE", "/proxies/p"),
    ):
        with takes(0, 1):
            call()


def test_a_pending_reset_never_blocks_a_delete_and_is_called_off(own: Rig) -> None:  # D2
    name = own.api.toxic("reset_peer", timeout=30_000)
    line = own.line()
    line.server.sendall(b"kept")
    assert quiet(line.client)

    with takes(0):
        own.api.drop(name)
        assert read(line.client, 4) == b"kept"


@pytest.fixture
def hung_dial(own: Rig) -> object:
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


def test_a_hung_dial_blocks_no_call_and_no_other_client(own: Rig, hung_dial: str) -> None:  # D2 D8
    port = port_of(own.api.make("hung", upstream=hung_dial))
    waiting = [socket.create_connection((LOOP, port), timeout=5) for _ in range(3)]
    waiting[0].sendall(b"early")

    with takes(0, 1):
        own.api.toxic("latency", proxy="hung", latency=5)
        assert own.api("PATCH", "/proxies/hung", {"enabled": False}).status == 200
    for client in waiting:
        assert to_end(client) == b""
        client.close()


def test_a_bad_field_leaves_the_good_ones_alone(own: Rig) -> None:  # D3
    name = own.api.toxic("slicer", average_size=10, size_variation=2)
    for attributes in ({"average_size": 99, "delay": "x"}, {"average_size": 99, "size_variation": 100}):
        answer = own.api("PATCH", f"/proxies/p/toxics/{name}", {"attributes": attributes, "toxicity": 0.5})
        assert answer.status == 400

    shown = own.api("GET", f"/proxies/p/toxics/{name}").json
    assert (shown["attributes"]["average_size"], shown["toxicity"]) == (10, 1)


def hits(rig: Rig, count: int) -> list[bool]:
    """Which of so many new connections have their data dropped."""
    found = []
    for _ in range(count):
        line = rig.line()
        line.client.sendall(b"x")
        found.append(line.server.recv(1) == b"")
    return found


def test_the_seed_decides_which_connections_are_hit(embedded: Api) -> None:  # D4
    again = []
    for name in ("cx.run-a.0.17", "cx.run-b.0.99"):
        embedded("PUT", f"/chaos-runner/v1/leases/{name.split('.')[1]}")
        rig = Rig(embedded)
        rig.api.toxic("limit_data", "upstream", bytes=0, toxicity=0.5, name=name)
        again.append(hits(rig, 40))
        rig.close()
        embedded.clear()
        embedded("DELETE", f"/chaos-runner/v1/leases/{name.split('.')[1]}")

    assert again[0] == again[1]
    assert 5 < sum(again[0]) < 35


def test_a_fate_is_stable_whatever_the_neighbours_do(own: Rig) -> None:  # D4
    name = own.api.toxic("bandwidth", "upstream", rate=0, toxicity=0.5)
    lines = [own.line() for _ in range(30)]

    def blocked() -> list[bool]:
        for line in lines:
            line.client.sendall(b"x")
        time.sleep(0.1)
        return [quiet(line.server, 0) or not line.server.recv(100) for line in lines]

    before = blocked()
    own.api.toxic("noop", "upstream", name="behind")
    own.api.toxic("latency", "upstream", name="also", latency=1)
    own.api.drop("behind")
    own.api.patch(name)

    assert 0 < sum(before) < 30
    # The chunk in hand leaves when its toxic is updated, so those are blocked that get no more than that.
    for line in lines:
        quiet(line.server, 0.01) or line.server.recv(100)
    assert blocked() == before


@pytest.mark.parametrize("kind", ["timeout", "reset_peer", "limit_data", "slow_close"])
def test_toxicity_0_has_no_side_effect(own: Rig, kind: str) -> None:  # D5
    name = own.api.toxic(kind, toxicity=0)
    line = own.line()
    line.server.sendall(b"data")
    assert read(line.client, 4) == b"data"
    own.api.drop(name)
    assert quiet(line.client)
    line.server.close()

    assert line.client.recv(1) == b""  # an end and no reset


def test_reset_peer_resets_live_connections_too(own: Rig) -> None:  # D6
    line = own.line()
    line.client.sendall(b"x")
    read(line.server, 1)
    own.api.toxic("reset_peer")
    line.server.sendall(b"x")

    with pytest.raises(ConnectionResetError):
        line.client.recv(1)
    with pytest.raises(ConnectionResetError):
        line.server.recv(1)


def test_bytes_are_counted_while_the_connection_lives(own: Rig) -> None:  # D7
    line = own.line()
    line.client.sendall(b"12345")
    read(line.server, 5)

    text = own.api("GET", "/metrics").raw.decode()
    counted = [row for row in text.splitlines() if row.endswith(" 5") and 'direction="upstream"' in row]
    assert len(counted) == 2


@pytest.mark.parametrize("with_toxic", [False, True])
def test_half_a_close_is_kept(own: Rig, with_toxic: bool) -> None:  # D9
    if with_toxic:
        own.api.toxic("latency", "upstream", latency=20)
        own.api.toxic("latency", "downstream", latency=20)
    line = own.line()
    line.client.sendall(b"question")
    line.client.shutdown(socket.SHUT_WR)
    assert to_end(line.server) == b"question"
    line.server.sendall(b"answer")
    line.server.close()

    assert to_end(line.client) == b"answer"
    wait_until(lambda: own.api("GET", "/chaos-runner/v1/counters").json["proxies"]["p"]["open"] == 0)


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
