"""The half of a dialogue that the client's requests pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaos_runner.proxy.http import whole
from chaos_runner.proxy.http.exchange import ANYONE, Exchange
from chaos_runner.proxy.http.half import EXCHANGES_MAX, Half
from chaos_runner.proxy.http.messages import Head, NotHttp, Part, Reader
from chaos_runner.proxy.stages.stage import CHUNK_BYTES, Item

if TYPE_CHECKING:
    from chaos_runner.proxy.http.dialogue import Dialogue


class Requests(Half):
    """What the client sends."""

    def __init__(self, dialogue: Dialogue) -> None:
        super().__init__(dialogue)
        self.reader = Reader(requests=True)
        self.current: Exchange | None = None
        self.until = 0.0  # when what is under way may go on
        self.decided: tuple[Head, Exchange] | None = None  # on what a glance did not let pass

    def full(self, share: float) -> bool:
        """Also while a client does not read its answers: ours would pile up as fast as it asks."""
        return super().full(share) or (not self.dialogue.deaf and self.dialogue.down.sink_full)

    def glance(self, data: bytes) -> bytes | None:
        """A request in one piece that is neither swallowed nor late."""
        dialogue, reader = self.dialogue, self.reader
        if reader.held or not reader.between or dialogue.deaf:
            return None
        if len(data) > CHUNK_BYTES or len(dialogue.exchanges) >= EXCHANGES_MAX:
            return None
        head = whole.request(data) if dialogue.choosy or not whole.bare(data) else ANYONE
        if head is None:
            return None
        exchange = dialogue.begin(head)
        if not (exchange.hold or dialogue.late or self.until):
            return data
        if head.bare and not (dialogue.late or self.until) and dialogue.answer_at_once(exchange):
            return b""
        self.decided = head, exchange
        return None

    def feed(self, at: float, item: Item) -> None:
        """Passes on what is not swallowed; an answer of ours is due as soon as a swallowed request has ended."""
        if not isinstance(item, bytes) or self.dialogue.deaf:
            self.pass_on(at, self.until, item)
            return
        if self.until <= at and not self.queue:
            self.until = 0.0
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
        if self.dialogue.late:
            self.until = max(self.until, at + self.dialogue.late)
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
        if self.dialogue.late:
            self.flush(at, passing)
            passing = []
            self.until = max(self.until, at + self.dialogue.late)
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
