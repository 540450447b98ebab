"""What the proxy's tests share: a server process, a small API client, and a connection with both ends in hand."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[2]
LOOP = "127.0.0.1"
REAL = Path(
    os.environ.get("TOXIPROXY_SERVER", Path.home() / ".cache" / "chaos-runner" / "real" / "toxiproxy-2.12.0" / "server")
)
SLACK_S = 0.25  # how late something may be on a busy machine with two cores
EARLY_S = 0.012


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> str:
        return self.json["error"]


class Api:
    """One server's API; a connection for each call and a limit on all of them."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], kind: str, log: Path) -> None:
        self.port, self.process, self.kind, self.log = port, process, kind, log

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(LOOP, self.port, timeout=10)
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            connection.request(method, path, raw, {key.replace("_", "-"): value for key, value in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def make(self, name: str = "p", upstream: str = f"{LOOP}:9", **more: Any) -> dict[str, Any]:
        answer = self("POST", "/proxies", {"name": name, "upstream": upstream, "listen": f"{LOOP}:0"} | more)
        assert answer.status == 201, answer
        return answer.json

    def toxic(self, kind: str, stream: str = "downstream", *, proxy: str = "p", **more: Any) -> str:
        special = {key: more.pop(key) for key in ("toxicity", "name") if key in more}
        body = {"type": kind, "stream": stream, "attributes": more} | special
        answer = self("POST", f"/proxies/{proxy}/toxics", body)
        assert answer.status == 200, answer
        return answer.json["name"]

    def patch(self, name: str, *, proxy: str = "p", **body: Any) -> None:
        answer = self("PATCH", f"/proxies/{proxy}/toxics/{name}", body)
        assert answer.status == 200, answer

    def drop(self, name: str, *, proxy: str = "p") -> None:
        assert self("DELETE", f"/proxies/{proxy}/toxics/{name}").status == 204

    def clear(self) -> None:
        for name in self("GET", "/proxies").json:
            self("DELETE", f"/proxies/{quote(name, safe='')}")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((LOOP, 0))
        return sock.getsockname()[1]


MODULE = ("-m", "chaos_runner.proxy")
WITHOUT_UVLOOP = (
    "-c",
    "import sys; sys.modules['uvloop'] = None; from chaos_runner.proxy.__main__ import main; "
    "sys.exit(main(sys.argv[1:]))",
)


def start_embedded(
    log: Path, *arguments: str, start: tuple[str, ...] = MODULE, env: dict[str, str] | None = None
) -> Api:
    command = [sys.executable, *start, "-port", "0", *arguments]
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=os.environ | (env or {})
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, log.read_text()
    return Api(int(json.loads(line)["listening"].rpartition(":")[2]), process, "embedded", log)


def start_real(log: Path, *arguments: str, port: int | None = None) -> Api:
    port = port or free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [REAL, "-host", LOOP, "-port", str(port), "-proxy-metrics", *arguments], stdout=output, stderr=output
        )
    api = Api(port, process, "real", log)
    wait_until(lambda: can_connect(port), 20)
    return api


def stop(api: Api) -> int:
    api.process.send_signal(signal.SIGTERM)
    try:
        code = api.process.wait(5)
    except subprocess.TimeoutExpired:
        api.process.kill()
        code = api.process.wait(5)
    for pipe in (api.process.stdin, api.process.stdout):
        if pipe is not None:
            pipe.close()
    return code


def can_connect(port: int) -> bool:
    try:
        socket.create_connection((LOOP, port), timeout=2).close()
    except ConnectionRefusedError:
        return False
    return True


def wait_until(holds: Any, limit_s: float = 5.0) -> None:
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


class Line:
    """A proxied connection and both of its ends: `client` and `server`."""

    def __init__(self, listener: socket.socket, port: int) -> None:
        self.client = socket.create_connection((LOOP, port), timeout=5)
        self.server, _ = listener.accept()
        self.server.settimeout(5)
        for end in (self.client, self.server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        self.client.close()
        self.server.close()


class Rig:
    """A proxy named `p` in front of a listener, and as many lines through it as a test wants."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.listener = socket.create_server((LOOP, 0), backlog=512)
        self.listener.settimeout(5)
        self.upstream = f"{LOOP}:{self.listener.getsockname()[1]}"
        self.port = port_of(api.make(upstream=self.upstream))
        self.lines: list[Line] = []

    def line(self) -> Line:
        self.lines.append(Line(self.listener, self.port))
        return self.lines[-1]

    def close(self) -> None:
        for line in self.lines:
            line.close()
        self.listener.close()


def port_of(proxy: dict[str, Any]) -> int:
    return int(proxy["listen"].rpartition(":")[2])


def read(sock: socket.socket, size: int) -> bytes:
    """Exactly so many bytes, or all there are before the end."""
    got = bytearray()
    while len(got) < size and (more := sock.recv(size - len(got))):
        got += more
    return bytes(got)


def to_end(sock: socket.socket) -> bytes:
    got = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while more := sock.recv(1 << 16):
            got += more
    return bytes(got)


def quiet(sock: socket.socket, seconds: float = 0.1) -> bool:
    """True when nothing, an end neither, arrives for so long."""
    return not select.select([sock], [], [], seconds)[0]


@contextlib.contextmanager
def takes(at_least_s: float, slack_s: float = SLACK_S) -> Any:
    begin = time.monotonic()
    yield
    took = time.monotonic() - begin
    crowd = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # a busy machine is late with everything
    assert at_least_s - EARLY_S <= took <= at_least_s * 1.1 + slack_s * crowd, took
