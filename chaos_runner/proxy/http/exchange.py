"""One request and its answer, as long as either is under way."""

from __future__ import annotations

from math import inf

from chaos_runner.proxy.http.messages import Head
from chaos_runner.proxy.http.toxics import HttpError, HttpMalformed, HttpTruncate


class Exchange:
    """One request: what is done to it, and how far it is."""

    error: HttpError | None = None
    spoil: HttpTruncate | HttpMalformed | None = None
    delay_s = 0.0
    ready = inf  # when a swallowed request may be answered
    hold = False  # whether nothing of it goes to the service
    answered = 0  # bytes of the answer's body so far

    def __init__(self, head: Head) -> None:
        self.method, _, minor = head.first
        self.upgrade = self.method == b"CONNECT" or (not head.bare and bool(head.field(b"upgrade")))
        wishes = () if head.bare else head.tokens(b"connection")
        self.close = b"close" in wishes or (minor == b"0" and b"keep-alive" not in wishes)

    def simple(self) -> bool:
        """Whether its answer passes as it is or not at all, and ends where its fields say."""
        return self.spoil is None and not self.upgrade and self.method != b"HEAD"


# One for all requests that nothing is done to and that say nothing special.
UNTOUCHED = Exchange(Head(b"", (b"GET", b"/", b"1"), True))
