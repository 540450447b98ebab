"""Clients that others wrote see no difference: Toxiproxy's own in Go, toxiproxy-python, and a socket by hand."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.toxi import LOOP, Line, Rig, can_connect, port_of, read, takes

toxiproxy = pytest.importorskip("toxiproxy")


@pytest.fixture
def client(rig: Rig) -> Any:
    client = toxiproxy.Toxiproxy()
    client.update_api_consumer(LOOP, rig.api.port)
    return client


def test_a_foreign_client_makes_and_unmakes_proxies_and_toxics(rig: Rig, client: Any) -> None:
    assert client.running()
    made = client.create(name="theirs", upstream=rig.upstream, listen=f"{LOOP}:0")
    assert set(client.proxies()) == {"p", "theirs"}
    made.add_toxic(type="latency", attributes={"latency": 100})
    assert list(made.toxics()) == ["latency_downstream"]
    made.destroy_toxic("latency_downstream")
    assert made.toxics() == {}
    assert client.destroy(made) is True
    assert set(client.proxies()) == {"p"}


def test_a_foreign_client_takes_a_proxy_down_and_resets(rig: Rig, client: Any) -> None:
    proxy = client.get_proxy("p")
    with proxy.down():
        assert not can_connect(rig.port)
    assert can_connect(rig.port)
    rig.listener.accept()[0].close()
    proxy.add_toxic(type="latency", attributes={"latency": 30_000})
    client.reset()
    line = rig.line()
    line.server.sendall(b"x")
    with takes(0):
        assert read(line.client, 1) == b"x"


def test_a_foreign_client_gets_the_errors_it_knows(rig: Rig, client: Any) -> None:
    from toxiproxy.exceptions import InvalidToxic, ProxyExists

    with pytest.raises(ProxyExists):
        client.create(name="p", upstream=rig.upstream, listen=f"{LOOP}:0")
    with pytest.raises(InvalidToxic):
        client.get_proxy("p").add_toxic(type="nonsense")


GO = Path(__file__).with_name("clients") / "go"
GO_SAID = """\
made: go true true
again: Create: HTTP 409: proxy already exists
nobody: HTTP 404: proxy not found
toxic: latency_downstream latency downstream 1 map[jitter:0 latency:100]
updated: 0.5 map[jitter:7 latency:100]
second: cut upstream
odd: AddToxic: HTTP 400: invalid toxic type
listed: cut
listed: latency_downstream
disabled: false 1
reset: true 0
populated: 2
all: 4 true
left: 1
"""


@pytest.fixture(scope="session")
def go_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Toxiproxy's own client, built from what `make real` has fetched: nothing is fetched here."""
    folder = tmp_path_factory.mktemp("go") / "client"
    if (why := built(folder)) != "":
        (pytest.fail if os.environ.get("REQUIRE_REAL") == "1" else pytest.skip)(why)
    return folder / "client"


def built(folder: Path) -> str:
    """Why the client could not be built; nothing where it was."""
    if not shutil.which("go"):
        return "no Go on this machine"
    shutil.copytree(GO, folder)
    env = os.environ | {"GOPROXY": "off", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOTOOLCHAIN": "local"}
    argv = ["go", "build", "-o", "client", "."]
    ran = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    return "" if ran.returncode == 0 else f"no Go client; `make real` fetches what it is built from: {ran.stderr}"


@pytest.mark.real
def test_the_go_client_of_toxiproxy_gets_the_same_answers(rig: Rig, go_client: Path) -> None:
    argv = [go_client, f"{LOOP}:{rig.api.port}", rig.upstream]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)

    assert (ran.stdout, ran.stderr, ran.returncode) == (GO_SAID, "", 0)


def test_a_foreign_client_adds_what_only_the_embedded_proxy_knows(own: Rig) -> None:
    client = toxiproxy.Toxiproxy()
    client.update_api_consumer(LOOP, own.api.port)
    client.get_proxy("p").add_toxic(type="http_error", attributes={"status": 429, "headers": {"Retry-After": "7"}})
    line = own.line()
    line.client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    assert line.client.recv(1000).startswith(b"HTTP/1.1 429 ")
    assert client.get_proxy("p").toxics()["http_error_downstream"].attributes["status"] == 429


class ByHand:
    """The smallest client there is: one socket, text out, text in."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection((LOOP, port), timeout=5)
        self.lines = self.sock.makefile("rb")

    def ask(self, method: str, path: str, body: str = "") -> tuple[int, Any]:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: proxy\r\n{length}\r\n{body}".encode())
        status = int(self.lines.readline().split()[1])
        fields = {}
        while line := self.lines.readline().strip():
            name, _, value = line.decode().partition(": ")
            fields[name] = value
        raw = self.lines.read(int(fields.get("Content-Length", "0")))
        return status, json.loads(raw) if raw else None

    def close(self) -> None:
        self.lines.close()
        self.sock.close()


def test_a_session_by_hand_on_one_connection(rig: Rig) -> None:
    hand = ByHand(rig.api.port)
    proxy = json.dumps({"name": "hand", "listen": f"{LOOP}:0", "upstream": rig.upstream})
    status, made = hand.ask("POST", "/proxies", proxy)
    assert (status, made["name"]) == (201, "hand")
    assert hand.ask("POST", "/proxies", proxy) == (409, {"error": "proxy already exists", "status": 409})
    status, toxic = hand.ask("POST", "/proxies/hand/toxics", '{"type":"latency","attributes":{"latency":100}}')
    assert (status, toxic["name"]) == (200, "latency_downstream")
    line = Line(rig.listener, port_of(made))
    line.server.sendall(b"x")
    with takes(0.1):
        assert read(line.client, 1) == b"x"
    assert hand.ask("PATCH", "/proxies/hand/toxics/latency_downstream", '{"toxicity":0}')[1]["toxicity"] == 0
    assert set(hand.ask("GET", "/proxies")[1]) == {"p", "hand"}
    assert hand.ask("DELETE", "/proxies/hand/toxics/latency_downstream") == (204, None)
    assert hand.ask("DELETE", "/proxies/hand") == (204, None)
    assert line.client.recv(1) == b""
    line.close()
    hand.close()
