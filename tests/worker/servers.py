"""Small servers on 127.0.0.1 that tests and the load benchmark measure: one that is exact, many that misbehave.

`python tests/worker/servers.py DELAY_S` serves a fixed delay in a process of its own and prints its port.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from typing import Self

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class FixedDelay(asyncio.Protocol):
    """Answers every request `delay_s` after it came; requests are told apart by their blank line only."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"\r\n\r\n")):
            if self._delay_s:
                self._loop.call_later(self._delay_s, self._transport.write, OK)
            else:
                self._transport.write(OK)


class Misbehaving:
    """A server whose behaviour is a coroutine per connection; counts connections and requests."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._tasks: set[asyncio.Task] = set()
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            await self._behaviour(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()


def answering(*parts: bytes | float, then: str = "keep", every: bool = True) -> Behaviour:
    """For each request sends `parts` (a number waits); `then` keeps, closes or resets the connection or hangs."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                if isinstance(part, bytes):
                    writer.write(part)
                    await writer.drain()
                else:
                    await asyncio.sleep(part)
            if then == "hang":
                await asyncio.sleep(30)
            if then == "reset":
                reset(writer)
            if then != "keep":
                return

    return behave


def reset(writer: asyncio.StreamWriter) -> None:
    """Closes with RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _main(delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: FixedDelay(delay_s), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    gone = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), gone.set)  # the end of stdin is the end of whoever measures
    await gone.wait()
    os._exit(0)


if __name__ == "__main__":
    try:
        import uvloop as _fast
    except ImportError:
        _fast = asyncio
    with asyncio.Runner(loop_factory=_fast.new_event_loop) as runner:
        runner.run(_main(float(sys.argv[1])))
