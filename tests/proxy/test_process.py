"""The process: how it starts, who may talk to it, what it refuses, how it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proxy.toxi import LOOP, Api, can_connect, read, start_embedded, stop, takes, to_end, wait_until

COMMAND = [sys.executable, "-m", "chaos_runner.proxy"]
Start = Callable[..., Api]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers of the test's own, and leaves none behind."""
    started: list[Api] = []

    def one(*arguments: str, **more: dict[str, str]) -> Api:
        started.append(start_embedded(tmp_path / "log", *arguments, **more))
        return started[-1]

    yield one
    for api in started:
        stop(api)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_with_live_connections(start: Start, number: signal.Signals) -> None:
    api = start()
    with socket.create_server((LOOP, 0)) as upstream:
        port = int(api.make(upstream=f"{LOOP}:{upstream.getsockname()[1]}")["listen"].rpartition(":")[2])
        with socket.create_connection((LOOP, port), timeout=5) as client, upstream.accept()[0] as server:
            client.sendall(b"x")
            read(server, 1)
            api.process.send_signal(number)
            assert api.process.wait(5) == 0
            assert (to_end(client), to_end(server)) == (b"", b"")
    stop(api)
    assert api.log.read_text() == ""


def test_the_end_of_stdin_ends_the_process(start: Start) -> None:
    api = start("--until-eof")
    assert api("GET", "/version").status == 200
    assert api.process.stdin is not None
    api.process.stdin.close()

    assert api.process.wait(5) == 0
    stop(api)


def test_stdin_is_left_alone_without_until_eof(start: Start) -> None:
    api = start()
    assert api.process.stdin is not None
    api.process.stdin.close()

    assert api("GET", "/version").status == 200
    assert stop(api) == 0


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=20, check=False, stdin=subprocess.DEVNULL
    )


def test_a_host_that_others_reach_needs_a_token() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", ""):
        refused = run("--host", host, "--port", "0")
        assert refused.returncode == 2
        assert "not started:" in refused.stderr
        assert "CHAOS_RUNNER_PROXY_TOKEN" in refused.stderr
        assert refused.stdout == ""


def test_a_taken_port_is_said_and_ends_with_1() -> None:
    with socket.create_server((LOOP, 0)) as taken:
        refused = run("-port", str(taken.getsockname()[1]))

    assert (refused.returncode, refused.stdout) == (1, "")
    assert "address already in use" in refused.stderr


@pytest.mark.parametrize("flag", ["-version", "--version"])
def test_the_version_is_printed(flag: str) -> None:
    said = run(flag)

    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("chaos-runner proxy version ")


@pytest.mark.parametrize("flags", [["-nonsense"], ["-proxy-metrics=perhaps"], ["-port", "x"], ["-seed", "1.5"]])
def test_wrong_usage_is_said_and_ends_with_2(flags: list[str]) -> None:
    refused = run(*flags)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert "usage: chaos-runner proxy" in refused.stderr


@pytest.mark.parametrize(
    ("flags", "status"),
    [(["-proxy-metrics=true"], 200), (["--proxy-metrics=false"], 404), (["-proxy-metrics", "-seed=7"], 200)],
)
def test_a_flag_may_say_true_or_false(start: Start, flags: list[str], status: int) -> None:
    assert start(*flags)("GET", "/metrics").status == status


@pytest.mark.parametrize(
    ("level", "heard"),
    [("", True), ("trace", True), ("error", True), ("Warning", True), ("nonsense", True), ("fatal", False)],
)
def test_the_log_level_says_what_is_worth_a_line(start: Start, tmp_path: Path, level: str, heard: bool) -> None:
    api = start("-config", str(tmp_path / "missing.json"), env={"LOG_LEVEL": level})

    assert ("config not loaded" in api.log.read_text()) is heard


