"""What the faults of proxies share: which proxies, what they were, how a toxic goes away, what others changed.

The undo ladder of `remove` is for the real server, whose control plane can deadlock: a toxic that cannot be deleted
goes away with its proxy, which is made again from what it was. A trace on the server survives a crash in between.
"""

from __future__ import annotations

import contextlib
import fnmatch
import re
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from chaos_runner import spelling
from chaos_runner.api import Doubt, Env, Refused, Undo
from chaos_runner.clients import toxics
from chaos_runner.clients.toxics import Proxy, Toxic
from chaos_runner.model import Pick, Value, Where
from chaos_runner.records import Target

if TYPE_CHECKING:
    from chaos_runner.clients.toxiproxy import Client

MARK = re.compile(r"cx\.[a-z0-9-]{1,63}\.\d+\.\d+")
PREFIX = "cx."
UNDO_S = 2.0
TRAFFIC_S = 1.0
FENCE_STREAM = "upstream"  # clients that do not read stall the downstream chain; touching it could deadlock the server


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
    proxies = {name: proxy for name, proxy in (await client.proxies()).items() if not name.startswith(PREFIX)}
    if selector.proxies:
        return tuple(target(proxies[name]) for name in sorted(fnmatch.filter(proxies, selector.proxies)))
    if selector.proxy not in proxies:
        raise Refused(f"there is no proxy '{selector.proxy}'; {_nearest(selector.proxy, sorted(proxies))}")
    return (target(proxies[selector.proxy]),)


def _nearest(name: str, known: list[str]) -> str:
    return spelling.hint(name, known) if known else "the server has no proxies"


async def current(env: Env, planned: Target) -> Proxy:
    """The proxy as it is now. Raises Refused where it is gone, or is not the one that was planned."""
    client = await server(env)
    try:
        proxy = await client.proxy(name_of(planned))
    except toxics.NotFound:
        raise Refused(f"{planned.key} is gone") from None
    if planned.uid and proxy.upstream != planned.uid:
        raise Refused(f"{planned.key} is not the one that was planned: it leads to {proxy.upstream}, not {planned.uid}")
    return proxy


def snapshot(proxy: Proxy) -> dict[str, Any]:
    """What the proxy is without us, as plain JSON."""
    foreign = tuple(toxic for toxic in proxy.toxics if not toxic.name.startswith(PREFIX))
    plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(proxy, toxics=foreign))
    return plain


def marked(name: str) -> bool:
    """Whether this is a mark of ours."""
    return MARK.fullmatch(name) is not None


def is_fence(toxic: Toxic) -> bool:
    """Whether this toxic only occupies its name."""
    return toxic.type == "noop" and toxic.toxicity == 0


def drift(undo: Undo, proxy: Proxy) -> str:
    """What others changed on the proxy since `prepare`, in words; all of it is left alone."""
    was, now = msgspec.convert(undo.before, Proxy), msgspec.convert(snapshot(proxy), Proxy)
    told = []
    if was.upstream != now.upstream:
        told.append(f"upstream changed from {was.upstream} to {now.upstream}")
    if was.enabled and now.enabled and was.listen != now.listen:
        told.append(f"listen changed from {was.listen} to {now.listen}")
    if was.enabled != now.enabled and not any(marked(toxic.name) for toxic in proxy.toxics):
        told.append("enabled again" if now.enabled else "disabled")
    before, after = ({toxic.name: toxic for toxic in one.toxics} for one in (was, now))
    told += [f"toxic {name} removed" for name in before if name not in after]
    told += [f"toxic {name} added" for name in after if name not in before]
    told += [f"toxic {name} changed" for name in before if name in after and before[name] != after[name]]
    return f"by somebody else: {', '.join(told)}" if told else ""


async def remove(env: Env, undo: Undo) -> None:
    """Takes the toxic named by the mark away, whatever that takes. Safe to repeat and to resume after a crash."""
    client = await server(env)
    try:
        await client.remove_toxic(name_of(undo), undo.mark)
    except toxics.NotFound:
        pass  # the server keeps nothing over a restart: gone is as good as removed
    except toxics.Hung as hung:
        if (await client.capabilities()).embedded:
            raise  # ours does not deadlock: it is slow or stopped, and its proxy need not suffer
        await _remove_with_proxy(client, undo, str(hung))
        return
    await _finish(client, undo.mark)


async def half_undone(env: Env, mark: str) -> bool:
    """Whether an undo died between deleting a proxy and making it again."""
    client = await server(env)
    try:
        await client.proxy(mark)
    except toxics.NotFound:
        return False
    return True


async def _remove_with_proxy(client: Client, undo: Undo, hung: str) -> None:
    """Deletes the proxy and makes it again as it was, without us. Raises Doubt saying how far it got."""
    name = name_of(undo)
    try:
        # First the trace: a disabled proxy named by the mark whose upstream is the snapshot. A server that does not
        # even take this is frozen rather than deadlocked, and the proxy stays as it is.
        await _make(client, undo.mark, "127.0.0.1:0", msgspec.json.encode(undo.before).decode())
        with contextlib.suppress(toxics.NotFound):
            await client.delete_proxy(name, limit_s=UNDO_S)
        await _finish(client, undo.mark)
    except (Refused, Doubt) as why:
        raise Doubt(f"{hung}; making proxy '{name}' again from its snapshot did not finish: {why}") from None


async def _make(client: Client, name: str, listen: str, upstream: str) -> None:
    """A proxy that does not listen yet; fine when it is there."""
    try:
        await client.create_proxy(name, listen, upstream, enabled=False)
    except toxics.Conflict:
        return


async def _finish(client: Client, mark: str) -> None:
    """Makes the proxy again that the trace of this mark remembers, then removes the trace; no trace, nothing to do."""
    try:
        trace = await client.proxy(mark)
    except toxics.NotFound:
        return
    was = _remembered(trace)
    await _make(client, was.name, was.listen, was.upstream)
    now = await client.proxy(was.name)
    if now.upstream == was.upstream:  # else somebody else made it meanwhile, and it is theirs
        for toxic in was.toxics:
            if now.toxic(toxic.name) is None:
                await client.add_toxic(was.name, toxic)
        if now.enabled != was.enabled:
            await client.patch_proxy(was.name, enabled=was.enabled)
    await client.delete_proxy(mark)


def _remembered(trace: Proxy) -> Proxy:
    try:
        return msgspec.json.decode(trace.upstream, type=Proxy)
    except msgspec.DecodeError:
        raise Refused(f"the trace '{trace.name}' is not readable: {trace.upstream[:120]!r}") from None


async def marks(env: Env) -> list[tuple[Proxy, Toxic]]:
    """Every toxic of ours on every proxy; a trace answers as the proxy that it remembers, with a fence on it."""
    client = await server(env)
    found: list[tuple[Proxy, Toxic]] = []
    for name, proxy in sorted((await client.proxies()).items()):
        if marked(name):
            found.append((_remembered(proxy), fence(name)))
        found += [(proxy, toxic) for toxic in proxy.toxics if marked(toxic.name)]
    return found


def fence(mark: str) -> Toxic:
    """A toxic that does nothing but occupy its name."""
    return Toxic(name=mark, type="noop", stream=FENCE_STREAM, toxicity=0.0)


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
