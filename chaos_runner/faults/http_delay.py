"""Requests that reach the service later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from chaos_runner.clients.toxics import Toxic
from chaos_runner.expect import Duration
from chaos_runner.faults._http import HttpFault, milliseconds
from chaos_runner.model import Where


class HttpDelayFault(HttpFault, frozen=True, kw_only=True):
    """Passes single requests on later. Needs the embedded proxy, or an HTTP stage.

    Unlike a latency toxic it delays a request once, however many pieces it comes in, and can mean some requests only:
    one path, one method, the health checks.
    """

    kind: ClassVar[str] = "http_delay"

    delay: Annotated[Duration, Meta(description="how much later", ge=0.001, le=86400)]
    jitter: Annotated[Duration, Meta(description="up to so much more or less", le=86400)] = 0.0

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        if self.jitter > self.delay:
            yield ("jitter",), "more than the delay itself: a request cannot be early"

    def harm(self) -> dict[str, Any]:
        """The times."""
        return {"delay": milliseconds(self.delay), "jitter": milliseconds(self.jitter)}

    @classmethod
    def read_back(cls, toxic: Toxic) -> dict[str, Any]:
        """The fault's own fields; times in seconds."""
        read = super().read_back(toxic)
        return read | {name: read.get(name, 0) / 1000 for name in ("delay", "jitter")}

    def told(self, seen: dict[str, float]) -> str:
        """What became of them."""
        mean = seen["delay_ms"] / seen["hits"] if seen["hits"] else 0.0
        return f"were delayed, by {mean:+.0f} ms in the mean"
