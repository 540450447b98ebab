"""How a toxic goes away, whatever that takes.

The ladder of `remove` is for the real server, whose control plane can deadlock: a toxic that cannot be deleted goes
away with its proxy, which is made again as it was. A trace on the server survives a crash in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chaos_runner.api import Doubt, Env, Refused, Undo
from chaos_runner.clients import toxics
from chaos_runner.clients.toxics import Proxy, Toxic
from chaos_runner.faults import _marks
from chaos_runner.faults._proxies import name_of, server, snapshot

if TYPE_CHECKING:
    from chaos_runner.clients.toxiproxy import Client

UNDO_S = 2.0
LOOK_S = 1.0  # for what others changed; a server that is slow must not delay the undo for longer


async def remove(env: Env, undo: Undo) -> None:
    """Takes the toxic named by the mark away, whatever that takes. Safe to repeat and to resume after a crash."""
    client = await server(env)
    before = await _before(client, undo)
    try:
        await client.remove_toxic(name_of(undo), undo.mark)
    except toxics.NotFound:
        pass  # the server keeps nothing over a restart: gone is as good as removed
    except toxics.Hung as hung:
        if (await client.capabilities()).embedded:
            raise  # ours does not deadlock: it is slow or stopped, and its proxy need not suffer
        await make_again(client, undo, before, str(hung))
        return
    await _finish(client, undo.mark)


async def _before(client: Client, undo: Undo) -> Proxy:
    """What the proxy is without us, as fresh as it can be read: what others changed since `prepare` is theirs.

    Once the server hangs it cannot be asked any more.
    """
    was = msgspec.convert(undo.before, Proxy)
    try:
        now = await client.proxy(name_of(undo), limit_s=LOOK_S)
    except (Refused, Doubt):
        return was
    ours = undo.mark in {toxic.name for toxic in now.toxics if _marks.is_marker(toxic)}
    enabled = was.enabled if ours else now.enabled
    return msgspec.structs.replace(msgspec.convert(snapshot(now), Proxy), enabled=enabled)


async def half_undone(env: Env, mark: str) -> bool:
    """Whether an undo died between deleting a proxy and making it again."""
    client = await server(env)
    try:
        await client.proxy(mark)
    except toxics.NotFound:
        return False
    return True


async def make_again(client: Client, undo: Undo, before: Proxy, hung: str) -> None:
    """Deletes a proxy that hangs and makes it again as it was, without us. Raises Doubt saying how far it got."""
    name = name_of(undo)
    try:
        # First the trace: a disabled proxy named by the mark whose upstream is the snapshot. A server that does not
        # even take this is frozen rather than deadlocked, and the proxy stays as it is.
        made = await _make(client, undo.mark, "127.0.0.1:0", msgspec.json.encode(before).decode())
        if made and await _thawed(client, name):
            await client.delete_proxy(undo.mark)
            raise Doubt("it answers again, and is asked again")
        if not await _delete(client, name) and made:
            await client.delete_proxy(undo.mark)  # somebody else was quicker, and it is theirs to make again
            return
        await _finish(client, undo.mark)
    except (Refused, Doubt) as why:
        raise Doubt(f"{hung}; making proxy '{name}' again from its snapshot did not finish: {why}") from None


async def _thawed(client: Client, name: str) -> bool:
    """Whether the server was only frozen: it tells of the proxy again, which it cannot do while it is deadlocked."""
    try:
        await client.proxy(name, limit_s=LOOK_S)
    except toxics.NotFound:
        return True
    except (Refused, Doubt):
        return False
    return True


async def _make(client: Client, name: str, listen: str, upstream: str) -> bool:
    """A proxy that does not listen yet; False when there is one."""
    try:
        await client.create_proxy(name, listen, upstream, enabled=False)
    except toxics.Conflict:
        return False
    return True


async def _delete(client: Client, name: str) -> bool:
    """False when there is no such proxy."""
    try:
        await client.delete_proxy(name, limit_s=UNDO_S)
    except toxics.NotFound:
        return False
    return True


async def _finish(client: Client, mark: str) -> None:
    """Makes the proxy again that the trace of this mark remembers, then removes the trace; no trace, nothing to do."""
    try:
        trace = await client.proxy(mark)
    except toxics.NotFound:
        return
    was = _remembered(trace)
    made = await _make(client, was.name, was.listen, was.upstream)
    now = await client.proxy(was.name)
    if made or _half_made(was, now):
        for toxic in was.toxics:
            if now.toxic(toxic.name) is None:
                await client.add_toxic(was.name, toxic)
        if now.enabled != was.enabled:
            await client.patch_proxy(was.name, enabled=was.enabled)
            if (await client.proxy(was.name)).enabled != was.enabled:  # read, not believed: the trace is all that knows
                raise Doubt(f"proxy '{was.name}' was set to enabled={was.enabled}, and a read says otherwise")
    await client.delete_proxy(mark)


def _half_made(was: Proxy, now: Proxy) -> bool:
    """Whether the proxy looks as an undo that died leaves it: not yet enabled, with nothing on it but its own.

    Else it is complete, was never deleted (the trace landed late), or was made by somebody else: then it is left alone.
    """
    theirs = {toxic.name for toxic in now.toxics if not _marks.marked(toxic.name)}
    return not now.enabled and now.upstream == was.upstream and theirs <= {toxic.name for toxic in was.toxics}


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
        if _marks.marked(name):
            found.append((_remembered(proxy), _marks.fence(name)))
        found += [(proxy, toxic) for toxic in proxy.toxics if _marks.marked(toxic.name)]
    return found
