"""A proxy that is down: new connections are refused, live ones are closed."""

from __future__ import annotations

import contextlib
from typing import ClassVar

import anyio
import msgspec

from chaos_runner.api import Absent, Doubt, Drifted, Env, Observation, Present, Proof, Refused, Rights, Undo, Unreadable
from chaos_runner.clients import toxics
from chaos_runner.faults import _marks, _proxies, _removal
from chaos_runner.records import Target

CONNECT_S = 1.0


class ProxyDown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Disables a proxy, as if the service behind it were down, and enables it again.

    Needs Toxiproxy, the real one or the embedded one. Has no fields of its own: `with:` may be left out.
    """

    kind: ClassVar[str] = "proxy_down"
    version: ClassVar[int] = 1
    reversible: ClassVar[bool] = True
    selector: ClassVar[type[msgspec.Struct]] = _proxies.ProxySelector

    def aspect(self) -> str:
        """The place on a proxy that this occupies."""
        return "enabled"

    async def targets(self, env: Env, selector: _proxies.ProxySelector) -> tuple[Target, ...]:
        """The proxies that match, by name."""
        return await _proxies.matching(env, selector)

    async def rights(self, env: Env, target: Target) -> Rights:
        """Toxiproxy lets everybody do everything who may read: one read shows both."""
        await _proxies.current(env, target)
        return Rights()

    async def prepare(self, env: Env, target: Target, mark: str) -> Undo:
        """The proxy as it is. Raises Refused where another run holds it, or it is down already."""
        proxy = await _proxies.unclaimed(env, target, mark)
        if not proxy.enabled:
            raise Refused(f"{target.key} is already disabled")
        for other in proxy.toxics:
            if _marks.is_marker(other):
                raise Refused(f"{target.key} already carries {other.name} at enabled; see: chaos-runner recover")
        return Undo(
            kind=self.kind,
            version=self.version,
            mark=mark,
            target=target,
            params={},
            before=_proxies.snapshot(proxy),
        )

    async def inject(self, env: Env, undo: Undo) -> None:
        """Disables the proxy, then marks it: a proxy without connections is the one place where marking cannot hang."""
        client = await _proxies.server(env)
        name = _proxies.name_of(undo)
        await client.patch_proxy(name, enabled=False, lease=undo.run)
        try:
            await client.add_toxic(name, _marks.marker(undo.mark))
        except Refused as why:
            raise Doubt(f"{undo.target.key} is down, but could not be marked: {why}") from None
        await _proxies.check_alone(env, undo)

    async def observe(self, env: Env, undo: Undo) -> Observation:
        """Whether the proxy is down. One that is down without our mark may be ours still: a late request did it."""
        client = await _proxies.server(env)
        try:
            proxy = await _proxies.found(client, undo)
            if (proxy is None or proxy.enabled) and await _removal.half_undone(env, undo.mark):
                return Drifted(f"{undo.target.key} was deleted by an undo that did not finish making it again")
        except (Refused, Doubt) as why:
            return Unreadable(str(why))
        if proxy is None:
            return Absent(drift=f"{undo.target.key} was deleted by somebody else")
        ours = proxy.toxic(undo.mark) is not None
        if not proxy.enabled:
            return Present("" if ours else "without our mark")
        if ours:
            return Drifted(f"{undo.target.key} was enabled, our mark {undo.mark} is still on it")
        return Absent(drift=_proxies.drift(undo, proxy))

    async def revert(self, env: Env, undo: Undo) -> None:
        """Takes the mark off and sets `enabled` back to what it was; the second happens whatever the first did."""
        client = await _proxies.server(env)
        name = _proxies.name_of(undo)
        try:
            # While the proxy is down it has no connections, so that removing the mark cannot hang.
            await _removal.remove(env, undo)
        finally:
            with contextlib.suppress(toxics.NotFound):  # deleted by somebody else: `observe` says so
                await client.patch_proxy(name, enabled=bool(undo.before["enabled"]))

    async def before(self, env: Env, undo: Undo) -> dict[str, float]:
        """How many connections the embedded proxy has seen; nothing on the real server."""
        counters = await _proxies.counted(env, _proxies.name_of(undo))
        if counters is None:
            return {}
        return {"connections": float(counters.connections), **await _proxies.traffic(env, _proxies.name_of(undo))}

    async def effect(self, env: Env, undo: Undo, before: dict[str, float]) -> Proof | None:
        """A connection attempt that is refused; where there are counters, also that somebody used the proxy before."""
        if before and not before["connections"]:
            return None
        address = _proxies.front(env, str(undo.before["listen"]))
        if address is None or not await _refused(*address):
            return None
        where = f"{address[0]}:{address[1]}"
        seen = f"; {before['connections']:g} connections came through before" if before else ""
        return Proof(how="exchange", evidence=f"a connection to {where} was refused{seen}", figures=dict(before))

    @classmethod
    def endpoint(cls, env: Env) -> str:
        """The environment's Toxiproxy."""
        return _proxies.endpoint(env)

    @classmethod
    async def reach(cls, env: Env) -> None:
        """Reads its proxies."""
        await _proxies.reach(env)

    async def leasable(self, env: Env) -> bool:
        """Whether this is the embedded proxy, which knows leases."""
        return await _proxies.leasable(env)

    async def lease(self, env: Env, undo: Undo, ttl_s: float) -> bool:
        """Makes or renews the run's lease at the embedded proxy, with the value to go back to."""
        return await _proxies.lease(env, undo, ttl_s, {_proxies.name_of(undo): bool(undo.before["enabled"])})

    async def leased(self, env: Env, undo: Undo) -> bool:
        """Whether the run's lease is alive."""
        return await _proxies.leased(env, undo)

    async def release(self, env: Env, undo: Undo) -> None:
        """Ends the run's lease."""
        await _proxies.release(env, undo)

    async def leftovers(self, env: Env) -> tuple[Undo, ...]:
        """Every proxy that carries our mark."""
        return tuple(
            Undo(
                kind=self.kind,
                version=self.version,
                mark=toxic.name,
                target=_proxies.target(proxy),
                params={},
                before=_proxies.snapshot(proxy) | {"enabled": True},
            )
            for proxy, toxic in await _removal.marks(env)
            if _marks.is_marker(toxic)
        )


async def _refused(host: str, port: int) -> bool:
    with anyio.move_on_after(CONNECT_S):
        try:
            stream = await anyio.connect_tcp(host, port)
        except OSError as why:
            return _is_refusal(why)
        await stream.aclose()
    return False


def _is_refusal(why: BaseException) -> bool:
    causes = why.__cause__.exceptions if isinstance(why.__cause__, BaseExceptionGroup) else (why.__cause__ or why,)
    return all(isinstance(cause, ConnectionRefusedError) for cause in causes)
