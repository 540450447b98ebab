"""What Toxiproxy's API speaks of: proxies, toxics and, where it is the embedded one, counters. No IO.

Values that crash the real server are told here, before anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from chaos_runner.api import Doubt, Refused

TOXICITY_STEP = 1e-6  # the server keeps 32-bit floats
INT_END = 1 << 62

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "latency": ("latency", "jitter"),
    "bandwidth": ("rate",),
    "slow_close": ("delay",),
    "timeout": ("timeout",),
    "reset_peer": ("timeout",),
    "slicer": ("average_size", "size_variation", "delay"),
    "limit_data": ("bytes",),
    "noop": (),
}


class NotFound(Refused):
    """Toxiproxy itself says that there is no such proxy, toxic or lease."""


class Conflict(Refused):
    """The name is taken, or the embedded proxy misses a live lease."""


class Unreachable(Refused):
    """No connection: not one byte was sent. Says nothing about what is on the server."""


class Hung(Doubt):
    """The server took the request and does not answer (the real one's deadlocked control plane looks like this)."""


class Toxic(msgspec.Struct, frozen=True):
    """A toxic as the API shows it."""

    name: str
    type: str
    stream: str = "downstream"
    toxicity: float = 1.0
    attributes: dict[str, Any] = {}


class Proxy(msgspec.Struct, frozen=True):
    """A proxy as the API shows it."""

    name: str
    listen: str
    upstream: str
    enabled: bool = True
    toxics: tuple[Toxic, ...] = ()

    def toxic(self, name: str) -> Toxic | None:
        """The toxic of this name, if there is one."""
        return next((toxic for toxic in self.toxics if toxic.name == name), None)


class Capabilities(msgspec.Struct, frozen=True):
    """What the embedded proxy can beyond Toxiproxy; nothing of it on the real server."""

    version: int = 0
    capabilities: tuple[str, ...] = ()

    @property
    def embedded(self) -> bool:
        """Whether this is our own proxy, which has none of the real one's deadlocks."""
        return self.version > 0

    def has(self, name: str) -> bool:
        """Whether it can do this."""
        return name in self.capabilities


class Limit(msgspec.Struct, frozen=True):
    """What one toxic may do at most; 0 for no limit."""

    max_affected: int = 0


class Ways(msgspec.Struct, frozen=True):
    """A figure per direction."""

    upstream: int = 0
    downstream: int = 0


class ToxicCounters(msgspec.Struct, frozen=True):
    """What one toxic did so far; `requests` and `hits` only of one that knows requests."""

    streams: int = 0
    affected: int = 0
    bytes: int = 0
    delay_ms: float = 0.0
    pieces: int = 0
    requests: int = 0
    hits: int = 0


class ProxyCounters(msgspec.Struct, frozen=True):
    """What went through one proxy so far."""

    connections: int = 0
    open: int = 0
    bytes: Ways = Ways()
    payload_streams: Ways = Ways()
    reads: Ways | None = None
    toxics: dict[str, ToxicCounters] = {}


class Counters(msgspec.Struct, frozen=True):
    """The embedded proxy's live counters, by proxy."""

    proxies: dict[str, ProxyCounters] = {}


def problem(toxic: Toxic) -> str:
    """Why this toxic must not be sent, as a sentence; empty when it may. Some values crash the real server."""
    if not 0 <= toxic.toxicity <= 1:
        return f"toxicity {toxic.toxicity:g} is not between 0 and 1"
    if toxic.stream not in {"upstream", "downstream"}:
        return f"stream '{toxic.stream}' is neither upstream nor downstream"
    if toxic.type not in ATTRIBUTES:
        return ""  # an embedded proxy's own type; it checks by itself
    for name, value in toxic.attributes.items():
        if name not in ATTRIBUTES[toxic.type]:
            return f"a {toxic.type} toxic has no attribute '{name}'"
        if isinstance(value, bool) or not isinstance(value, int):
            return f"{name} {value!r} is not a whole number"
        if not 0 <= value < INT_END:
            return f"{name} {value} is not between 0 and 2^62"
    return _slices(toxic.attributes) if toxic.type == "slicer" else ""


def _slices(attributes: Mapping[str, int]) -> str:
    size, variation = attributes.get("average_size", 0), attributes.get("size_variation", 0)
    if size < 1:
        return "average_size must be at least 1 byte: less crashes the server"
    return "" if variation < size else f"size_variation {variation} must be below average_size {size}"


def differences(sent: Toxic, found: Toxic) -> str:
    """How the toxic found differs from the one sent, as words; empty when it does not."""
    pairs: list[tuple[str, Any, Any]] = [
        ("type", sent.type, found.type),
        ("stream", sent.stream, found.stream.lower()),
        *((name, value, found.attributes.get(name)) for name, value in sent.attributes.items()),
    ]
    if abs(sent.toxicity - found.toxicity) > TOXICITY_STEP:
        pairs.append(("toxicity", sent.toxicity, found.toxicity))
    return ", ".join(f"{name} is {now!r}, not {wanted!r}" for name, wanted, now in pairs if wanted != now)
