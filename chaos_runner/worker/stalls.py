"""Notices when the worker itself was not running. No clock of its own: moments are told to it."""

from __future__ import annotations

BEAT_NS = 20_000_000
STALL_NS_MIN = 100_000_000


class Stalls:
    """The event loop passes by at least every 20 ms; a longer absence is a stall by what it exceeds that."""

    def __init__(self, now_ns: int) -> None:
        self._seen_ns = now_ns
        self.blind_until_ns = 0  # whatever was due up to here was due while nobody looked

    def observe(self, now_ns: int) -> tuple[int, bool]:
        """The stall that ended now (0 for none), and whether it blinds: is above 100 ms."""
        stall_ns = now_ns - self._seen_ns - BEAT_NS
        self._seen_ns = now_ns
        if stall_ns > STALL_NS_MIN:
            self.blind_until_ns = now_ns
            return stall_ns, True
        return max(stall_ns, 0), False
