"""An HTTP/1.1 service that remembers what it was asked, behind one proxy of the embedded server."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

from tests.proxy import toxi


class Asked(NamedTuple):
    """One request that reached the service."""

    method: str
    path: str
    body: bytes
    at: float


class Handler(BaseHTTPRequestHandler):
    """Answers every path with its own name, in a way that the path chooses."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) if length else self._chunks()
        self.server.asked.append(Asked(self.command, self.path, body, time.monotonic()))  # type: ignore[attr-defined]
        content = f"{self.command} {self.path} {len(body)}".encode()
        if self.path.startswith("/chunked"):
            self._answer({"Transfer-Encoding": "chunked"})
            for part in (content[:5], content[5:]):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        elif self.path.startswith("/until-close"):
            self._answer({"Connection": "close"})
            self.wfile.write(content)
        else:
            self._answer({"Content-Length": str(len(content))})
            if self.command != "HEAD":
                self.wfile.write(content)

    do_POST = do_PUT = do_HEAD = do_GET

    def _answer(self, fields: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()

    def _chunks(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return b""
        whole = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return whole

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((toxi.LOOP, 0), Handler)
        self.asked: list[Asked] = []

    def handle_error(self, *_: Any) -> None:
        """A client that leaves is none."""


class Shop:
    """The service, the proxy `p` in front of it, and clients of it."""

    def __init__(self, api: toxi.Api) -> None:
        self.api = api
        self.server = Server()
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()
        made = api.make("p", f"{toxi.LOOP}:{self.server.server_address[1]}")
        self.port = int(made["listen"].rpartition(":")[2])
        self.clients: list[http.client.HTTPConnection] = []

    @property
    def asked(self) -> list[str]:
        return [f"{one.method} {one.path}" for one in self.server.asked]

    def client(self) -> http.client.HTTPConnection:
        client = http.client.HTTPConnection(toxi.LOOP, self.port, timeout=5)
        self.clients.append(client)
        return client

    def counts(self, toxic: str) -> dict[str, Any]:
        return self.api("GET", "/chaos-runner/v1/counters").json["proxies"]["p"]["toxics"][toxic]

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def shop(embedded: toxi.Api) -> Iterator[Shop]:
    shop = Shop(embedded)
    yield shop
    shop.close()


@pytest.fixture
def plain_shop(plain_server: toxi.Api) -> Iterator[Shop]:
    """The same without uvloop."""
    shop = Shop(plain_server)
    yield shop
    shop.close()
    plain_server.clear()


def ask(
    client: http.client.HTTPConnection, path: str = "/", method: str = "GET", body: Any = None, **headers: str
) -> tuple[int, bytes]:
    """One exchange: status and body."""
    client.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = client.getresponse()
    return answer.status, answer.read()
