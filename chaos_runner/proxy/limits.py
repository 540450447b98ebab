"""What one toxic may do at most: for how long it stays, and how many connections (or requests) it may hit.

A limit is set before its toxic comes or while it is there; it goes with the toxic.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec

from chaos_runner.proxy import errors
from chaos_runner.proxy.proxies import Proxies
from chaos_runner.proxy.proxy import Proxy
from chaos_runner.proxy.toxics import Toxic

LIMITS_MAX = 1000
UNUSED_S = 60.0  # a limit whose toxic does not come is forgotten


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a PUT: seconds from when the toxic is there, and connections or requests; null and 0 for none."""

    ttl: Annotated[float, msgspec.Meta(ge=0.05, le=86_400)] | None = None
    max_affected: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)] = 0


Key = tuple[str, str]


class Limits:
    """Limits whose toxic is still to come, by proxy and toxic; those in force are with their toxics."""

    def __init__(self, proxies: Proxies) -> None:
        self.proxies = proxies
        self.coming: dict[Key, tuple[Limit, asyncio.TimerHandle]] = {}

    def put(self, proxy: Proxy, name: str, body: bytes) -> dict[str, object]:
        """Sets the limit; it is in force when this returns, or as soon as the toxic comes."""
        limit, key = decode(body), (proxy.name, name)
        if proxy.has_toxic(name):
            self.enforce(proxy, proxy.toxic(name), limit)
            return self.get(proxy, name)
        if key not in self.coming and len(self.coming) >= LIMITS_MAX:
            raise errors.too_many("limits", LIMITS_MAX)
        self.forget(key)
        self.coming[key] = limit, asyncio.get_running_loop().call_later(UNUSED_S, self.forget, key)
        return self.get(proxy, name)

    def apply(self, proxy: Proxy, toxic: Toxic) -> None:
        """The toxic is there: its time runs from now on."""
        if (limit := self.forget((proxy.name, toxic.name))) is not None:
            self.enforce(proxy, toxic, limit)

    def enforce(self, proxy: Proxy, toxic: Toxic, limit: Limit) -> None:
        toxic.max_affected = limit.max_affected
        toxic.stop_clock()
        if limit.ttl is not None:
            toxic.clock = asyncio.get_running_loop().call_later(limit.ttl, proxy.remove_toxics, toxic.__eq__)

    def get(self, proxy: Proxy, name: str) -> dict[str, object]:
        """What is in force, or will be; `expires_in` once the time runs."""
        if (proxy.name, name) in self.coming:
            limit, _ = self.coming[proxy.name, name]
            return {"max_affected": limit.max_affected, "ttl": limit.ttl, "expires_in": None}
        toxic = proxy.toxic(name)
        left = toxic.clock.when() - asyncio.get_running_loop().time() if toxic.clock is not None else None
        return {"max_affected": toxic.max_affected, "expires_in": None if left is None else round(max(0.0, left), 3)}

    def forget(self, key: Key) -> Limit | None:
        if key not in self.coming:
            return None
        limit, timer = self.coming.pop(key)
        timer.cancel()
        return limit


def decode(body: bytes) -> Limit:
    try:
        return msgspec.json.decode(body, type=Limit)
    except (msgspec.DecodeError, RecursionError) as error:
        raise errors.bad_body(str(error)) from None
