"""All proxies by name: made, moved, populated, reset, deleted."""

from __future__ import annotations

from collections.abc import Callable

from chaos_runner.proxy import addresses, errors, gojson, toxics
from chaos_runner.proxy.addresses import Address
from chaos_runner.proxy.errors import AddressError, ApiError
from chaos_runner.proxy.proxy import Proxy

PROXIES_MAX = 1000


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
        self.free(wanted.name)
        at = await where(wanted.listen, "listen tcp: ") if wanted.enabled else None
        self.free(wanted.name)
        return await self.put(wanted, at)

    def free(self, name: str) -> None:
        if name in self.by_name:
            raise errors.proxy_exists()

    async def put(self, wanted: Wanted, at: Address | None) -> Proxy:
        if wanted.name not in self.by_name and len(self.by_name) >= PROXIES_MAX:
            raise errors.too_many("proxies", PROXIES_MAX)
        proxy = Proxy(wanted.name, wanted.listen, wanted.upstream, self.seed)
        # The name is taken before anything is awaited: of two that create it at once one must fail.
        sock = proxy.open(at) if at is not None else None
        self.by_name[proxy.name] = proxy
        if sock is not None:
            await proxy.serve(sock)
        return proxy

    async def update(self, proxy: Proxy, body: object, allowed: Callable[[], object] = lambda: None) -> None:
        """Moves, starts or stops the proxy; a move drops its connections and keeps its toxics.

        `allowed` raises where it may not be, and is asked after the last wait before the deed.
        """
        async with proxy.turn:
            wanted = Wanted(body, proxy)
            at = await where(wanted.listen, "")
            self.still(proxy)
            allowed()
            await self.apply(proxy, wanted, at)

    async def apply(self, proxy: Proxy, wanted: Wanted, at: Address) -> None:
        if str(at) != proxy.listen or wanted.upstream != proxy.upstream:
            proxy.stop()
            proxy.listen, proxy.upstream = wanted.listen, wanted.upstream
        if not wanted.enabled:
            proxy.stop()
        elif not proxy.enabled:
            await proxy.serve(proxy.open(at))

    def still(self, proxy: Proxy) -> None:
        """A 404 when the proxy was deleted or replaced while the caller waited."""
        if self.by_name.get(proxy.name) is not proxy:
            raise errors.proxy_not_found()

    async def enable(self, proxy: Proxy, enabled: bool) -> None:
        """Starts or stops the proxy where it is."""
        async with proxy.turn:
            if not enabled:
                proxy.stop()
            elif not proxy.enabled:
                at = await where(proxy.listen, "")
                self.still(proxy)
                await proxy.serve(proxy.open(at))

    async def populate(self, wanted: list[Wanted], made: list[Proxy]) -> None:
        """Makes or replaces each in turn and adds it to `made`; an unchanged one is left alone, toxics and all."""
        for one in wanted:
            at = await self.place(one)
            old = self.by_name.get(one.name)
            if old is not None and (old.listen, old.upstream) == (str(at), one.upstream):
                made.append(old)
                continue
            if old is not None:
                old.stop()
            made.append(await self.put(one, at if one.enabled else None))

    async def place(self, wanted: Wanted) -> Address | None:
        """Where it will listen. One that is new and disabled keeps any text, so nobody looks."""
        known = wanted.name in self.by_name
        return await where(wanted.listen, "" if known else "listen tcp: ") if known or wanted.enabled else None

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
