"""One request and its answer, as long as either is under way."""

from __future__ import annotations

from math import inf

from chaos_runner.proxy.http.messages import Head
from chaos_runner.proxy.http.toxics import HttpError, HttpMalformed, HttpTruncate


class Exchange:
    """One request: what is done to it, and how far it is."""

    error: HttpError | None = None
    spoil: HttpTruncate | HttpMalformed | None = None
    ready = inf  # when a swallowed request may be answered
    hold = False  # whether nothing of it goes to the service
    answered = 0  # bytes of the answer's body so far
    plain = True  # whether it is simple, and the connection stays
    upgrade = False
    close = False

    def __init__(self, head: Head) -> None:
        self.method, _, minor = head.first
        if head.bare:
            return
        self.upgrade = self.method == b"CONNECT" or bool(head.field(b"upgrade"))
        wishes = head.tokens(b"connection")
        self.close = b"close" in wishes or (minor == b"0" and b"keep-alive" not in wishes)
        self.plain = self.simple() and not self.close

    def simple(self) -> bool:
        """Whether its answer passes as it is or not at all, and ends where its fields say."""
        return self.spoil is None and not self.upgrade and self.method != b"HEAD"


# One for all requests of which nobody asks which they are, and that say nothing special.
ANYONE = Head(b"", (b"GET", b"/", b"1"), True)
# One for all of those that nothing is done to.
UNTOUCHED = Exchange(ANYONE)
