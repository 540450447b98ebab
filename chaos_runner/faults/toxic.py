"""The toxics of Toxiproxy: seven ways to make a connection bad, one table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from msgspec import Meta

from chaos_runner.api import Doubt, Drifted, Env, Observation, Present, Refused, Undo, Unreadable
from chaos_runner.clients import toxics
from chaos_runner.expect import Bandwidth, Duration, Percent, Size
from chaos_runner.faults import _marks, _proxies, _removal
from chaos_runner.faults._placed import MOST, Placed, at_most
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


class ToxicFault(Placed, frozen=True, kw_only=True):
    """Adds a toxic to a proxy. Needs Toxiproxy, the real one or the embedded one.

    A toxic upstream acts before the service did its work, one downstream after it: the caller sees a failure of
    something that happened. Toxicity is the share of connections (not of requests) that are hit.
    """

    kind: ClassVar[str] = "toxic"

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
    max_affected: Annotated[
        int,
        Meta(description="hits at most so many connections; 0 for no limit. Needs the embedded proxy", ge=0, le=MOST),
    ] = 0

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

    async def inject(self, env: Env, undo: Undo) -> None:
        """Adds the toxic, once; its limit is there before it, and goes with it."""
        if self.max_affected:
            client = await _proxies.server(env)
            await client.limit(_proxies.name_of(undo), undo.mark, self.max_affected)
        await super().inject(env, undo)

    async def observe(self, env: Env, undo: Undo) -> Observation:
        """Whether the toxic is on the proxy as it was sent, with its limit."""
        seen = await super().observe(env, undo)
        if not self.max_affected or not isinstance(seen, Present):
            return seen
        client = await _proxies.server(env)
        try:
            most = await client.limited(_proxies.name_of(undo), undo.mark)
        except (Refused, Doubt) as why:
            return Unreadable(str(why))
        if most != self.max_affected:
            return Drifted(f"the limit of toxic {undo.mark} was changed: max_affected is {most}")
        return seen

    def evidence(self, target: Target, seen: dict[str, float]) -> str:
        """How many streams were affected, and how many may be."""
        return super().evidence(target, seen) + at_most(self.max_affected)

    async def unfit(self, client: Client) -> str:
        """A real server knows no limits, and resets, at the end, also the connections that were not drawn."""
        if self.max_affected and not (await client.capabilities()).has("limits"):
            return (
                "max_affected needs the embedded proxy (`chaos-runner proxy`): this Toxiproxy cannot count whom a"
                " toxic hits; leave it out, or use the embedded proxy"
            )
        if self.type == "reset_peer" and self.toxicity < 1 and not (await client.capabilities()).embedded:
            return (
                "a reset_peer toxic below 100% is not safe on this Toxiproxy: it resets the connections"
                " that were not drawn when they close; use 100%, or the embedded proxy"
            )
        return ""

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
