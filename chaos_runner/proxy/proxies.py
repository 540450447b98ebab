"""Proxies: a listener each, the dial beside it, and the toxics that its connections obey."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from chaos_runner.proxy import addresses, errors, gojson, toxics
from chaos_runner.proxy.addresses import Address
from chaos_runner.proxy.counters import FlowCount, ToxicCounts
from chaos_runner.proxy.errors import AddressError, ApiError
from chaos_runner.proxy.link import Connection, Link, Side
from chaos_runner.proxy.toxics import Toxic

DIAL_LIMIT_S = 10.0
CONNECTIONS_MAX = 20_000
TOXICS_MAX = 1000
PROXIES_MAX = 1000


class Proxy:
    """One listener in front of one upstream."""

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
        self.connections: set[Connection] = set()
        self.server: asyncio.Server | None = None

    async def start(self, at: Address) -> None:
        """Listens; an ApiError when the address cannot be had, and then nothing has changed."""
        if self.enabled:
            return
        sock, real = addresses.listen(at)
        self.enabled, self.listen = True, str(real)
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
        self.connections.add(connection)
        if not self.enabled or len(self.connections) > CONNECTIONS_MAX:
            connection.abort()
        else:
            connection.dial = asyncio.get_running_loop().create_task(self.dial(connection))

    async def dial(self, connection: Connection) -> None:
        """Connects to the upstream or closes the client."""
        try:
            host, port = addresses.split(self.upstream)
            async with asyncio.timeout(DIAL_LIMIT_S):
                await connection.loop.create_connection(lambda: connection.server, host or "localhost", port)
        except (OSError, UnicodeError, AddressError):
            connection.dial = None
            connection.close()
            return
        connection.dial = None
        addresses.keep_alive(connection.server.transport.get_extra_info("socket"))
        if connection.client.connected:
            connection.joined()
        else:
            connection.abort()

    def ended_one(self, connection: Connection) -> None:
        self.connections.discard(connection)

    def chain(self, upstream: bool) -> list[Toxic]:
        return [toxic for toxic in self.toxics if toxic.upstream is upstream]

    def toxic(self, name: str) -> Toxic:
        for toxic in self.toxics:
            if toxic.name == name:
                return toxic
        raise errors.toxic_not_found()

    def has_toxic(self, name: str) -> bool:
        return any(toxic.name == name for toxic in self.toxics)

    def add_toxic(self, name: str, kind: str, stream: str, *, toxicity: float, attributes: dict[str, int]) -> Toxic:
        """Appends a toxic to its direction's chain, on live connections too."""
        if len(self.toxics) >= TOXICS_MAX:
            raise errors.too_many("toxics on this proxy", TOXICS_MAX)
        count = self.counts.open(name, {toxic.name for toxic in self.toxics})
        toxic = Toxic(name, kind, stream, toxicity=toxicity, attributes=attributes, count=count)
        self.toxics.append(toxic)
        self.rebuild(toxic.upstream)
        return toxic

    def update_toxic(self, toxic: Toxic, toxicity: float, attributes: dict[str, int]) -> None:
        toxic.toxicity, toxic.attributes = toxicity, attributes
        for link in self.links(toxic.upstream):
            link.change(toxic)
        self.rebuild(toxic.upstream)

    def remove_toxics(self, which: Callable[[Toxic], bool]) -> int:
        """Removes every such toxic and says how many there were; what they held flows on."""
        leaving = [toxic for toxic in self.toxics if which(toxic)]
        for toxic in leaving:
            toxic.gone = True
            self.toxics.remove(toxic)
        for upstream in {toxic.upstream for toxic in leaving}:
            self.rebuild(upstream)
        return len(leaving)

    def rebuild(self, upstream: bool) -> None:
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
        return [toxic.body() for toxic in self.chain(True) + self.chain(False)]

    def counters_body(self) -> dict[str, object]:
        up, down = self.flows[True], self.flows[False]
        return {
            "connections": self.accepted,
            "open": len(self.connections),
            "bytes": {"upstream": up.read, "downstream": down.read},
            "payload_streams": {"upstream": up.streams, "downstream": down.streams},
            "toxics": self.counts.body(),
        }


