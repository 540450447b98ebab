"""A relay before an API that loses, breaks or holds requests; one connection and one thread for each."""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Self

from tests.proxy.toxi import LOOP

# What becomes of a request. `lost`, `reset` and `error` have landed: only their reply is missing, cut off or false.
# `held` is kept, its client is told nothing, and it lands with `release`; `denied` never lands and is answered 404.
Fate = Literal["pass", "lost", "reset", "error", "held", "denied"]
LIMIT_S = 20.0
ERROR = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
GONE = b'{"error":"toxic not found","status":404}\n'
DENIED = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(GONE), GONE)
LINGER = struct.pack("ii", 1, 0)


class Asked(NamedTuple):
    """One request as it came."""

    method: str
    path: str
    raw: bytes


class Relay:
    """Stands before the API at `port`; `fate` says for each request, in order, what becomes of it."""

    def __init__(self, port: int, fate: Callable[[Asked], Fate] = lambda _: "pass") -> None:
        self.fate = fate
        self.asked: list[Asked] = []
        self.held: list[Asked] = []
        self._to = port
        self._listener = socket.create_server((LOOP, 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://{LOOP}:{self.port}"
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(LIMIT_S)
        self._listener.close()

    def once(self, method: str, fate: Fate) -> None:
        """This fate for the first request with this method that comes from now on."""
        waiting = [method]

        def decide(asked: Asked) -> Fate:
            if waiting == [asked.method]:
                waiting.clear()
                return fate
            return "pass"

        self.fate = decide

    def release(self) -> list[int]:
        """What was held lands now; the statuses that the server answers."""
        found = [_status(self._answer(asked)) for asked in self.held]
        self.held.clear()
        return found

    def _begin(self, work: Callable[..., None], *arguments: Any) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._begin(self._serve, near)

    def _serve(self, near: socket.socket) -> None:
        near.settimeout(LIMIT_S)
        with near, contextlib.suppress(OSError):
            asked = _read(near)
            if asked is None:
                return
            self.asked.append(asked)
            self._treat(near, asked, self.fate(asked))

    def _treat(self, near: socket.socket, asked: Asked, fate: Fate) -> None:
        if fate == "held":
            self.held.append(asked)
            return
        if fate == "denied":
            near.sendall(DENIED)
            return
        answer = self._answer(asked)
        if fate == "reset":
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        elif fate in ("pass", "error"):
            near.sendall(answer if fate == "pass" else ERROR)

    def _answer(self, asked: Asked) -> bytes:
        with socket.create_connection((LOOP, self._to), timeout=LIMIT_S) as far:
            far.sendall(asked.raw)
            return _whole(far)


def _read(near: socket.socket) -> Asked | None:
    raw = b""
    while b"\r\n\r\n" not in raw:
        more = near.recv(65536)
        if not more:
            return None
        raw += more
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    sizes = [int(line.partition(":")[2]) for line in lines if line.lower().startswith("content-length:")]
    while len(body) < sum(sizes):
        body += near.recv(65536)
    method, path, _version = lines[0].split(" ")
    return Asked(method, path, head + b"\r\n\r\n" + body)


def _whole(far: socket.socket) -> bytes:
    response = http.client.HTTPResponse(far)
    response.begin()
    body = response.read()
    head = [f"HTTP/1.1 {response.status} {response.reason}", "Connection: close", f"Content-Length: {len(body)}"]
    head += [f"Content-Type: {response.headers.get('Content-Type', 'text/plain')}"]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])
