"""The two halves of a connection's dialogue, one on each link, nearest to the upstream.

Requests meet the other toxics first, and answers last, so that an answer of ours is as late as one of the service.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING

from chaos_runner.proxy.http import whole
from chaos_runner.proxy.http.exchange import UNTOUCHED, Exchange
from chaos_runner.proxy.http.messages import Head, NotHttp, Part, Piece, Reader
from chaos_runner.proxy.http.toxics import GARBAGE, HttpMalformed, HttpTruncate
from chaos_runner.proxy.stages.stage import CHUNK_BYTES, HELD_BYTES_MAX, End, Item, Sink

if TYPE_CHECKING:
    from chaos_runner.proxy.http.dialogue import Dialogue

EXCHANGES_MAX = 1000  # requests under way on one connection; more are held back
_BODYLESS = (b"204", b"304")


class Half:
    """What a link sees of the dialogue: a stage like those of the other toxics."""

    def __init__(self, dialogue: Dialogue) -> None:
        self.dialogue = dialogue
        self.after: Sink = dialogue.up
        self.queue: deque[tuple[float, float, Item]] = deque()
        self.held = 0

    def glance(self, data: bytes) -> bytes | None:
        """What passes now, with nothing left to do: mostly all of it; None where it has to be fed."""
        raise NotImplementedError

    def feed(self, at: float, item: Item) -> None:
        """Takes what arrives."""
        raise NotImplementedError

    def due(self) -> float:
        """When `wake` has something to do next."""
        return self.queue[0][0] if self.queue else inf

    def wake(self, now: float) -> None:
        """Hands on everything that is due."""
        while self.queue and self.queue[0][0] <= now:
            self.leave()

    def leave(self) -> None:
        due, at, item = self.queue.popleft()
        self.held -= len(item) if isinstance(item, bytes) else 0
        self.after.feed(max(due, at), item)

    def pass_on(self, at: float, due: float, item: Item) -> None:
        """At `due`, and not before what came earlier."""
        if due <= at and not self.queue:
            self.after.feed(at, item)
            return
        self.queue.append((max(due, self.queue[-1][0] if self.queue else due), at, item))
        self.held += len(item) if isinstance(item, bytes) else 0

    def release(self, now: float) -> None:
        """Hands on everything held; the toxics are gone."""
        while self.queue:
            self.leave()

    def full(self, share: float) -> bool:
        """True when more is under way than this share of what may be."""
        return len(self.dialogue.exchanges) > EXCHANGES_MAX * share or self.held > HELD_BYTES_MAX * share


class Requests(Half):
    """What the client sends."""

    def __init__(self, dialogue: Dialogue) -> None:
        super().__init__(dialogue)
        self.reader = Reader(requests=True)
        self.current: Exchange | None = None
        self.until = 0.0  # when what is under way may go on
        self.decided: tuple[Head, Exchange] | None = None  # on what a glance did not let pass

    def glance(self, data: bytes) -> bytes | None:
        """A request in one piece that is neither swallowed nor late."""
        dialogue = self.dialogue
        if dialogue.deaf or self.queue or not self.reader.fresh():
            return None
        if len(data) > CHUNK_BYTES or len(dialogue.exchanges) >= EXCHANGES_MAX:
            return None
        head = whole.request(data)
        if head is None:
            return None
        exchange = dialogue.begin(head)
        if exchange.hold or exchange.delay_s or self.until:
            self.decided = head, exchange
            return None
        return data

    def feed(self, at: float, item: Item) -> None:
        """Passes on what is not swallowed; an answer of ours is due as soon as a swallowed request has ended."""
        if not isinstance(item, bytes) or self.dialogue.deaf:
            self.pass_on(at, self.until, item)
            return
        decided, self.decided = self.decided, None
        if decided is None and self.reader.fresh() and (head := whole.request(item)) is not None:
            decided = head, self.dialogue.begin(head)
        if decided is None:
            self.follow(at, item)
        elif not self.one(at, *decided).hold:
            self.pass_on(at, self.until, item)
        if self.dialogue.exchanges and self.dialogue.exchanges[0].hold:
            self.dialogue.down.settle(at)

    def one(self, at: float, head: Head, exchange: Exchange) -> Exchange:
        """A request has begun and is over."""
        if exchange.delay_s:
            self.until = max(self.until, at + exchange.delay_s)
        if exchange.hold:
            exchange.ready = max(at, self.until)
            exchange.close |= bool(head.field(b"expect"))
        return exchange

    def follow(self, at: float, data: bytes) -> None:
        """Passes on what is not swallowed of a part of a request, or of several."""
        passing: list[bytes] = []
        try:
            for piece in self.reader.feed(data):
                if piece.head is not None:
                    passing = self.begun(at, piece.head, passing)
                if piece.part is Part.END:
                    self.ended(at)
                elif self.current is not None and not self.current.hold:
                    passing.append(piece.content)
        except NotHttp as why:
            self.dialogue.give_up()
            passing.append(why.rest)
        self.flush(at, passing)

    def begun(self, at: float, head: Head, passing: list[bytes]) -> list[bytes]:
        """A request begins: what came before it goes on by its own time."""
        self.current = exchange = self.dialogue.begin(head)
        if exchange.delay_s:
            self.flush(at, passing)
            passing = []
            self.until = max(self.until, at + exchange.delay_s)
        if exchange.hold and head.field(b"expect"):
            exchange.close, exchange.ready = True, max(at, self.until)  # the client waits for a word before its body
        return passing

    def ended(self, at: float) -> None:
        """The request is over: an answer of ours may be given."""
        exchange, self.current = self.current, None
        if exchange is not None and exchange.hold:
            exchange.ready = min(exchange.ready, max(at, self.until))

    def flush(self, at: float, passing: list[bytes]) -> None:
        if passing:
            self.pass_on(at, self.until, passing[0] if len(passing) == 1 else b"".join(passing))

    def release(self, now: float) -> None:
        """As any, with the beginning of a request that has not come far enough."""
        super().release(now)
        if unread := self.reader.unread():
            self.after.feed(now, unread)


class Answers(Half):
    """What the service sends, and what is said in its place."""

    def __init__(self, dialogue: Dialogue) -> None:
        super().__init__(dialogue)
        self.reader = Reader(requests=False)
        self.interim = False
        self.ending: End | None = None

    def glance(self, data: bytes) -> bytes | None:
        """An answer in one piece to the only request under way, or ours instead; or one that nobody waits for."""
        exchanges = self.dialogue.exchanges
        if not exchanges:
            return data
        first = exchanges[0]
        if first is not UNTOUCHED and (first.hold or first.close or not first.simple()):
            return None
        if len(exchanges) > 1 or self.ending is not None or not self.dialogue.toxics:
            return None
        if not self.reader.fresh() or not whole.answer(data):
            return None
        exchanges.popleft()
        return data if first.error is None else first.error.answer(bodyless=False, close=False)

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
