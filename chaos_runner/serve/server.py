"""The sockets: a listener whose connections have limits, and an end that keeps nobody waiting."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS_MAX = 256
HEAD_BYTES_MAX = 16 << 10
HEAD_S = 10.0
IDLE_S = 15
END_S = 2
SEND_BUFFER = 128 << 10
UNSENT_MS = 20_000

Client = tuple[str, int]


class Connections:
    """The open connections by their other end, so that one that does not read can be cut off."""

    def __init__(self) -> None:
        self._open: dict[Client, asyncio.Transport] = {}

    def protocol(self) -> type[H11Protocol]:
        """Uvicorn's protocol, with a limit for how long a request may take to arrive."""
        known = self._open

        class Limited(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                self._asking = self.loop.call_later(HEAD_S, self._too_slow)
                if self.client is not None:
                    known[self.client] = transport

            def _too_slow(self) -> None:
                if self.cycle is None or (self.cycle.response_complete and self.timeout_keep_alive_task is None):
                    self.transport.abort()
                    return
                self._asking = self.loop.call_later(HEAD_S, self._too_slow)

            def connection_lost(self, exc: Exception | None) -> None:
                self._asking.cancel()
                if self.client is not None:
                    known.pop(self.client, None)
                super().connection_lost(exc)

        return Limited

    def drop(self, scope: Scope) -> None:
        """Cuts the connection of this request off, unsent bytes and all."""
        client = scope.get("client")
        transport = self._open.get(tuple(client)) if client else None
        if transport is not None:
            transport.abort()


class Server(uvicorn.Server):
    """Ends on SIGTERM or Ctrl-C, and with success."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        import signal

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


def listener(host: str, port: int) -> socket.socket:
    """A bound socket; what its connections have not sent, and how long that may take, is limited. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNSENT_MS)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


async def serve(sock: socket.socket, app: ASGIApp, connections: Connections, ready: Callable[[], Any]) -> None:
    """Answers until a signal comes."""
    config = uvicorn.Config(
        app,
        http=connections.protocol(),
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS_MAX,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=END_S,
    )
    server = Server(config)
    waiting = asyncio.create_task(_ready(server, ready))
    try:
        await server.serve(sockets=[sock])
    finally:
        waiting.cancel()


async def _ready(server: Server, ready: Callable[[], Any]) -> None:
    while not server.started:
        await asyncio.sleep(0.01)
    ready()
