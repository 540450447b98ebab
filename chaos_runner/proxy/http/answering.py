"""The half of a dialogue that the service's answers pass, and ours."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from chaos_runner.proxy.http import whole
from chaos_runner.proxy.http.exchange import UNTOUCHED, Exchange
from chaos_runner.proxy.http.half import Half
from chaos_runner.proxy.http.messages import Head, NotHttp, Part, Piece, Reader
from chaos_runner.proxy.http.toxics import GARBAGE, HttpMalformed, HttpTruncate
from chaos_runner.proxy.stages.stage import End, Item

if TYPE_CHECKING:
    from chaos_runner.proxy.http.dialogue import Dialogue

_BODYLESS = (b"204", b"304")


class Answers(Half):
    """What the service sends, and what is said in its place."""

    def __init__(self, dialogue: Dialogue) -> None:
        super().__init__(dialogue)
        self.reader = Reader(requests=False)
        self.interim = False
        self.ending: End | None = None

    def glance(self, data: bytes) -> bytes | None:
        """An answer in one piece to the only request under way, or ours instead; or one that nobody waits for."""
        exchanges, reader = self.dialogue.exchanges, self.reader
        if not exchanges:
            return data
        first = exchanges[0]
        if len(exchanges) > 1 or self.ending is not None or not self.dialogue.toxics:
            return None
        if first is not UNTOUCHED and (first.hold or not first.plain):
            return None
        if reader.held or not reader.between or not whole.answer(data):
            return None
        exchanges.popleft()
        return data if first.error is None else first.error.plain

    def due(self) -> float:
        """When the next answer of ours is."""
        exchanges = self.dialogue.exchanges
        return exchanges[0].ready if exchanges and exchanges[0].hold else inf

    def wake(self, now: float) -> None:
        """Says what is due."""
        self.dialogue.answer(now)

    def feed(self, at: float, item: Item) -> None:
        """Passes on what is not spoiled; after an answer's end comes the next exchange's."""
        exchanges = self.dialogue.exchanges
        if not isinstance(item, bytes):
            self.end(at, item)
        elif not exchanges:
            self.after.feed(at, item)  # an answer to what was asked before anybody listened
        elif self.reader.fresh() and exchanges[0].simple() and whole.answer(item):
            if exchanges[0].error is None:
                self.after.feed(at, item)
            self.ended(at)
        else:
            self.follow(at, item)

    def follow(self, at: float, data: bytes) -> None:
        """Passes on what is not spoiled of a part of an answer, or of several."""
        passing: list[bytes] = []
        try:
            for piece in self.reader.feed(data):
                if piece.head is not None:
                    self.begun(piece.head)
                cut = self.take(piece, passing)
                if cut:
                    self.flush(at, passing)
                    self.after.feed(at, End.CUT)
                    return
                if piece.part is Part.END and not self.interim:
                    self.flush(at, passing)
                    passing = []
                    self.ended(at)
        except NotHttp as why:
            self.dialogue.give_up()
            passing.append(why.rest)
        self.flush(at, passing)

    def begun(self, head: Head) -> None:
        """An answer begins. Raises NotHttp where another protocol takes over, or nobody asked."""
        if not self.dialogue.exchanges:
            raise NotHttp("an answer that nobody asked for", head.raw + self.reader.rest)
        exchange, status = self.dialogue.exchanges[0], head.first[0]
        self.interim = status[:1] == b"1" and status != b"101"
        if exchange.upgrade and (status == b"101" or (exchange.method == b"CONNECT" and status[:1] == b"2")):
            raise NotHttp("another protocol from here on", head.raw + self.reader.rest)
        if self.interim or exchange.method == b"HEAD" or status in _BODYLESS:
            self.reader.bodyless()

    def take(self, piece: Piece, passing: list[bytes]) -> bool:
        """What passes of a piece; True where the connection is cut after it."""
        exchange = self.dialogue.exchanges[0]
        if self.interim or (exchange.error is None and exchange.spoil is None):
            passing.append(piece.content)
            return False
        if exchange.error is not None:
            return False
        if isinstance(exchange.spoil, HttpMalformed):
            passing.append(GARBAGE)
            return True
        return isinstance(exchange.spoil, HttpTruncate) and _truncated(exchange, exchange.spoil, piece, passing)

    def ended(self, at: float) -> None:
        """The oldest exchange is over; ours that waited for it are next."""
        exchange = self.dialogue.exchanges.popleft()
        if exchange.error is not None:
            self.dialogue.say(at, exchange)
        if self.dialogue.exchanges or self.ending is not None:
            self.dialogue.answer(at)
        if not self.dialogue.toxics:
            self.dialogue.rest()

    def end(self, at: float, item: End) -> None:
        """The service has finished: ours that are due later are still said."""
        exchanges = self.dialogue.exchanges
        if exchanges and exchanges[0].error is not None and self.reader.endless:
            exchanges[0].close = True
            self.ended(at)
            return
        if unread := self.reader.unread():
            self.after.feed(at, unread)
        self.ending = item
        if exchanges and not exchanges[0].hold:
            self.dialogue.give_up()
        self.perhaps_end(at)

    def perhaps_end(self, at: float) -> None:
        """Passes the end on once nothing of ours is due any more."""
        if self.ending is not None and self.dialogue.idle:
            item, self.ending = self.ending, None
            self.after.feed(at, item)

    def flush(self, at: float, passing: list[bytes]) -> None:
        if passing:
            self.after.feed(at, passing[0] if len(passing) == 1 else b"".join(passing))

    def release(self, now: float) -> None:
        """As any, with the beginning of an answer that has not come far enough."""
        if unread := self.reader.unread():
            self.after.feed(now, unread)
        self.dialogue.give_up()
        self.perhaps_end(now)


def _truncated(exchange: Exchange, cut: HttpTruncate, piece: Piece, passing: list[bytes]) -> bool:
    if piece.part is not Part.BODY:
        passing.append(piece.content)
        return piece.part is Part.END
    rest = cut.bytes - exchange.answered
    exchange.answered += len(piece.content)
    passing.append(piece.content[:rest])
    return exchange.answered >= cut.bytes
