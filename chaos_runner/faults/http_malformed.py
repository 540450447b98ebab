"""Answers that are no HTTP."""

from __future__ import annotations

from typing import ClassVar

from chaos_runner.faults._http import HttpFault


class HttpMalformedFault(HttpFault, frozen=True, kw_only=True):
    """Answers with bytes that are no HTTP, after the service did the work, and cuts.

    Needs the embedded proxy, or an HTTP stage.
    """

    kind: ClassVar[str] = "http_malformed"

    def told(self, seen: dict[str, float]) -> str:
        """What became of them."""
        return "were answered with what is no HTTP"