def test_a_client_that_has_said_all_gets_its_answers(embedded: Api) -> None:
    with socket.create_connection((LOOP, embedded.port), timeout=5) as sock:
        body = b'{"name":"h","upstream":"x:1","listen":"localhost:0"}'
        sock.sendall(b"POST /proxies HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body) + VERSION)
        sock.shutdown(socket.SHUT_WR)
        got = to_end(sock)

    assert got.count(b"HTTP/1.1 201 Created") == got.count(b"HTTP/1.1 200 OK") == 1


def test_single_bytes_of_a_chunked_body_hold_nobody_up(embedded: Api) -> None:
    """Each chunk is looked at once, however many there are and however slowly they come."""
    with socket.create_connection((LOOP, embedded.port), timeout=5) as slow:
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        slow.sendall(b"POST /proxies HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 100_000)
        for _ in range(200):
            slow.sendall(b"1\r\n \r\n")
        with takes(0, 1):
            assert embedded("GET", "/version").status == 200
        slow.sendall(b"0\r\n\r\n")
        assert answered(slow).endswith(b'{"error":"bad request body: EOF","status":400}\n')


def test_with_a_token_every_request_needs_it(start: Start) -> None:
    api = start(env={"CHAOS_RUNNER_PROXY_TOKEN": "s3cret"})
    for path in ("/version", "/proxies", "/nope", "/chaos-runner/v1"):
        assert api("GET", path).status == 401
        assert api("GET", path, Authorization="Bearer s3cre").status == 401
    assert api("GET", "/version", Authorization="Bearer s3cret").status == 200
    assert api("GET", "/proxies").json == {"error": "unauthorized", "status": 401}
    assert stop(api) == 0


def test_config_is_what_populate_takes(tmp_path: Path, start: Start) -> None:
    config = tmp_path / "proxies.json"
    config.write_text(json.dumps([{"name": "a", "upstream": "x:1", "listen": f"{LOOP}:0"}, {"name": "b"}]))
    api = start("-config", str(config))
    assert api("GET", "/proxies").json == {}
    assert "missing required field: upstream at proxy 2" in api.log.read_text()
    stop(api)

    config.write_text(json.dumps([{"name": "a", "upstream": "x:1", "listen": f"{LOOP}:0"}]))
    api = start("-config", str(config))
    assert list(api("GET", "/proxies").json) == ["a"]
    assert stop(api) == 0


@pytest.fixture
def raw(embedded: Api) -> Iterator[socket.socket]:
    with socket.create_connection((LOOP, embedded.port), timeout=5) as sock:
        yield sock


def answered(sock: socket.socket) -> bytes:
    """One answer's head and body."""
    got = b""
    while b"\r\n\r\n" not in got and (more := sock.recv(1)):
        got += more
    head = got.lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
    return got + read(sock, length)


VERSION = b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n"


def test_requests_in_a_row_share_a_connection(raw: socket.socket) -> None:
    raw.sendall(VERSION * 3)
    for _ in range(3):
        assert answered(raw).startswith(b"HTTP/1.1 200 OK\r\n")
    for byte in VERSION:
        raw.sendall(bytes([byte]))
    assert answered(raw).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_chunked_body_is_read(raw: socket.socket, embedded: Api) -> None:
    body = b'{"name":"c","upstream":"x:1","listen":"127.0.0.1:0"}'
    raw.sendall(b"POST /proxies HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    for part in (body[:9], body[9:]):
        raw.sendall(b"%x\r\n%s\r\n" % (len(part), part))
    raw.sendall(b"0\r\nTrailer: x\r\n\r\n" + VERSION)

    assert answered(raw).startswith(b"HTTP/1.1 201")
    assert answered(raw).startswith(b"HTTP/1.1 200")
    assert list(embedded("GET", "/proxies").json) == ["c"]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /version HTTP/2.0\r\n\r\n", b"505"),
        (b"GET /proxies/%zz HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /version HTTP/1.1\r\nExpect: cake\r\n\r\n", b"417"),
        (b"GET /version HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        (b"\x16\x03\x01\x02\x00 another protocol\n", b"400"),
        (b"GET /version HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"GET /version HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"GET /version HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"GET /version HTTP/1.1\r\nX: " + b"x" * 70_000, b"431"),
        (b"POST /proxies HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", b"413"),
        (b"POST /proxies HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n", b"413"),
        (b"POST /proxies HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"POST /proxies HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", b"400"),
        (b"POST /proxies HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", b"400"),
        (b"POST /proxies HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 70_000, b"400"),
    ],
)
def test_what_is_no_request_ends_the_connection(raw: socket.socket, request_bytes: bytes, status: bytes) -> None:
    raw.sendall(request_bytes)

    assert to_end(raw).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"name":' * 5000, b"\xff\xfe", b'{"toxicity":1e999}', b"9" * 5000, b"NaN", b'"\\ud800"']
)
def test_no_body_breaks_the_server(embedded: Api, body: bytes) -> None:
    embedded.make()
    for path in ("/proxies", "/populate", "/proxies/p", "/proxies/p/toxics"):
        assert embedded("POST", path, body).status in (200, 400)
    assert embedded("PUT", "/chaos-runner/v1/leases/x", body).status == 400


def test_half_a_surrogate_pair_is_replaced(embedded: Api) -> None:
    body = b'{"name":"a\\ud800b","upstream":"x:1","listen":"127.0.0.1:0"}'

    assert embedded("POST", "/proxies", body).json["name"] == "a\ufffdb"
    assert embedded("DELETE", "/proxies/a%EF%BF%BDb").status == 204


def test_idle_api_clients_are_limited(embedded: Api) -> None:
    idle = [socket.create_connection((LOOP, embedded.port), timeout=5) for _ in range(256)]
    with takes(0, 1), socket.create_connection((LOOP, embedded.port), timeout=5) as one_more:
        assert to_end(one_more).startswith(b"HTTP/1.1 503")
    for sock in idle:
        sock.close()
    wait_until(lambda: can_connect(embedded.port) and embedded("GET", "/version").status == 200)