class Wanted:
    """A proxy as a request body describes it."""

    def __init__(self, body: object, like: Proxy | None = None) -> None:
        """Reads the body; what it leaves out is as in `like`, else Toxiproxy's default."""
        fields = gojson.an_object(body, "toxiproxy.Proxy")
        self.name = gojson.text_field(fields, "name", like.name if like else "", "Proxy")
        self.listen = gojson.text_field(fields, "listen", like.listen if like else "", "Proxy")
        self.upstream = gojson.text_field(fields, "upstream", like.upstream if like else "", "Proxy")
        self.enabled = gojson.bool_field(fields, "enabled", like.enabled if like else True, "Proxy")

    def complete(self, position: int | None = None) -> None:
        """A 400 that names the first required field that is empty."""
        for field, value in (("name", self.name), ("upstream", self.upstream)):
            if not value:
                raise errors.missing(field, position)


class Proxies:
    """All proxies by name."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.by_name: dict[str, Proxy] = {}

    def get(self, name: str) -> Proxy:
        if name not in self.by_name:
            raise errors.proxy_not_found()
        return self.by_name[name]

    def sorted(self) -> list[Proxy]:
        return [self.by_name[name] for name in sorted(self.by_name)]

    async def create(self, wanted: Wanted) -> Proxy:
        """Makes a proxy, listening if enabled; nothing is kept when it cannot listen."""
        at = await where(wanted.listen, "listen tcp: ") if wanted.enabled else None
        if wanted.name in self.by_name:
            raise errors.proxy_exists()
        return await self.put(wanted, at)

    async def put(self, wanted: Wanted, at: Address | None) -> Proxy:
        if wanted.name not in self.by_name and len(self.by_name) >= PROXIES_MAX:
            raise errors.too_many("proxies", PROXIES_MAX)
        proxy = Proxy(wanted.name, wanted.listen, wanted.upstream, self.seed)
        if at is not None:
            await proxy.start(at)
        self.by_name[proxy.name] = proxy
        return proxy

    async def update(self, proxy: Proxy, wanted: Wanted) -> None:
        """Moves, starts or stops the proxy; a move drops its connections and keeps its toxics."""
        at = await where(wanted.listen, "")
        if self.by_name.get(proxy.name) is not proxy:
            raise errors.proxy_not_found()
        if str(at) != proxy.listen or wanted.upstream != proxy.upstream:
            proxy.stop()
            proxy.listen, proxy.upstream = wanted.listen, wanted.upstream
        if not wanted.enabled:
            proxy.stop()
        elif not proxy.enabled:
            await proxy.start(at)

    async def enable(self, proxy: Proxy, enabled: bool) -> None:
        """Starts or stops the proxy where it is."""
        if not enabled:
            proxy.stop()
        elif not proxy.enabled:
            at = await where(proxy.listen, "")
            if self.by_name.get(proxy.name) is proxy:
                await proxy.start(at)

    async def populate(self, wanted: list[Wanted], made: list[Proxy]) -> None:
        """Makes or replaces each in turn and adds it to `made`; an unchanged one is left alone, toxics and all."""
        for one in wanted:
            at = await where(one.listen, "listen tcp: ")
            old = self.by_name.get(one.name)
            if old is not None and (old.listen, old.upstream) == (str(at), one.upstream):
                made.append(old)
                continue
            if old is not None:
                old.stop()
            made.append(await self.put(one, at if one.enabled else None))

    def delete(self, name: str) -> None:
        self.get(name).stop()
        del self.by_name[name]

    async def reset(self) -> None:
        """Removes all toxics and starts all proxies; one that cannot start does not keep the others from it."""
        failed: ApiError | None = None
        for proxy in self.sorted():
            proxy.remove_toxics(lambda _: True)
        for proxy in self.sorted():
            try:
                await self.enable(proxy, True)
            except ApiError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def remove_toxics_of(self, run: str) -> int:
        """Removes a run's toxics from all proxies and says how many there were."""
        ours = [proxy.remove_toxics(lambda toxic: toxics.belongs_to(run, toxic.name)) for proxy in self.sorted()]
        return sum(ours)

    def stop(self) -> None:
        for proxy in self.by_name.values():
            proxy.stop()


async def where(listen: str, prefix: str) -> Address:
    try:
        return await addresses.resolve(listen)
    except AddressError as error:
        raise ApiError(500, f"{prefix}{error}") from None
