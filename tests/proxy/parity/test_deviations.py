"""D1, D3-D7, D9, D10: where the embedded proxy is better than the real server, on purpose."""

from __future__ import annotations

import socket
import time

import pytest

from tests.proxy.toxi import Api, Rig, quiet, read, to_end, wait_until


@pytest.mark.parametrize(
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
def test_d1_what_crashes_the_real_server_is_a_400(own: Rig, kind: str, attributes: dict[str, int], error: str) -> None:
    answer = own.api("POST", "/proxies/p/toxics", {"type": kind, "attributes": attributes})

    assert (answer.status, answer.json) == (400, {"error": error, "status": 400})
    assert own.api("GET", "/proxies/p/toxics").json == []


def test_d3_a_bad_field_leaves_the_good_ones_unapplied(own: Rig) -> None:
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


def test_d4_the_seed_decides_which_connections_are_hit(embedded: Api) -> None:
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


def test_d4_a_fate_is_stable_whatever_the_neighbours_do(own: Rig) -> None:
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
def test_d5_toxicity_0_has_no_side_effect(own: Rig, kind: str) -> None:
    name = own.api.toxic(kind, toxicity=0)
    line = own.line()
    line.server.sendall(b"data")
    assert read(line.client, 4) == b"data"
    own.api.drop(name)
    assert quiet(line.client)
    line.server.close()

    assert line.client.recv(1) == b""  # an end and no reset


def test_d6_reset_peer_resets_live_connections_too(own: Rig) -> None:
    line = own.line()
    line.client.sendall(b"x")
    read(line.server, 1)
    own.api.toxic("reset_peer")
    line.server.sendall(b"x")

    with pytest.raises(ConnectionResetError):
        line.client.recv(1)
    with pytest.raises(ConnectionResetError):
        line.server.recv(1)


def test_d7_bytes_are_counted_while_the_connection_lives(own: Rig) -> None:
    line = own.line()
    line.client.sendall(b"12345")
    read(line.server, 5)

    text = own.api("GET", "/metrics").raw.decode()
    counted = [row for row in text.splitlines() if row.endswith(" 5") and 'direction="upstream"' in row]
    assert len(counted) == 2


@pytest.mark.parametrize("with_toxic", [False, True])
def test_d9_half_a_close_is_kept(own: Rig, with_toxic: bool) -> None:
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


def test_d10_the_stray_logger_key_is_kept(own: Rig) -> None:
    assert own.api("GET", "/proxies/p").json["Logger"] == {}
    assert list(own.api("GET", "/proxies/p").json) == ["name", "listen", "upstream", "enabled", "Logger", "toxics"]
