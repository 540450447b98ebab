"""The network: `python -m chaos_runner.pocket.cluster.machine.network`. Service addresses, balanced over ready pods.

It is told through stdin who is behind which address, and ends with it. A connection goes to the next pod in turn and
stays there; one to a pod that just died is reset, as it would be in a cluster.
"""

from __future__ import annotations

import asyncio
import sys

from chaos_runner import wire
from chaos_runner.pocket import lifeline
from chaos_runner.pocket.cluster.machine.messages import Behind

CONNECT_WITHIN_S = 3.0
CONNECTIONS_MAX = 4096


class Side(asyncio.Protocol):
    """One side of a connection; what it hears goes to the other, no faster than that can take it."""

    def __init__(self) -> None:
        self.other: Side | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remembers where to write."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Hands it on."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """Hands on the end of one direction, and keeps the other open."""
        far = self.other.transport if self.other is not None else None
        if far is not None and not far.is_closing() and far.can_write_eof():
            far.write_eof()
        return True

    def pause_writing(self) -> None:
        """The reader here is slow: the other is not read from for a while."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """The reader here has caught up."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """One side gone, both gone."""
        self.transport = None
        far = self.other.transport if self.other is not None else None
        if far is not None:
            far.close() if exc is None else far.abort()


class Client(Side):
    """Somebody who called a Service."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self._service = service
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Finds a pod for it; nothing is read before there is one."""
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()
        self._service.clients.add(self)
        self._task = asyncio.create_task(self._connect())

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets it."""
        self._service.clients.discard(self)
        if self._task is not None:
            self._task.cancel()
        super().connection_lost(exc)

    async def _connect(self) -> None:
        pod = self._service.next_pod()
        try:
            if pod is None or len(self._service.clients) > CONNECTIONS_MAX:
                raise ConnectionRefusedError("no pod is ready")
            host, _, port = pod.rpartition(":")
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(CONNECT_WITHIN_S):
                _, side = await loop.create_connection(Side, host, int(port))
        except OSError:
            if self.transport is not None:
                self.transport.abort()
            return
        self.other, side.other = side, self
        if self.transport is not None:
            self.transport.resume_reading()
        elif side.transport is not None:
            side.transport.abort()


class Service:
    """One address and the pods behind it."""

    def __init__(self) -> None:
        self.pods: tuple[str, ...] = ()
        self.clients: set[Client] = set()
        self._turn = 0
        self._server: asyncio.Server | None = None

    async def listen(self, address: str) -> None:
        """Takes calls."""
        host, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Client(self), host, int(port), backlog=1024)

    def next_pod(self) -> str | None:
        """The pod whose turn it is."""
        self._turn += 1
        return self.pods[self._turn % len(self.pods)] if self.pods else None

    def close(self) -> None:
        """Takes no calls any more; those under way go on."""
        if self._server is not None:
            self._server.close()


class Network(asyncio.Protocol):
    """All Services, as the last message said."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self._lines = wire.Lines(Behind)
        self._services: dict[str, Service] = {}
        self._wanted: dict[str, tuple[str, ...]] = {}
        self._changed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """Takes note of who is behind what; the newest message counts."""
        for message in self._lines.feed(data):
            self._wanted = message.services
            self._changed.set()
        for address, service in self._services.items():
            service.pods = self._wanted.get(address, ())

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is left to say who is behind what."""
        self.ended.set()

    async def follow(self) -> None:
        """Opens and closes addresses, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            for address in self._services.keys() - self._wanted.keys():
                self._services.pop(address).close()
            for address in self._wanted.keys() - self._services.keys():
                await self._open(address)

    async def _open(self, address: str) -> None:
        service = self._services[address] = Service()
        service.pods = self._wanted.get(address, ())
        try:
            await service.listen(address)
        except OSError as why:
            sys.stderr.write(f"the Service address {address} cannot be used: {why}\n")


async def serve() -> None:
    """Balances until stdin ends or a signal comes."""
    asked = await lifeline.end_asked(until_eof=False)
    network = Network()
    await asyncio.get_running_loop().connect_read_pipe(lambda: network, sys.stdin)
    following = asyncio.create_task(network.follow())
    waiting = [asyncio.create_task(event.wait()) for event in (asked, network.ended)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in (*waiting, following):
        task.cancel()


if __name__ == "__main__":
    asyncio.run(serve())
