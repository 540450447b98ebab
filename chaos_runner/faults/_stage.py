"""An HTTP stage behind a proxy of a real Toxiproxy: put there, seen, taken away; what it needs lies on that server.

On the server a stage has three things: a toxic that does nothing and says whose the proxy is, a disabled proxy (the
trace) that remembers the whole undo, and for a moment a proxy through which it is tried whether the stage is reached.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from chaos_runner.api import Doubt, Env, Refused, Undo
from chaos_runner.clients import toxics
from chaos_runner.clients.toxics import Proxy
from chaos_runner.environment import Environment, Toxiproxy
from chaos_runner.faults import _marks, _proxies, _removal
from chaos_runner.faults._proxies import name_of, server

if TYPE_CHECKING:
    from chaos_runner.clients.stages import Stage
    from chaos_runner.clients.toxiproxy import Client

_STARTED = itertools.count()
TRACE, TRIAL = ".stage", ".trial"
REACH_S = 1.0
LOOK_S = 0.05
ANSWER_S = 1.5  # for the stage, which is on this machine; a lease call leaves the rest to leading the proxy back


async def wanted(env: Env) -> bool:
    """Whether requests are reached through a stage here: a real Toxiproxy, and an operator who allows it."""
    settings = env.environment.toxiproxy
    if settings is None or not settings.http_stage:
        return False
    return not (await (await server(env)).capabilities()).embedded


async def begun(env: Env, proxy: Proxy, mark: str) -> dict[str, Any]:
    """A stage that would stand behind the proxy, as the undo keeps it; nothing leads to it yet.

    It ends with the connections of `env`, unless it has a lease by then.
    """
    from chaos_runner.clients import stages

    settings = env.environment.toxiproxy
    assert settings is not None
    order = stages.Order(
        toxiproxy=settings.url,
        token=env.secret(settings.token) if settings.token else "",
        proxy=proxy.name,
        upstream=proxy.upstream,
        host=settings.http_stage,
        mark=mark,
    )
    async with contextlib.AsyncExitStack() as starting:
        # Not while opening a connection: nobody else's, and no lease, waits for a process to start.
        stage = await starting.enter_async_context(stages.started(order))
        kept = starting.pop_all()

    async def opener(_: Env) -> contextlib.AbstractAsyncContextManager[object]:
        return kept

    await env.opened(f"stage {next(_STARTED)} of {mark}", opener)
    made: dict[str, Any] = msgspec.to_builtins(stage)
    return made


def staged(undo: Undo) -> bool:
    """Whether this undo speaks of a proxy that is led through a stage."""
    return "stage" in undo.before


def of(undo: Undo) -> Stage:
    """The stage that the undo speaks of."""
    from chaos_runner.clients import stages

    return msgspec.convert(undo.before.get("stage", {}), stages.Stage)


async def inside(env: Env, undo: Undo) -> tuple[Env, Undo]:
    """The stage as an environment of its own, whose Toxiproxy it is; and the undo as it is there."""
    stage = of(undo)
    if not stage.known:
        raise Refused(f"it is not known where the HTTP stage of {undo.target.key} is")
    settings = Environment(toxiproxy=Toxiproxy(url=stage.control))

    async def opener(_: Env) -> contextlib.AbstractAsyncContextManager[Env]:
        return _kept(Env(env.name, settings))

    there = await env.opened(f"stage {stage.control}", opener)
    before = {key: value for key, value in undo.before.items() if key != "stage"}
    return there, msgspec.structs.replace(undo, before=before | {"listen": stage.listen, "toxics": []})


@contextlib.asynccontextmanager
async def _kept(env: Env) -> AsyncIterator[Env]:
    try:
        yield env
    finally:
        await env.aclose()


async def put_in(env: Env, undo: Undo) -> None:
    """Leads the proxy through its stage. Raises Refused only while it led past it, with all marks gone again."""
    from chaos_runner.clients import stages

    client, name = await server(env), name_of(undo)
    await client.add_toxic(name, _marks.stage(undo.mark))
    try:
        await _reached(env, client, undo)
        await client.create_proxy(undo.mark + TRACE, "127.0.0.1:0", msgspec.json.encode(undo).decode(), enabled=False)
        enabled = (await _unchanged(env, client, undo)).enabled
    except Refused as why:
        await _withdrawn(env, undo, str(why))
        raise
    try:
        await stages.move(client, name, of(undo).listen, enabled=enabled)
    except Refused as why:
        raise Doubt(f"{undo.target.key} could not be led through its HTTP stage: {why}") from None


async def _withdrawn(env: Env, undo: Undo, why: str) -> None:
    try:
        await take_out(env, undo)
    except (Refused, Doubt) as trouble:
        raise Doubt(f"{why}; and what was there already could not be taken away: {trouble}") from None


async def _unchanged(env: Env, client: Client, undo: Undo) -> Proxy:
    """The proxy, just before it is led away. Raises Refused where somebody else changed it or came to it meanwhile."""
    await _proxies.check_alone(env, undo)
    proxy = await client.proxy(name_of(undo))
    if proxy.upstream != undo.before["upstream"] or not proxy.enabled:
        raise Refused(f"{undo.target.key} was changed meanwhile {_proxies.drift(undo, proxy)}")
    return proxy


async def _reached(env: Env, client: Client, undo: Undo) -> None:
    """Tries whether the Toxiproxy reaches the stage, through a proxy that nobody uses. Raises Refused where not."""
    stage, trial = of(undo), undo.mark + TRIAL
    host = str(undo.before["listen"]).rpartition(":")[0]
    made = await client.create_proxy(trial, f"{host}:0", stage.listen)
    try:
        address = _proxies.front(env, made.listen)
        if address is None or not await _came_through(env, undo, *address):
            raise Refused(
                f"it could not be shown that the Toxiproxy reaches an HTTP stage at {stage.listen}: a connection"
                f" through {made.listen} did not arrive; `http_stage` is this machine's address as that server sees it"
            )
    finally:
        with anyio.CancelScope(shield=True), contextlib.suppress(toxics.NotFound):
            await client.delete_proxy(trial, limit_s=REACH_S)


async def _came_through(env: Env, undo: Undo, host: str, port: int) -> bool:
    there, _ = await inside(env, undo)
    with anyio.move_on_after(REACH_S):
        try:
            stream = await anyio.connect_tcp(host, port)
        except OSError:
            return False
        async with stream:
            while True:
                counters = await _proxies.counted(there, name_of(undo))
                if counters is not None and counters.connections:
                    return True
                await anyio.sleep(LOOK_S)
    return False


async def take_out(env: Env, undo: Undo) -> None:
    """Leads the proxy back and takes all marks away, whatever that takes. Safe to repeat, in any process.

    An upstream that is not the stage's is somebody else's, and stays.
    """
    client = await server(env)
    try:
        await lead_past(env, undo)
    except toxics.NotFound:
        pass  # deleted by somebody else: `observe` says so
    except toxics.Hung as hung:
        await _removal.make_again(client, undo, msgspec.convert(undo.before, Proxy), str(hung))
    await _removal.remove(env, undo)
    for trace in (TRIAL, TRACE):  # last what remembers the most
        with contextlib.suppress(toxics.NotFound):
            await client.delete_proxy(undo.mark + trace, limit_s=_removal.UNDO_S)


async def lead_past(env: Env, undo: Undo) -> None:
    """Leads the proxy back to where it led, if it leads to the stage. Raises NotFound."""
    from chaos_runner.clients import stages

    was = msgspec.convert(undo.before, Proxy)
    await stages.put_back(await server(env), name_of(undo), of(undo).listen, was.upstream)


async def leftovers(env: Env) -> tuple[list[Undo], list[tuple[Proxy, str]]]:
    """Every undo that a trace remembers; and every proxy with a stage's mark that has no trace, so led nowhere yet."""
    proxies = await (await server(env)).proxies()
    undos = [undo for name, proxy in sorted(proxies.items()) if (undo := _remembered(name, proxy)) is not None]
    traced = {undo.mark for undo in undos}
    bare = [
        (proxy, toxic.name)
        for _, proxy in sorted(proxies.items())
        for toxic in proxy.toxics
        if _marks.is_stage(toxic) and toxic.name not in traced
    ]
    return undos, bare


def _remembered(name: str, proxy: Proxy) -> Undo | None:
    mark = name.removesuffix(TRACE)
    if mark == name or not _marks.marked(mark):
        return None
    try:
        undo = msgspec.json.decode(proxy.upstream, type=Undo)
    except msgspec.DecodeError:
        raise Refused(f"the trace '{name}' is not readable: {proxy.upstream[:120]!r}") from None
    if undo.mark != mark:
        raise Refused(f"the trace '{name}' speaks of another mark, {undo.mark}")
    return undo
