"""The toxics of Toxiproxy: seven ways to make a connection bad, one table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from chaos_runner.api import Absent, Doubt, Drifted, Env, Observation, Present, Proof, Refused, Rights, Undo, Unreadable
from chaos_runner.clients import toxics
from chaos_runner.expect import Bandwidth, Duration, Percent, Size
from chaos_runner.faults import _marks, _proxies, _removal
from chaos_runner.model import Where
from chaos_runner.records import Target

if TYPE_CHECKING:
    from chaos_runner.clients.toxiproxy import Client

Type = Literal["latency", "bandwidth", "slow_close", "timeout", "reset_peer", "slicer", "limit_data"]

# Per type its attributes, with the factor from our base unit (s, B, B/s) to the API's (ms, us, B, KB/s).
FACTORS: dict[str, dict[str, float]] = {
    "latency": {"latency": 1e3, "jitter": 1e3},
    "bandwidth": {"rate": 1e-3},
    "slow_close": {"delay": 1e3},
    "timeout": {"timeout": 1e3},
    "reset_peer": {"timeout": 1e3},
    "slicer": {"average_size": 1, "size_variation": 1, "delay": 1e6},
    "limit_data": {"bytes": 1},
}
NEEDED = {
    "latency": "latency",
    "bandwidth": "rate",
    "slow_close": "delay",
    "slicer": "average_size",
    "limit_data": "bytes",
}
SMALLEST = {1e3: "1ms", 1e-3: "1KB/s", 1e6: "1us", 1: "1B"}


class ToxicFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Adds a toxic to a proxy. Needs Toxiproxy, the real one or the embedded one.

    A toxic upstream acts before the service did its work, one downstream after it: the caller sees a failure of
    something that happened. Toxicity is the share of connections (not of requests) that are hit.
    """

    kind: ClassVar[str] = "toxic"
    version: ClassVar[int] = 1
    reversible: ClassVar[bool] = True
    selector: ClassVar[Any] = _proxies.ProxySelector

    type: Annotated[
        Type,
        Meta(
            description="latency: later; bandwidth: slower; slow_close: closes late; timeout: nothing passes, then"
            " closes (its removal closes the connections too); reset_peer: connection reset; slicer: small pieces;"
            " limit_data: closes after some bytes",
            extra={"noun": "toxic"},
        ),
    ]
    stream: Annotated[
        Literal["upstream", "downstream"],
        Meta(description="upstream: what clients send; downstream: what they get back"),
    ] = "downstream"
    toxicity: Annotated[Percent, Meta(description="share of connections that are hit, such as 50%", le=1)] = 1.0
    latency: Annotated[Duration | None, Meta(description="latency: how much later")] = None
    jitter: Annotated[Duration | None, Meta(description="latency: up to so much more or less")] = None
    rate: Annotated[Bandwidth | None, Meta(description="bandwidth: for each connection; 0KB/s lets nothing pass")] = (
        None
    )
    delay: Annotated[Duration | None, Meta(description="slow_close: before closing; slicer: between pieces")] = None
    timeout: Annotated[
        Duration | None,
        Meta(
            description="timeout: closes after so long without data, 0s: never;"
            " reset_peer: resets so long after the first data"
        ),
    ] = None
    average_size: Annotated[Size | None, Meta(description="slicer: the size of a piece")] = None
    size_variation: Annotated[Size | None, Meta(description="slicer: up to so much more or less")] = None
    bytes: Annotated[Size | None, Meta(description="limit_data: how much passes before the connection closes")] = None

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        factors = FACTORS[self.type]
        for name in {name for row in FACTORS.values() for name in row} - set(factors):
            if getattr(self, name) is not None:
                yield (name,), f"a {self.type} toxic has no '{name}'; it has: {', '.join(factors)}"
        needed = NEEDED.get(self.type)
        if needed and getattr(self, needed) is None:
            yield (), f"a {self.type} toxic needs '{needed}'"
            return
        for name, factor in factors.items():
            value = getattr(self, name) or 0.0
            if value and round(value * factor) == 0:
                yield (name,), f"less than {SMALLEST[factor]}, the smallest step there is"
        yield from self._harmless()
        if why := toxics.problem(self.toxic("checked")):
            yield (), why

    def _harmless(self) -> Iterator[Where]:
        if self.toxicity == 0:
            yield ("toxicity",), "0% of connections: nothing would be hit"
        if self.type == "latency" and not self.latency and not self.jitter:
            yield ("latency",), "no latency and no jitter: nothing would be late"

    def toxic(self, mark: str) -> toxics.Toxic:
        """The fault as the API takes it: whole numbers in the API's units, named by the mark."""
        values = {name: round((getattr(self, name) or 0.0) * factor) for name, factor in FACTORS[self.type].items()}
        return toxics.Toxic(mark, self.type, self.stream, self.toxicity, values)

    def aspect(self) -> str:
        """The place on a proxy that a toxic occupies."""
        return f"toxic:{self.stream}:{self.type}"

    async def targets(self, env: Env, selector: _proxies.ProxySelector) -> tuple[Target, ...]:
        """The proxies that match, by name."""
        return await _proxies.matching(env, selector)

    async def rights(self, env: Env, target: Target) -> Rights:
        """Toxiproxy lets everybody do everything who may read: one read shows both."""
        await _proxies.current(env, target)
        return Rights()

    async def prepare(self, env: Env, target: Target, mark: str) -> Undo:
        """The proxy as it is. Raises Refused where another run holds it, or a toxic would do nothing, or is there."""
        proxy = await _proxies.unclaimed(env, target, mark)
        if not proxy.enabled:
            raise Refused(f"{target.key} is disabled: nothing passes that a toxic could hit")
        for other in proxy.toxics:
            if _marks.marked(other.name) and (other.type, other.stream.lower()) == (self.type, self.stream):
                raise Refused(
                    f"{target.key} already carries {other.name} at {self.aspect()}; see: chaos-runner recover"
                )
        client = await _proxies.server(env)
        if self.type == "reset_peer" and self.toxicity < 1 and not (await client.capabilities()).embedded:
            raise Refused(
                "a reset_peer toxic below 100% is not safe on this Toxiproxy: it resets the connections"
                " that were not drawn when they close; use 100%, or the embedded proxy"
            )
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
        """Streams that carried payload and were hit since."""
        counters = await _proxies.counted(env, _proxies.name_of(undo)) if before else None
        mine = counters.toxics.get(undo.mark) if counters else None
        if counters is None or mine is None or mine.affected <= before["affected"]:
            return None
        hit = mine.affected - before["affected"]
        figures = {"affected": hit, "streams": mine.streams, "bytes": mine.bytes, "delay_ms": mine.delay_ms}
        words = f"{hit:g} of {mine.streams} streams through {undo.target.key} were affected, {mine.bytes} bytes"
        return Proof(how="counters", evidence=words, figures={name: float(value) for name, value in figures.items()})

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
            if (await client.capabilities()).has("leases"):
                return  # refused for want of a lease, as a late request will be
            raise Doubt(f"the name {mark} is taken, and nobody has it") from None
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

    async def leftovers(self, env: Env) -> tuple[Undo, ...]:
        """Every toxic, fence and half-done undo of ours on this server."""
        return tuple(
            Undo(
                kind=self.kind,
                version=self.version,
                mark=toxic.name,
                target=_proxies.target(proxy),
                params=_params(toxic),
                before=_proxies.snapshot(proxy),
            )
            for proxy, toxic in await _removal.marks(env)
            if toxic.type in FACTORS or _marks.is_fence(toxic)
        )


def _params(toxic: toxics.Toxic) -> dict[str, Any]:
    """The fault's own fields, read back from a toxic; a fence has forgotten which toxic it was, and any will do."""
    if toxic.type not in FACTORS:
        return {"type": "latency", "latency": 1.0}
    values = {name: toxic.attributes.get(name, 0) / factor for name, factor in FACTORS[toxic.type].items()}
    return {"type": toxic.type, "stream": toxic.stream.lower(), "toxicity": toxic.toxicity, **values}
