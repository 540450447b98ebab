"""A small HTTP/1.1 server on a protocol: keep-alive, and a limit on everything a client can send or hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import NamedTuple, cast

HEAD_BYTES_MAX = 64 << 10
BODY_BYTES_MAX = 1 << 20
CONNECTIONS_MAX = 256
ONCE = ("authorization", "content-length", "host", "transfer-encoding")
TEXT = "text/plain; charset=utf-8"


class Request(NamedTuple):
    """One request; header names are lower-case, the path is still percent-encoded."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Response(NamedTuple):
    """One answer."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Request], Awaitable[Response]]


class BadRequest(Exception):
    """The bytes are no request that this server takes; the connection ends after the answer."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.response = Response(status, f"{status} {HTTPStatus(status).phrase}: {why}\n".encode(), TEXT)


class Head(NamedTuple):
    """A request before its body."""

    method: str
    path: str
    headers: dict[str, str]
    keep: bool

    @property
    def chunked(self) -> bool:
        return self.headers.get("transfer-encoding", "").lower() == "chunked"

    @property
    def length(self) -> int:
        text = self.headers.get("content-length", "0")
        if not (text.isascii() and text.isdigit()) or "transfer-encoding" in self.headers:
            raise BadRequest(400, "bad body length")
        if len(text) > 7 or int(text) > BODY_BYTES_MAX:
            raise BadRequest(413, f"body over {BODY_BYTES_MAX} bytes")
        return int(text)


def parse_head(raw: bytes) -> Head:
    lines = raw.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(400, "malformed request line")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        key = name.lower()
        if not colon or not name or name != name.strip() or (key in headers and key in ONCE):
            raise BadRequest(400, "malformed or repeated header")
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    wish = headers.get("connection", "").lower()
    keep = wish != "close" if words[2] == "HTTP/1.1" else wish == "keep-alive"
    return Head(words[0], words[1], headers, keep)


def take_chunks(raw: bytes) -> tuple[bytes, int] | None:
    """The body of a chunked request and where it ends; None while it is incomplete."""
    body, at = b"", 0
    while (end := raw.find(b"\r\n", at)) >= 0:
        try:
            size = int(raw[at:end].partition(b";")[0], 16)
        except ValueError:
            raise BadRequest(400, "malformed chunk") from None
        if size < 0 or len(body) + size > BODY_BYTES_MAX:
            raise BadRequest(413, f"body over {BODY_BYTES_MAX} bytes")
        data, at = end + 2, end + 2 + size + 2
        if len(raw) < at:
            return None
        if size == 0:
            return body, at
        body += raw[data : data + size]
    return None


class Server:
    """Answers HTTP on one listening socket with one handler."""

    read_limit_s = 15.0
    idle_limit_s = 60.0

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.open: set[Exchange] = set()

    def accept(self) -> Exchange:
        return Exchange(self)

    def stop(self) -> None:
        for exchange in list(self.open):
            exchange.transport.close()


class Exchange(asyncio.Protocol):
    """One client's connection: requests one after the other."""

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self.server = server
        self.buffer = bytearray()
        self.head: Head | None = None
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self.transport = cast("asyncio.Transport", transport)
        self.server.open.add(self)
        if len(self.server.open) > CONNECTIONS_MAX:
            self.end(Response(503, b"too many connections\n", TEXT))
        else:
            self.limit(self.server.idle_limit_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.open.discard(self)
        if self.timer is not None:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        if not self.buffer and self.task is None:
            self.limit(self.server.read_limit_s)
        self.buffer += data
        if len(self.buffer) > HEAD_BYTES_MAX + 2 * BODY_BYTES_MAX:
            self.transport.abort()
        elif self.task is None:
            self.advance()

    def limit(self, seconds: float) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.timer = asyncio.get_running_loop().call_later(seconds, self.transport.abort)

    def advance(self) -> None:
        """Starts answering when a whole request is there."""
        try:
            request = self.take_request()
        except BadRequest as error:
            self.end(error.response)
            return
        if request is not None:
            if self.timer is not None:
                self.timer.cancel()
            self.task = asyncio.get_running_loop().create_task(self.answer(request))
            self.task.add_done_callback(self.answered)

    def answered(self, task: asyncio.Task[None]) -> None:
        # A bug in a handler must not leave its client waiting; the loop reports it.
        if not task.cancelled() and task.exception() is not None:
            self.transport.abort()
            task.get_loop().call_exception_handler({"message": "a request failed", "exception": task.exception()})

    def take_request(self) -> Request | None:
        if self.head is None and (raw := self.take_head()) is not None:
            self.head = parse_head(raw)
            if self.head.headers.get("expect", "").lower() == "100-continue":
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.head is None or (body := self.take_body(self.head)) is None:
            return None
        return Request(self.head.method, self.head.path, self.head.headers, body)

    def take_head(self) -> bytes | None:
        end = self.buffer.find(b"\r\n\r\n")
        if end > HEAD_BYTES_MAX or (end < 0 and len(self.buffer) > HEAD_BYTES_MAX):
            raise BadRequest(431, f"head over {HEAD_BYTES_MAX} bytes")
        if end < 0:
            return None
        raw = bytes(self.buffer[:end])
        del self.buffer[: end + 4]
        return raw.lstrip(b"\r\n")

    def take_body(self, head: Head) -> bytes | None:
        if head.chunked:
            taken = take_chunks(bytes(self.buffer))
            if taken is None:
                return None
            body, end = taken
        else:
            end = head.length
            if len(self.buffer) < end:
                return None
            body = bytes(self.buffer[:end])
        del self.buffer[:end]
        return body

    async def answer(self, request: Request) -> None:
        response = await self.server.handler(request)
        keep = self.head is not None and self.head.keep
        self.head = self.task = None
        if self.transport.is_closing():
            return
        if not keep:
            self.end(response)
            return
        self.transport.write(encode(response, keep=True))
        self.limit(self.server.read_limit_s if self.buffer else self.server.idle_limit_s)
        self.advance()

    def end(self, response: Response) -> None:
        self.transport.write(encode(response, keep=False))
        self.transport.close()
        self.limit(self.server.read_limit_s)


def encode(response: Response, *, keep: bool) -> bytes:
    lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    if response.content_type:
        lines.append(f"Content-Type: {response.content_type}")
    lines += [f"{name}: {value}" for name, value in response.headers]
    if response.status != HTTPStatus.NO_CONTENT:
        lines.append(f"Content-Length: {len(response.body)}")
    if not keep:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + response.body
