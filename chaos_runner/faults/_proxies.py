"""What the faults of proxies share: which proxies, whose they are, what others changed, counters and leases."""

from __future__ import annotations

import fnmatch
import time
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from chaos_runner import spelling
from chaos_runner.api import Doubt, Env, Refused, Undo
from chaos_runner.clients import toxics
from chaos_runner.clients.toxics import Proxy
from chaos_runner.faults import _marks
from chaos_runner.model import Pick, Value, Where
from chaos_runner.records import Target

if TYPE_CHECKING:
    from chaos_runner.clients.toxiproxy import Client

TRAFFIC_S = 1.0
WILDCARDS = frozenset({"", "::", "0.0.0.0"})  # noqa: S104 -- read, never bound


async def server(env: Env) -> Client:
    """The client of the environment's Toxiproxy; imported only now, so that a fault's name costs no client."""
    from chaos_runner.clients import toxiproxy

    return await toxiproxy.open_client(env)


def endpoint(env: Env) -> str:
    """The address of the environment's Toxiproxy, if it has one."""
    settings = env.environment.toxiproxy
    return settings.url if settings else ""


async def reach(env: Env) -> None:
    """One read, with the token that every undo uses."""
    await (await server(env)).proxies()


class ProxySelector(Value, frozen=True, kw_only=True):
    """One proxy by its name, or some of those that a pattern matches."""

    proxy: Annotated[str, Meta(description="the name of one proxy", max_length=500)] = ""
    proxies: Annotated[str, Meta(description="a pattern of names, such as pay*", max_length=500)] = ""
    pick: Annotated[Pick, Meta(description="how many of the matching ones: a number, or a share such as 25%")] = Pick(
        number=1
    )

    @property
    def named(self) -> bool:
        """Whether it is one proxy by its name, of which there is no share to take."""
        return bool(self.proxy)

    def problems(self) -> Any:
        """Mistakes that need more than one field to see."""
        if bool(self.proxy) == bool(self.proxies):
            found: Where = ((), "name one proxy with `proxy:`, or several with a pattern in `proxies:`")
            yield found


def target(proxy: Proxy) -> Target:
    """The proxy as a target; its upstream tells it from another one made later under its name."""
    return Target(key=f"proxy/{proxy.name}", uid=proxy.upstream)


def name_of(undo_or_target: Undo | Target) -> str:
    """The proxy's name."""
    one = undo_or_target.target if isinstance(undo_or_target, Undo) else undo_or_target
    return one.key.removeprefix("proxy/")


async def matching(env: Env, selector: ProxySelector) -> tuple[Target, ...]:
    """The proxies that a selector means, by name. Raises Refused for a name that does not exist."""
    client = await server(env)
    proxies = {name: proxy for name, proxy in (await client.proxies()).items() if not name.startswith(_marks.PREFIX)}
    if selector.proxies:
        return tuple(target(proxies[name]) for name in sorted(fnmatch.filter(proxies, selector.proxies)))
    if selector.proxy not in proxies:
        raise Refused(f"there is no proxy '{selector.proxy}'; {_nearest(selector.proxy, sorted(proxies))}")
    return (target(proxies[selector.proxy]),)


def _nearest(name: str, known: list[str]) -> str:
    return spelling.hint(name, known) if known else "the server has no proxies"


async def current(env: Env, planned: Target) -> Proxy:
    """The proxy as it is now. Raises Refused where it is gone, or is not the one that was planned."""
    return _as_planned(await _present(env, planned), planned)


async def _present(env: Env, planned: Target) -> Proxy:
    client = await server(env)
    try:
        return await client.proxy(name_of(planned))
    except toxics.NotFound:
        raise Refused(f"{planned.key} is gone") from None


def _as_planned(proxy: Proxy, planned: Target) -> Proxy:
    if planned.uid and proxy.upstream != planned.uid:
        raise Refused(f"{planned.key} is not the one that was planned: it leads to {proxy.upstream}, not {planned.uid}")
    return proxy


async def unclaimed(env: Env, planned: Target, mark: str) -> Proxy:
    """The proxy as it is now, which no other run holds. Raises Refused naming the one that does."""
    proxy = await _present(env, planned)
    if held := _marks.held(proxy, mark, time.time(), env.name):
        raise Refused(held)
    if any(_marks.is_stage(toxic) for toxic in proxy.toxics):
        raise Refused(f"{planned.key} is led through an HTTP stage, which has a proxy to itself")
    return _as_planned(proxy, planned)


