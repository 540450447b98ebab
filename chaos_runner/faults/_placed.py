"""What all faults share that put one toxic on one proxy: named by the mark, read back, removed, fenced, leased."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from chaos_runner.api import Absent, Doubt, Drifted, Env, Observation, Present, Proof, Refused, Rights, Undo, Unreadable
from chaos_runner.clients import toxics
from chaos_runner.faults import _marks, _proxies, _removal
from chaos_runner.records import Target

if TYPE_CHECKING:
    from chaos_runner.clients.toxiproxy import Client

MOST = 1_000_000_000  # connections or requests that a limit can speak of


def at_most(most: int) -> str:
    """The limit, as the end of a sentence; nothing where there is none."""
    return f", of at most {most} allowed" if most else ""


class Placed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fault whose harm is one toxic; a kind says which, in `toxic`, and where, in `aspect`."""

    kind: ClassVar[str] = ""
    version: ClassVar[int] = 1
    reversible: ClassVar[bool] = True
    selector: ClassVar[Any] = _proxies.ProxySelector

    def toxic(self, mark: str) -> toxics.Toxic:
        """The fault as the API takes it, named by the mark."""
        raise NotImplementedError

    def aspect(self) -> str:
        """The place on a proxy that the toxic occupies."""
        raise NotImplementedError

    def occupied_by(self, other: toxics.Toxic) -> bool:
        """Whether this toxic of ours, found on the proxy, is at the same place."""
        mine = self.toxic(other.name)
        return (other.type, other.stream.lower()) == (mine.type, mine.stream)

    async def unfit(self, client: Client) -> str:
        """Why this server cannot, or must not, do it, as a sentence; empty where it can."""
        return ""

    def evidence(self, target: Target, seen: dict[str, float]) -> str:
        """The sentence for the figures of the effect: streams, affected, bytes, delay_ms, pieces, requests, hits."""
        words = f"{seen['affected']:g} of {seen['streams']:g} streams through {target.key} were affected"
        if seen["delay_ms"] and seen["pieces"]:
            return f"{words}, {seen['pieces']:g} pieces by {seen['delay_ms'] / seen['pieces']:+.0f} ms in the mean"
        return f"{words}, {seen['bytes']:g} bytes"

    async def targets(self, env: Env, selector: _proxies.ProxySelector) -> tuple[Target, ...]:
        """The proxies that match, by name."""
        return await _proxies.matching(env, selector)

    async def rights(self, env: Env, target: Target) -> Rights:
        """Toxiproxy lets everybody do everything who may read: one read shows both. Not every server can."""
        await _proxies.current(env, target)
        why = await self.unfit(await _proxies.server(env))
        return Rights(allowed=not why, why=why)

    async def prepare(self, env: Env, target: Target, mark: str) -> Undo:
        """The proxy as it is. Raises Refused where another run holds it, or a toxic would do nothing, or is there."""
        proxy = await _proxies.unclaimed(env, target, mark)
        if not proxy.enabled:
            raise Refused(f"{target.key} is disabled: nothing passes that a toxic could hit")
        for other in proxy.toxics:
            if _marks.marked(other.name) and self.occupied_by(other):
                raise Refused(
                    f"{target.key} already carries {other.name} at {self.aspect()}; see: chaos-runner recover"
                )
        if why := await self.unfit(await _proxies.server(env)):
            raise Refused(why)
        return Undo(
            kind=self.kind,
            version=self.version,
            mark=mark,
            target=target,
            params=msgspec.to_builtins(self),
            before=_proxies.snapshot(proxy),
        )

    async def inject(self, env: Env, undo: Undo) -> None:
        """Adds the toxic, once, and looks whether another run did so at the same time: then it is doubt."""
        client = await _proxies.server(env)
        await client.add_toxic(_proxies.name_of(undo), self.toxic(undo.mark))
        await _proxies.check_alone(env, undo)

    async def observe(self, env: Env, undo: Undo) -> Observation:
        """Whether the toxic is on the proxy, as it was sent."""
        client = await _proxies.server(env)
        try:
            proxy = await _proxies.found(client, undo)
            found = proxy.toxic(undo.mark) if proxy else None
            if (found is None or _marks.is_fence(found)) and await _removal.half_undone(env, undo.mark):
                return Drifted(f"{undo.target.key} was deleted by an undo that did not finish making it again")
        except (Refused, Doubt) as why:
            return Unreadable(str(why))
        if proxy is None:
            return Absent(drift=f"{undo.target.key} was deleted by somebody else")
        if found is None or _marks.is_fence(found):
            return Absent(drift=_proxies.drift(undo, proxy))
        if changed := toxics.differences(self.toxic(undo.mark), found):
            return Drifted(f"toxic {undo.mark} was changed: {changed}")
        return Present() if proxy.enabled else Drifted(f"{undo.target.key} was disabled: nothing passes the toxic")

    async def revert(self, env: Env, undo: Undo) -> None:
        """Removes the toxic again; where the server hangs, with its proxy, which is made again as it was."""
        await _removal.remove(env, undo)

    async def before(self, env: Env, undo: Undo) -> dict[str, float]:
        """The embedded proxy's counters: this toxic's name, and the traffic; Raises Refused on the real server."""
        counters = await _proxies.counted(env, _proxies.name_of(undo))
        if counters is None:
            raise Refused("this Toxiproxy has no counters: only the checks can show the effect of a toxic")
        affected = float(counters.toxics.get(undo.mark, toxics.ToxicCounters()).affected)
        return {"affected": affected, **await _proxies.traffic(env, _proxies.name_of(undo))}

    async def effect(self, env: Env, undo: Undo, before: dict[str, float]) -> Proof | None:
        """Streams that carried payload, or requests, that were hit since."""
        counters = await _proxies.counted(env, _proxies.name_of(undo)) if before else None
        mine = counters.toxics.get(undo.mark) if counters else None
        if counters is None or mine is None or mine.affected <= before["affected"]:
            return None
        seen = {name: float(value) for name, value in msgspec.to_builtins(mine).items()}
        seen["affected"] -= before["affected"]
        figures = {name: value for name, value in seen.items() if value or name not in {"requests", "hits"}}
        return Proof(how="counters", evidence=self.evidence(undo.target, seen), figures=figures)

    async def fence(self, env: Env, undo: Undo) -> None:
        """Occupies the toxic's name with one that does nothing."""
        client = await _proxies.server(env)
        name = _proxies.name_of(undo)
        try:
            await client.add_toxic(name, _marks.fence(undo.mark))
        except toxics.NotFound:
            return  # no proxy, nowhere to land
        except toxics.Conflict:
            await self._occupied(client, name, undo.mark)

    async def _occupied(self, client: Client, name: str, mark: str) -> None:
        try:
            found = await client.toxic(name, mark)
        except toxics.NotFound:
            # Not for want of a lease either: whoever undoes renews it, and then a late request could land.
            raise Doubt(f"the name {mark} cannot be taken, and nobody has it") from None
        if not _marks.is_fence(found):
            raise Doubt(f"the toxic {mark} has landed late")

    async def unfence(self, env: Env, undo: Undo) -> None:
        """Gives the name free."""
        await _removal.remove(env, undo)

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
        """Makes or renews the run's lease at the embedded proxy."""
        return await _proxies.lease(env, undo, ttl_s)

    async def leased(self, env: Env, undo: Undo) -> bool:
        """Whether the run's lease is alive."""
        return await _proxies.leased(env, undo)

    async def release(self, env: Env, undo: Undo) -> None:
        """Ends the run's lease."""
        await _proxies.release(env, undo)
