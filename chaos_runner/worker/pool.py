"""Keep-alive connections, opened when a request finds none free and closed when a request gives up on one.

No retries: once a byte of a request was handed to a connection, whatever happens to it is that request's result, also
when the server closed the idle connection at that very moment. A connection that is known to be closed is never used.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from chaos_runner.wire import LoadPlan
from chaos_runner.worker.body import BadReply
from chaos_runner.worker.reply import Reply
from chaos_runner.worker.tally import Asked

# Below the shortest idle limit of common servers (2 s): a request should not race with the server's own closing.
IDLE_NS_MAX = 1_500_000_000

Replied = Callable[[Asked, Reply], None]
Failed = Callable[[Asked, str], None]


class Connection(asyncio.Protocol):
    """One connection with at most one request on it."""

    __slots__ = ("_closed", "_pool", "_reply", "asked", "connecting", "idle_since_ns", "transport")

    def __init__(self, pool: Pool, asked: Asked) -> None:
        self._pool = pool
        self._reply = Reply(pool.plan.method, pool.keeps_body)
        self._closed = False
        self.asked: Asked | None = asked
        self.transport: asyncio.Transport | None = None
        self.connecting: asyncio.Task[None] | None = None
        self.idle_since_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self.asked is None or self._closed:
            self.transport.abort()
            return
        self.transport.write(self._pool.request)

    def ask(self, asked: Asked) -> None:
        """Sends a further request over this idle connection."""
        assert self.transport is not None
        self.asked = asked
        asked.connection = self
        self._reply.next()
        self.transport.write(self._pool.request)

    @property
    def usable(self) -> bool:
        return self.transport is not None and not self._closed and not self.transport.is_closing()

    def data_received(self, data: bytes) -> None:
        if self.asked is None:
            self.close()  # nobody asked
            return
        try:
            complete = self._reply.feed(data)
        except BadReply as why:
            self._fail(why.error)
            return
        if complete:
            self._complete()

    def eof_received(self) -> None:
        if self.asked is None:
            self.close()
        elif self._reply.eof():
            self._complete()
        else:
            self._fail("cut" if self._reply.begun else "eof")

    def connection_lost(self, exc: Exception | None) -> None:
        if self.asked is not None:
            broken = "cut" if self._reply.begun else "eof"
            self._fail(broken if exc is None else error_of(exc))
        self.close()

    def close(self) -> None:
        """Closes at once; the request on it, if any, is the caller's to settle."""
        if self._closed:
            return
        self._closed = True
        if self.connecting is not None:
            self.connecting.cancel()
        if self.transport is not None:
            self.transport.abort()
        self._pool.closed(self)

    def failed(self, error: str) -> None:
        """The connection could not be made."""
        self.connecting = None
        self._fail(error)

    def _fail(self, error: str) -> None:
        asked = self._let_go()
        self.close()
        if asked is not None:
            self._pool.on_failed(asked, error)

    def _complete(self) -> None:
        asked = self._let_go()
        if asked is not None:
            self._pool.on_replied(asked, self._reply)
        if self._reply.reusable and self.usable:
            self._pool.free(self)
        else:
            self.close()

    def _let_go(self) -> Asked | None:
        asked, self.asked = self.asked, None
        if asked is not None:
            asked.connection = None
        return asked


class Pool:
    """At most `connections_max` connections; requests beyond that wait, and their waiting counts as latency."""

    def __init__(
        self,
        plan: LoadPlan,
        request: bytes,
        keeps_body: bool,
        *,
        on_replied: Replied,
        on_failed: Failed,
        clock_ns: Callable[[], int],
    ) -> None:
        self.plan = plan
        self.request = request
        self.keeps_body = keeps_body
        self.on_replied = on_replied
        self.on_failed = on_failed
        self._clock_ns = clock_ns
        self._idle: deque[Connection] = deque()  # the last one used is the next one used
        self._waiting: deque[Asked] = deque()
        self._all: set[Connection] = set()
        self._tls = ssl.create_default_context() if plan.tls else None

    def send(self, asked: Asked) -> None:
        """Sends now if a connection is free or may be opened, else as soon as one is."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                connection.ask(asked)
                return
            connection.close()
        if len(self._all) < self.plan.connections_max:
            self._open(asked)
        else:
            self._waiting.append(asked)

    def give_up(self, asked: Asked) -> str:
        """Closes the connection that still works on this request; says what it was waiting for."""
        connection = cast("Connection | None", asked.connection)
        if connection is None:
            return "timeout"
        error = "connect timeout" if connection.transport is None else "timeout"
        connection.asked = asked.connection = None
        connection.close()
        return error

    def reap(self, now_ns: int) -> None:
        """Closes what was idle for too long."""
        while self._idle and now_ns - self._idle[0].idle_since_ns > IDLE_NS_MAX:
            self._idle.popleft().close()

    def close(self) -> None:
        """Closes every connection; nothing is sent any more."""
        self._waiting.clear()
        for connection in tuple(self._all):
            connection.asked = None
            connection.close()

    def free(self, connection: Connection) -> None:
        """The connection has answered and may be used again."""
        asked = self._next_waiting()
        if asked is not None:
            connection.ask(asked)
            return
        connection.idle_since_ns = self._clock_ns()
        self._idle.append(connection)

    def closed(self, connection: Connection) -> None:
        """The connection is gone: its place is free."""
        self._all.discard(connection)
        if len(self._all) < self.plan.connections_max:
            asked = self._next_waiting()
            if asked is not None:
                self._open(asked)

    def _next_waiting(self) -> Asked | None:
        while self._waiting:
            asked = self._waiting.popleft()
            if asked.open:  # else it was decided while it waited: sending it now would be load nobody counts
                return asked
        return None

    def _open(self, asked: Asked) -> None:
        connection = Connection(self, asked)
        asked.connection = connection
        self._all.add(connection)
        connection.connecting = asyncio.get_running_loop().create_task(self._connect(connection))

    async def _connect(self, connection: Connection) -> None:
        plan = self.plan
        tls: dict[str, Any] = {"ssl": self._tls, "server_hostname": plan.host} if self._tls else {}
        try:
            await asyncio.get_running_loop().create_connection(lambda: connection, plan.host, plan.port, **tls)
        except (OSError, UnicodeError) as why:
            connection.failed(error_of(why))
        else:
            connection.connecting = None


_BY_ERRNO = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.ECONNABORTED: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "connect timeout",
}


def error_of(why: Exception) -> str:
    """The class of a connection's end."""
    if isinstance(why, ssl.SSLError):
        return "tls"
    if isinstance(why, socket.gaierror | UnicodeError):
        return "unresolved"
    if isinstance(why, OSError):
        if f"[Errno {errno.ECONNREFUSED}]" in str(why):  # several addresses were tried
            return "refused"
        return _BY_ERRNO.get(why.errno or 0, "unreachable")
    return "reset"
