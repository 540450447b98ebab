"""HTTP/1.1 over TLS before the API: whole answers and streams, keep-alive, bounded."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from chaos_runner.pocket import http11
from chaos_runner.pocket.cluster.api import answers
from chaos_runner.pocket.cluster.api.answers import Answer, Query, Stream

CONNECTIONS_MAX = 2048
BUFFER_BYTES_MAX = http11.HEAD_BYTES_MAX + http11.BODY_BYTES_MAX
IDLE_MAX_S = 120.0
SLOW_READER_MAX_S = 60.0


class Cut(Exception):
    """The client gets no answer."""


Respond = Callable[[Query], Awaitable[Answer | Stream]]


class Front:
    """Listens, and asks `respond` what to answer."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext) -> int:
        """Listens; the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), host, port, ssl=tls, backlog=1024)
        return int(self._server.sockets[0].getsockname()[1])

    def drop_streams(self) -> int:
        """Cuts every connection that a stream runs on; how many."""
        streaming = [connection for connection in self.connections if connection.streaming]
        for connection in streaming:
            connection.cut()
        return len(streaming)

    async def stop(self) -> None:
        """Ends all connections at once."""
        if self._server is not None:
            self._server.close()
        tasks = [connection.task for connection in self.connections if connection.task is not None]
        for connection in tuple(self.connections):
            connection.cut()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)


class Connection(asyncio.Protocol):
    """One client, one request at a time."""

    def __init__(self, front: Front) -> None:
        self.task: asyncio.Task[None] | None = None
        self.streaming = False
        self._front = front
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the client in, or turns it away when the house is full."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._writable.set()
        if len(self._front.connections) >= CONNECTIONS_MAX:
            transport.abort()
            return
        self._front.connections.add(self)
        self._await_request()

    def data_received(self, data: bytes) -> None:
        """Collects bytes; a whole request is answered."""
        self._buffer += data
        if len(self._buffer) > BUFFER_BYTES_MAX:
            self.cut()
        elif self.task is None:
            self._take()

    def pause_writing(self) -> None:
        """The client reads slower than we write."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """A stream ends with its client; a request that was begun is finished, as in a real server."""
        self._front.connections.discard(self)
        self._transport = None
        self._writable.set()
        if self._idle is not None:
            self._idle.cancel()
        if self.task is not None and self.streaming:
            self.task.cancel()

    def cut(self) -> None:
        """Drops the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _await_request(self) -> None:
        self._idle = asyncio.get_running_loop().call_later(IDLE_MAX_S, self.cut)

    def _take(self) -> None:
        try:
            request = http11.take_request(self._buffer)
        except http11.MessageError as why:
            self._send(answers.text_answer(400, f"400 Bad Request: {why}\n"), keep=False)
            return
        if request is not None:
            if self._idle is not None:
                self._idle.cancel()
            self.task = asyncio.create_task(self._serve(answers.query_of(request)))
            self.task.add_done_callback(self._served)

    async def _serve(self, query: Query) -> None:
        try:
            answer = await self._front.respond(query)
        except Cut:
            self.cut()
            return
        keep = query.headers.get("connection", "").lower() != "close"
        if isinstance(answer, Stream):
            await self._stream(answer)
            keep = False
        else:
            self._send(answers.packed(answer, query.headers.get("accept-encoding", "")), keep=keep)
        await self._drained()

    async def _stream(self, stream: Stream) -> None:
        self.streaming = True
        head = {**stream.headers, "transfer-encoding": "chunked", "connection": "close"}
        self._write(_head(200, head))
        try:
            async with contextlib.aclosing(stream.pieces) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    self._write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    await self._drained()
        finally:
            self.streaming = False
        self._write(b"0\r\n\r\n")
        if self._transport is not None:
            self._transport.close()

    async def _drained(self) -> None:
        try:
            async with asyncio.timeout(SLOW_READER_MAX_S):
                await self._writable.wait()
        except TimeoutError:
            self.cut()

    def _served(self, task: asyncio.Task[None]) -> None:
        self.task = None
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            context = {"message": "a request failed", "exception": error, "task": task}
            asyncio.get_running_loop().call_exception_handler(context)
            self._send(answers.text_answer(500, "this is a bug in the pocket cluster; its log says more\n"), keep=False)
        elif self._transport is not None and not self._transport.is_closing():
            self._await_request()
            self._take()

    def _send(self, answer: Answer, *, keep: bool) -> None:
        ending = {} if keep else {"connection": "close"}
        self._write(_head(answer.status, {**answer.headers, "content-length": str(len(answer.body)), **ending}))
        self._write(answer.body)
        if not keep and self._transport is not None:
            self._transport.close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}\r\n".encode("latin-1", "replace")
