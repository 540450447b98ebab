"""One proxy: its listener, the dial beside it, and the toxics that its connections obey."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection

from chaos_runner.proxy import addresses, errors
from chaos_runner.proxy.addresses import Address
from chaos_runner.proxy.connection import Connection
from chaos_runner.proxy.counters import FlowCount, ToxicCounts
from chaos_runner.proxy.link import Link
from chaos_runner.proxy.side import Side
from chaos_runner.proxy.toxics import Settings, Toxic

CONNECTIONS_MAX = 20_000
TOXICS_MAX = 1000


class Proxy:
    """One listener in front of one upstream."""

    dial_limit_s = 10.0

    def __init__(self, name: str, listen: str, upstream: str, seed: int) -> None:
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.seed = seed
        self.enabled = False
        self.toxics: list[Toxic] = []
        self.counts = ToxicCounts()
        self.flows = {True: FlowCount(), False: FlowCount()}
        self.accepted = 0
        self.connections: dict[Connection, None] = {}  # in the order they came: a cap hits the oldest
        self.server: asyncio.Server | None = None
        # Updates that have to look up a name wait for each other, and nothing else waits for them.
        self.turn = asyncio.Lock()

    def open(self, at: Address) -> socket.socket:
        """Listens; an ApiError when the address cannot be had, and then nothing has changed."""
        sock, real = addresses.listen(at)
        self.enabled, self.listen = True, str(real)
        return sock

    async def serve(self, sock: socket.socket) -> None:
        """Begins to accept; who connected since `open` has waited in the backlog."""
        server = await asyncio.get_running_loop().create_server(self.accept, sock=sock, backlog=addresses.BACKLOG)
        if self.server is not None or not self.enabled:
            # Somebody stopped the proxy while this call was under way.
            server.close()
        else:
            self.server = server

    def stop(self) -> None:
        """Refuses new connections and closes the live ones at once; harmless when stopped."""
        self.enabled = False
        if self.server is not None:
            self.server.close()
            self.server = None
        for connection in list(self.connections):
            connection.abort()

    def accept(self) -> Side:
        number, self.accepted = self.accepted, self.accepted + 1
        return Connection(self, number).client

    def accepted_one(self, connection: Connection) -> None:
        """Dials the upstream for a new client, beside the accept loop."""
        self.connections[connection] = None
        if not self.enabled or len(self.connections) > CONNECTIONS_MAX:
            connection.abort()
        else:
            connection.dial = asyncio.get_running_loop().create_task(self.dial(connection))

    async def dial(self, connection: Connection) -> None:
        """Connects to the upstream or closes the client."""
        try:
            await self.connect(connection)
        except (OSError, ValueError):
            connection.dial = None
            connection.close()
            return
        connection.dial = None
        addresses.keep_alive(connection.server.transport.get_extra_info("socket"))
        if connection.client.connected:
            connection.joined()
        else:
            connection.abort()

    async def connect(self, connection: Connection) -> None:
        """Dials, within the limit; who ends it early leaves no half of a connection behind."""
        server = connection.server
        try:
            host, port = addresses.split(self.upstream)
            async with asyncio.timeout(self.dial_limit_s):
                await connection.loop.create_connection(lambda: server, host or "localhost", port)
        except BaseException:
            # Cut short as it succeeds, uvloop closes the socket and tells nobody.
            if server.connected:
                server.connection_lost(None)
            raise

    def ended_one(self, connection: Connection) -> None:
        self.connections.pop(connection, None)

    def chain(self, upstream: bool) -> list[Toxic]:
        return [toxic for toxic in self.toxics if toxic.upstream is upstream and toxic.http is None]

    def toxic(self, name: str) -> Toxic:
        for toxic in self.toxics:
            if toxic.name == name:
                return toxic
        raise errors.toxic_not_found()

    def has_toxic(self, name: str) -> bool:
        return any(toxic.name == name for toxic in self.toxics)

    def add_toxic(
        self,
        name: str,
        kind: str,
        stream: str,
        *,
        toxicity: float,
        settings: Settings,
        limited: Callable[[Toxic], object] = lambda _: None,
    ) -> Toxic:
        """Appends a toxic to its direction's chain, on live connections too; `limited` sees it before they do."""
        if len(self.toxics) >= TOXICS_MAX:
            raise errors.too_many("toxics on this proxy", TOXICS_MAX)
        count = self.counts.open(name, {toxic.name for toxic in self.toxics})
        toxic = Toxic(name, kind, stream, toxicity=toxicity, settings=settings, count=count)
        self.toxics.append(toxic)
        limited(toxic)
        self.rebuild([toxic])
        return toxic

    def update_toxic(self, toxic: Toxic, toxicity: float, settings: Settings) -> None:
        toxic.toxicity = toxicity
        toxic.set(settings)
        for link in self.links(toxic.upstream):
            link.change(toxic)
        self.rebuild([toxic])

    def remove_toxics(self, which: Callable[[Toxic], bool]) -> int:
        """Removes every such toxic and says how many there were; what they held flows on."""
        leaving = [toxic for toxic in self.toxics if which(toxic)]
        for toxic in leaving:
            toxic.gone = True
            toxic.stop_clock()
            self.toxics.remove(toxic)
        self.rebuild(leaving)
        return len(leaving)

    def rebuild(self, changed: Collection[Toxic]) -> None:
        """Live connections follow, in the directions that these toxics act on; requests need both."""
        if any(toxic.http is not None for toxic in changed):
            for connection in list(self.connections):
                connection.rethink()
        for upstream in {toxic.upstream for toxic in changed if toxic.http is None}:
            chain = self.chain(upstream)
            for link in self.links(upstream):
                link.rebuild(chain)

    def links(self, upstream: bool) -> list[Link]:
        return [connection.up if upstream else connection.down for connection in self.connections]

    def body(self) -> dict[str, object]:
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "Logger": {},
            "toxics": self.toxics_body(),
        }

    def toxics_body(self) -> list[object]:
        return [toxic.body() for way in (True, False) for toxic in self.toxics if toxic.upstream is way]

    def counters_body(self) -> dict[str, object]:
        up, down = self.flows[True], self.flows[False]
        return {
            "connections": self.accepted,
            "open": len(self.connections),
            "bytes": {"upstream": up.read, "downstream": down.read},
            "reads": {"upstream": up.reads, "downstream": down.reads},
            "payload_streams": {"upstream": up.streams, "downstream": down.streams},
            "toxics": self.counts.body(),
        }
