"""What passed and what was hit, live. Plain integers that the data path adds to; no IO."""

from __future__ import annotations

TOXICS_REMEMBERED_MAX = 1000


class FlowCount:
    """Payload of one direction of one proxy, since the proxy was made.

    `reads` counts the pieces it came in: one or more for each request or answer, never a connection that is silent.
    `diverted` bytes went into toxics and `emitted` came out of them, so that the path without toxics adds once.
    """

    __slots__ = ("diverted", "emitted", "read", "reads", "streams")

    def __init__(self) -> None:
        self.read = self.reads = self.diverted = self.emitted = self.streams = 0

    @property
    def sent(self) -> int:
        return self.read - self.diverted + self.emitted


class ToxicCount:
    """What one toxic name did on one proxy; a later toxic of that name goes on counting here.

    `pieces` of the stream were hit; of `requests` that were looked at `hits`, by a toxic that knows requests.
    """

    __slots__ = ("affected", "bytes", "delay_s", "hits", "pieces", "requests", "streams")

    def __init__(self) -> None:
        self.streams = self.affected = self.bytes = self.pieces = self.requests = self.hits = 0
        self.delay_s = 0.0

    def body(self) -> dict[str, object]:
        delay_ms = round(self.delay_s * 1000, 3)
        return {
            "streams": self.streams,
            "affected": self.affected,
            "bytes": self.bytes,
            "delay_ms": delay_ms,
            "pieces": self.pieces,
            "requests": self.requests,
            "hits": self.hits,
        }


class ToxicCounts:
    """The counts of a proxy's toxics by name, those of removed ones too until there are too many."""

    def __init__(self) -> None:
        self.by_name: dict[str, ToxicCount] = {}

    def open(self, name: str, live: set[str]) -> ToxicCount:
        """The count for a toxic of this name, made if need be; the oldest of the removed ones gives way."""
        if name not in self.by_name and len(self.by_name) >= TOXICS_REMEMBERED_MAX:
            for old in self.by_name:
                if old not in live:
                    del self.by_name[old]
                    break
        return self.by_name.setdefault(name, ToxicCount())

    def body(self) -> dict[str, object]:
        return {name: count.body() for name, count in self.by_name.items()}
