"""The toxics: their attributes, what a value may be, and whether a connection has drawn one. No IO, no clock."""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import Mapping
from typing import TypeAlias

from chaos_runner.proxy import gojson
from chaos_runner.proxy.counters import ToxicCount
from chaos_runner.proxy.errors import ApiError
from chaos_runner.proxy.http import toxics as http_toxics
from chaos_runner.proxy.http.toxics import Http

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "latency": ("latency", "jitter"),
    "bandwidth": ("rate",),
    "slow_close": ("delay",),
    "timeout": ("timeout",),
    "reset_peer": ("timeout",),
    "slicer": ("average_size", "size_variation", "delay"),
    "limit_data": ("bytes",),
    "noop": (),
}
GO_TYPES: Mapping[str, str] = {
    "latency": "LatencyToxic",
    "bandwidth": "BandwidthToxic",
    "slow_close": "SlowCloseToxic",
    "timeout": "TimeoutToxic",
    "reset_peer": "ResetToxic",
    "slicer": "SlicerToxic",
    "limit_data": "LimitDataToxic",
    "noop": "NoopToxic",
}
JITTER_END = 1 << 62
STREAMS = ("upstream", "downstream")
MARK = "cx."
DRAWS_AT_ONCE = 8


Settings: TypeAlias = dict[str, int] | Http


class Toxic:
    """One toxic of one proxy: its settings as the API shows them, and its count.

    `http` are the settings of one that knows requests; the others have `attributes`.
    """

    __slots__ = (
        "admitted",
        "attributes",
        "clock",
        "count",
        "gone",
        "http",
        "max_affected",
        "name",
        "stream",
        "toxicity",
        "type",
    )

    def __init__(
        self, name: str, kind: str, stream: str, *, toxicity: float, settings: Settings, count: ToxicCount
    ) -> None:
        self.name = name
        self.type = kind
        self.stream = stream
        self.toxicity = toxicity
        self.count = count
        self.gone = False
        self.max_affected = 0  # connections, or requests; 0 for no limit
        self.admitted = 0  # connections that it may hit so far
        self.clock: asyncio.TimerHandle | None = None  # ends it
        self.set(settings)

    def set(self, settings: Settings) -> None:
        """Takes settings of its own type."""
        self.attributes: dict[str, int] = settings if isinstance(settings, dict) else {}
        self.http: Http | None = None if isinstance(settings, dict) else settings

    def stop_clock(self) -> None:
        """It stays until somebody removes it."""
        if self.clock is not None:
            self.clock.cancel()
            self.clock = None

    @property
    def settings(self) -> Settings:
        return self.attributes if self.http is None else self.http

    @property
    def upstream(self) -> bool:
        return self.stream.lower() == "upstream"

    def body(self) -> dict[str, object]:
        return {
            "attributes": self.settings,
            "name": self.name,
            "type": self.type,
            "stream": self.stream,
            "toxicity": self.toxicity,
        }


def known(kind: str) -> bool:
    """Whether there is such a type."""
    return kind in ATTRIBUTES or kind in http_toxics.TYPES


def settings(kind: str, asked: object, now: Settings | None) -> Settings:
    """The toxic's whole attribute set: `now` (the defaults without) with what was asked laid over it.

    All of it or a 400: a bad field leaves nothing applied, and values that crash the real server are refused.
    """
    if kind in http_toxics.TYPES:
        return http_toxics.attributes(kind, asked, None if isinstance(now, dict) else now)
    return numbers(kind, asked, now if isinstance(now, dict) else {})


def numbers(kind: str, asked: object, now: Mapping[str, int]) -> dict[str, int]:
    if not isinstance(asked, dict | None):
        where, wanted = (".attributes", GO_TYPES[kind]) if now else ("ToxicWrapper.attributes", "NoopToxic")
        raise gojson.mismatch(asked, where, f"toxics.{wanted}")
    fields = gojson.an_object(asked, "")
    owner, number = f"{GO_TYPES[kind]}.attributes", "int" if kind == "slicer" else "int64"
    merged = {key: gojson.int_field(fields, key, now.get(key, 0), owner, number) for key in ATTRIBUTES[kind]}
    if (why := harm(kind, merged)) is not None:
        raise ApiError(400, f"invalid attribute: {why}")
    return merged


def harm(kind: str, value: Mapping[str, int]) -> str | None:
    """Why these attributes would crash the real server; None when they would not."""
    if kind == "latency" and value["jitter"] >= JITTER_END:
        return f"jitter must be less than {JITTER_END}"
    if kind == "bandwidth" and value["rate"] < 0:
        return "rate must not be negative"
    if kind == "slicer" and value["average_size"] < 1:
        return "average_size must be at least 1"
    if kind == "slicer" and not 0 <= value["size_variation"] <= value["average_size"]:
        return "size_variation must be between 0 and average_size"
    return None


def run_of(name: str) -> str | None:
    """The run that owns a toxic of this name (`cx.<run>.…`); None for everybody else's toxics."""
    return name[len(MARK) :].partition(".")[0] if name.startswith(MARK) else None


def belongs_to(run: str, name: str) -> bool:
    return name.startswith(f"{MARK}{run}.")


def draw(seed: int, connection: int, name: str) -> float:
    """The number in [0, 1) that a connection has for a toxic: always the same, whatever happens around it."""
    return _numbers(f"{seed}/{connection}/{lot(name)}", 1)[0]


def draws(seed: int, connection: int, name: str, block: int) -> tuple[float, ...]:
    """The numbers in [0, 1) that so many requests on a connection have for a toxic; always the same, too."""
    # Most of the price of a draw is the hash, and one hash is enough for eight.
    return _numbers(f"{seed}/{connection}/{lot(name)}/{block}", DRAWS_AT_ONCE)


def _numbers(text: str, count: int) -> tuple[float, ...]:
    digest = hashlib.blake2b(text.encode(), digest_size=8 * count).digest()
    return tuple(number / (1 << 64) for number in struct.unpack(f">{count}Q", digest))


def lot(name: str) -> str:
    # A runner's names carry the run and its expiry; without them two runs with one seed hit the same connections.
    return MARK + name.split(".")[2] if name.startswith(MARK) and name.count(".") >= 2 else name