async def check_alone(env: Env, undo: Undo) -> None:
    """Raises Doubt where another run came to the proxy at the same instant: its mark is read back beside ours."""
    client = await server(env)
    try:
        proxy = await client.proxy(name_of(undo))
    except Refused as why:
        raise Doubt(f"{undo.target.key} could not be read back: {why}") from None
    if held := _marks.held(proxy, undo.mark, time.time(), env.name):
        raise Doubt(f"two runs came at the same time: {held}")


async def found(client: Client, undo: Undo) -> Proxy | None:
    """The proxy as it is now, if there is one."""
    try:
        return await client.proxy(name_of(undo))
    except toxics.NotFound:
        return None


def front(env: Env, listen: str) -> tuple[str, int] | None:
    """Where a proxy that listens there is, as seen from here; None where that cannot be told."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    settings = env.environment.toxiproxy
    server = urlsplit(settings.url).hostname or "" if settings else ""
    if not port.isdigit() or (_loopback(host) and not _loopback(server)):
        return None
    return (server if host in WILDCARDS else host), int(port)


def _loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


def snapshot(proxy: Proxy) -> dict[str, Any]:
    """What the proxy is without us, as plain JSON."""
    foreign = tuple(toxic for toxic in proxy.toxics if not _marks.marked(toxic.name))
    plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(proxy, toxics=foreign))
    return plain


def drift(undo: Undo, proxy: Proxy) -> str:
    """What others changed on the proxy since `prepare`, in words; all of it is left alone."""
    was, now = msgspec.convert(undo.before, Proxy), msgspec.convert(snapshot(proxy), Proxy)
    told = []
    if was.upstream != now.upstream:
        told.append(f"upstream changed from {was.upstream} to {now.upstream}")
    if was.enabled and now.enabled and was.listen != now.listen:
        told.append(f"listen changed from {was.listen} to {now.listen}")
    if was.enabled != now.enabled and not any(_marks.is_marker(toxic) for toxic in proxy.toxics):
        told.append("enabled again" if now.enabled else "disabled")
    before, after = ({toxic.name: toxic for toxic in one.toxics} for one in (was, now))
    told += [f"toxic {name} removed" for name in before if name not in after]
    told += [f"toxic {name} added" for name in after if name not in before]
    told += [f"toxic {name} changed" for name in before if name in after and before[name] != after[name]]
    return f"by somebody else: {', '.join(told)}" if told else ""


async def counted(env: Env, name: str) -> toxics.ProxyCounters | None:
    """The proxy's live counters; None where the server has none (the real one), or they cannot be read now."""
    client = await server(env)
    try:
        if not (await client.capabilities()).has("counters"):
            return None
        return (await client.counters()).proxies.get(name, toxics.ProxyCounters())
    except (Refused, Doubt):
        return None


async def traffic(env: Env, name: str) -> dict[str, float]:
    """How often clients spoke through the proxy, measured over a second; nothing where there are no counters."""
    import anyio

    first = await counted(env, name)
    if first is None or first.reads is None:
        return {}
    began = anyio.current_time()
    await anyio.sleep(TRAFFIC_S)
    then = await counted(env, name)
    if then is None or then.reads is None:
        return {}
    return {"exchanges_per_s": round((then.reads.upstream - first.reads.upstream) / (anyio.current_time() - began), 1)}


async def leasable(env: Env) -> bool:
    """Whether the server knows leases."""
    client = await server(env)
    return (await client.capabilities()).has("leases")


async def lease(env: Env, undo: Undo, ttl_s: float, restore: dict[str, bool] | None = None) -> bool:
    """Makes or renews the run's lease; False where the server knows no leases."""
    client = await server(env)
    if not await leasable(env):
        return False
    await client.lease(undo.run, ttl_s, restore)
    return True


async def leased(env: Env, undo: Undo) -> bool:
    """Whether the run's lease is alive; False where the server knows no leases."""
    client = await server(env)
    return await leasable(env) and await client.leased(undo.run)


async def release(env: Env, undo: Undo) -> None:
    """Ends the run's lease; safe to repeat, and where there are no leases."""
    client = await server(env)
    if await leasable(env):
        await client.release(undo.run)
