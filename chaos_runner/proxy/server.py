"""A small HTTP/1.1 server on a protocol: keep-alive, pipelining, and a limit on everything a client can hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from chaos_runner.proxy.requests import (
    BLANK_LINE,
    BODY_BYTES_MAX,
    HEAD_BYTES_MAX,
    TEXT,
    BadRequest,
    Chunks,
    Head,
    Request,
    Response,
    encode,
    parse_head,
    request_line,
)

CONNECTIONS_MAX = 256
CR, LF = bytearray(b"\r"), bytearray(b"\n")

Handler = Callable[[Request], Awaitable[Response]]


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
        self.chunks: Chunks | None = None
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.over = False

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
        if self.transport.is_closing():
            return
        if not self.buffer and self.head is None:
            self.limit(self.server.read_limit_s)
        self.buffer += data
        if len(self.buffer) > HEAD_BYTES_MAX + 2 * BODY_BYTES_MAX:
            self.transport.abort()
        elif self.task is None:
            self.advance()

    def eof_received(self) -> bool:
        """A client that has said all it will say still gets its answers."""
        self.over = True
        return self.task is not None

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
        if request is None:
            if self.over:
                self.transport.close()
            return
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
            self.chunks = Chunks() if self.head.chunked else None
            if self.head.to_be_continued:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.head is None or (body := self.take_body(self.head)) is None:
            return None
        return Request(self.head.method, self.head.path, self.head.headers, body)

    def take_head(self) -> bytes | None:
        if self.buffer[:1] in (CR, LF):
            del self.buffer[: len(self.buffer) - len(self.buffer.lstrip(b"\r\n"))]
        end = BLANK_LINE.search(self.buffer)
        if (end.start() if end is not None else len(self.buffer)) > HEAD_BYTES_MAX:
            raise BadRequest(431, f"head over {HEAD_BYTES_MAX} bytes")
        if end is None:
            self.look_at_first_line()
            return None
        raw = bytes(self.buffer[: end.start()]).removesuffix(b"\r")
        del self.buffer[: end.end()]
        return raw

    def look_at_first_line(self) -> None:
        """Tells a client at once that speaks something else; it may never send a blank line."""
        line, found, _ = bytes(self.buffer).partition(b"\n")
        if found:
            request_line(line.removesuffix(b"\r").decode("latin-1"))

    def take_body(self, head: Head) -> bytes | None:
        if self.chunks is not None:
            return bytes(self.chunks.body) if self.chunks.take(self.buffer) else None
        if len(self.buffer) < head.length:
            return None
        body = bytes(self.buffer[: head.length])
        del self.buffer[: head.length]
        return body

    async def answer(self, request: Request) -> None:
        response = await self.server.handler(request)
        head, self.head, self.task = self.head, None, None
        if self.transport.is_closing():
            return
        if head is None or not head.keep or (self.over and not self.buffer):
            self.end(response, head)
            return
        self.transport.write(encode(response, head, keep=True))
        self.limit(self.server.read_limit_s if self.buffer else self.server.idle_limit_s)
        self.advance()

    def end(self, response: Response, head: Head | None = None) -> None:
        self.transport.write(encode(response, head, keep=False))
        self.transport.close()
        self.limit(self.server.read_limit_s)
