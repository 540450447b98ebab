"""Answers that end in the middle of their body."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from chaos_runner.expect import Size
from chaos_runner.faults._http import HttpFault


class HttpTruncateFault(HttpFault, frozen=True, kw_only=True):
    """Lets the head of an answer and some of its body pass, then cuts the connection.

    Needs the embedded proxy, or an HTTP stage.
    """

    kind: ClassVar[str] = "http_truncate"

    bytes: Annotated[Size, Meta(description="how much of the body passes, its framing included")] = 0.0

    def harm(self) -> dict[str, Any]:
        """The length."""
        return {"bytes": round(self.bytes)}

    def told(self, seen: dict[str, float]) -> str:
        """What became of them."""
        return f"got at most {round(self.bytes)} bytes of their answer's body"
