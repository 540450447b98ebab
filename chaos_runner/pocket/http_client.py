"""A small keep-alive HTTP/1.1 client: a bounded pool of connections to one address, with a queue in front of it."""

from __future__ import annotations

import asyncio
from collections import deque
from urllib.parse import urlsplit

from chaos_runner.pocket import http11

IDLE_MAX_S = 30.0
REQUESTS_PER_CONNECTION = 25  # connections turn over, so that a fault that strikes a share of them meets new ones


class PoolFull(OSError):
    """Every connection is busy and the queue in front of them is full."""


class CutShort(ConnectionError):
    """The connection ended before the whole response was there."""


def address_of(url: str) -> tuple[str, int]:
    """Host and port of an http:// address."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"not an address like http://127.0.0.1:8080: {url!r}")
    return parts.hostname, parts.port or 80


class Pool:
    """At most `connections` requests at once; up to `queue_max` more wait their turn, first come first served."""

    def __init__(self, url: str, *, connections: int, queue_max: int) -> None:
        self.host, self.port = address_of(url)
        self.waiting = 0
        self._queue_max = queue_max
        self._turns = asyncio.Semaphore(connections)
        self._idle: deque[ClientConnection] = deque()

    async def exchange(self, request: http11.Request) -> http11.Response:
        """The response, whatever its status. Raises OSError; the caller sets the time limit."""
        await self._take_turn()
        try:
            return await self._exchange(request)
        finally:
            self._turns.release()

    def close(self) -> None:
        """Drops the idle connections."""
        while self._idle:
            self._idle.pop().drop()

    async def _take_turn(self) -> None:
        if self._turns.locked() and self.waiting >= self._queue_max:
            raise PoolFull(f"{self.waiting} requests already wait for {self.host}:{self.port}")
        self.waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self.waiting -= 1

    async def _exchange(self, request: http11.Request) -> http11.Response:
        connection = self._idle_connection() or await self._connect()
        try:
            response = await connection.exchange(http11.render_request(request, f"{self.host}:{self.port}"))
        except BaseException:
            # Also when cancelled by a time limit: the late response would be read as the answer to the next request.
            connection.drop()
            raise
        if connection.reusable(response):
            self._idle.append(connection)
        else:
            connection.drop()
        return response

    def _idle_connection(self) -> ClientConnection | None:
        # Round robin, not the warmest first: every connection of the pool carries traffic.
        while self._idle:
            connection = self._idle.popleft()
            if connection.fresh():
                return connection
            connection.drop()
        return None

    async def _connect(self) -> ClientConnection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(ClientConnection, self.host, self.port)
        return connection


class ClientConnection(asyncio.Protocol):
    """One connection; one request at a time. asyncio sets TCP_NODELAY on every TCP transport."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._reply: asyncio.Future[http11.Response] | None = None
        self._requests = 0
        self._used_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Is ready for requests."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    async def exchange(self, request: bytes) -> http11.Response:
        """Sends the request and waits for its whole response."""
        if self._transport is None:
            raise CutShort("the connection closed before the request")
        loop = asyncio.get_running_loop()
        self._requests += 1
        self._reply = loop.create_future()
        self._transport.write(request)
        response = await self._reply
        self._used_at = loop.time()
        return response

    def data_received(self, data: bytes) -> None:
        """Completes the waiting request once its response is whole."""
        self._buffer += data
        if self._reply is None or self._reply.done():
            self.drop()  # bytes that nobody asked for
            return
        try:
            response = http11.take_response(self._buffer)
        except http11.MessageError as refusal:
            self._fail(refusal)
            return
        if response is not None:
            self._reply.set_result(response)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fails the waiting request: a response that was cut is no response."""
        self._transport = None
        self._fail(exc or CutShort(f"the connection ended {len(self._buffer)} bytes into the response"))

    def fresh(self) -> bool:
        """Whether it may carry another request."""
        now = asyncio.get_running_loop().time()
        return self._open() and now - self._used_at < IDLE_MAX_S

    def reusable(self, response: http11.Response) -> bool:
        """Whether it may go back to the pool after `response`."""
        said_close = response.headers.get("connection", "").lower() == "close"
        return self._open() and not said_close and self._requests < REQUESTS_PER_CONNECTION

    def drop(self) -> None:
        """Closes without waiting for the other side."""
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, why: Exception) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(why)
            self._reply.exception()  # seen: a caller cancelled in this very moment will not come to fetch it

    def _open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing() and not self._buffer
