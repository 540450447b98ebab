"""A small HTTP/1.1 server on asyncio Protocols: keep-alive, bounded, graceful at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from chaos_runner.pocket import http11

CONNECTIONS_MAX = 4096
IDLE_MAX_S = 75.0  # above the client's, so that an idle connection is never closed under a request
DRAIN_S = 2.0
PIPELINED_BYTES_MAX = http11.HEAD_BYTES_MAX + http11.BODY_BYTES_MAX

Handle = Callable[[http11.Request], Awaitable[http11.Response]]


class HttpServer:
    """Answers requests with what `handle` returns, one at a time on each connection."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.connections: set[ServerConnection] = set()
        self.draining = False
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listens, and says where."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: ServerConnection(self), host, port, backlog=1024)
        bound = self._server.sockets[0].getsockname()
        return bound[0], bound[1]

    async def stop(self, within_s: float = DRAIN_S) -> None:
        """Accepts nothing more, lets what is in flight finish within the limit, then cuts the rest."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        for connection in tuple(self.connections):
            connection.close_when_idle()
        tasks = [connection.task for connection in self.connections if connection.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=within_s)
        await asyncio.sleep(0)  # one turn of the loop, so that the last answers leave
        for connection in tuple(self.connections):
            connection.cut()


class ServerConnection(asyncio.Protocol):
    """One client. asyncio sets TCP_NODELAY on every TCP transport."""

    def __init__(self, server: HttpServer) -> None:
        self.task: asyncio.Task[None] | None = None
        self._server = server
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the client in, or turns it away when the house is full."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if len(self._server.connections) >= CONNECTIONS_MAX or self._server.draining:
            transport.abort()
            return
        self._server.connections.add(self)
        self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        """Collects bytes and answers each whole request in turn."""
        self._buffer += data
        if self.task is None:
            self._answer_next()
        elif len(self._buffer) > PIPELINED_BYTES_MAX:
            self.cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the client. What it asked for is finished: an order does not end with the wire."""
        self._server.connections.discard(self)
        if self._idle is not None:
            self._idle.cancel()
        self._transport = None

    def close_when_idle(self) -> None:
        """Closes now, or after the answer in flight."""
        if self.task is None and self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """Drops the connection without waiting for anything."""
        if self._transport is not None:
            self._transport.abort()

    def _wait_for_request(self) -> None:
        loop = asyncio.get_running_loop()
        self._idle = loop.call_later(IDLE_MAX_S, self.cut)

    def _answer_next(self) -> None:
        try:
            request = http11.take_request(self._buffer)
        except http11.MessageError as refusal:
            self._write(http11.json_response(400, {"error": str(refusal)}), keep=False)
            return
        if request is None:
            return
        if self._idle is not None:
            self._idle.cancel()
        self.task = asyncio.create_task(self._answer(request))
        self.task.add_done_callback(self._answered)

    async def _answer(self, request: http11.Request) -> None:
        response = await self._server.handle(request)
        keep = request.headers.get("connection", "").lower() != "close" and not self._server.draining
        self._write(response, keep=keep)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self.task = None
        if task.cancelled() or task.exception() is not None:
            self._report(task)
            self._write(
                http11.json_response(500, {"error": "this is a bug in the shop; its log says more"}), keep=False
            )
        elif self._transport is not None and not self._transport.is_closing():
            self._wait_for_request()
            self._answer_next()

    def _report(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            context = {"message": "a request handler failed", "exception": task.exception(), "task": task}
            asyncio.get_running_loop().call_exception_handler(context)

    def _write(self, response: http11.Response, *, keep: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if not keep:
            response = http11.Response(response.status, response.body, {**response.headers, "connection": "close"})
        self._transport.write(http11.render_response(response))
        if not keep:
            self._transport.close()
