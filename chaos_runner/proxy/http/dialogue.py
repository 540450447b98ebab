"""The requests of one connection and their answers, in order, with HTTP toxics at work on single ones.

A request that is swallowed is answered when its turn comes. What cannot be followed as HTTP/1.1 passes untouched from
there on.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from chaos_runner.proxy.http.answering import Answers
from chaos_runner.proxy.http.asking import Requests
from chaos_runner.proxy.http.exchange import UNTOUCHED, Exchange
from chaos_runner.proxy.http.messages import Head
from chaos_runner.proxy.http.toxics import Http, HttpDelay, HttpError
from chaos_runner.proxy.stages.stage import End
from chaos_runner.proxy.toxics import Toxic, draw_request

if TYPE_CHECKING:
    from chaos_runner.proxy.link import Link

_SPECIAL = (b"HEAD", b"CONNECT")  # their answers end in a way of their own


class Dialogue:
    """What both halves share: the exchanges under way, the oldest first."""

    def __init__(self, up: Link, down: Link) -> None:
        self.toxics: list[Toxic] = []
        self.up = up
        self.down = down
        self.exchanges: deque[Exchange] = deque()
        self.requests = Requests(self)
        self.answers = Answers(self)
        self.number = 0
        self.deaf = False  # this is no HTTP, or no longer

    def begin(self, head: Head) -> Exchange:
        """A request has begun: decides what is done to it."""
        exchange = UNTOUCHED if head.bare and head.first[0] not in _SPECIAL else Exchange(head)
        for toxic in self.toxics:
            toxic.count.requests += 1
            aim = toxic.http
            if aim is not None and aim.share and aim.means(head) and self.draws(toxic, aim):
                exchange = Exchange(head) if exchange is UNTOUCHED else exchange
                self.apply(toxic, aim, exchange)
        if exchange.error is not None:
            exchange.hold = exchange.error.when == "before"
        self.number += 1
        self.exchanges.append(exchange)
        return exchange

    def draws(self, toxic: Toxic, aim: Http) -> bool:
        """Whether this request is hit: its share, drawn by the seed, and never more than allowed."""
        hits = toxic.count.hits
        if 0 < aim.max_affected <= hits or 0 < toxic.max_affected <= hits:
            return False
        connection = self.up.connection
        return (
            aim.share >= 1
            or draw_request(connection.proxy.seed, connection.number, toxic.name, self.number) < aim.share
        )

    def apply(self, toxic: Toxic, aim: Http, exchange: Exchange) -> None:
        if isinstance(aim, HttpDelay):
            # The seed's text alone takes a microsecond, and only jitter wants it.
            seed = f"{self.up.connection.seed_for(toxic)}/{self.number}" if aim.jitter else ""
            seconds = aim.seconds(seed)
            exchange.delay_s += seconds
            toxic.count.delay_s += seconds
        elif exchange.error is not None or exchange.spoil is not None:
            return  # one harm a request is enough, and only that is counted
        elif isinstance(aim, HttpError):
            exchange.error = aim
        else:
            exchange.spoil = aim
        toxic.count.hits += 1
        self.up.connection.touch(toxic.count, 0)

    def answer(self, now: float) -> None:
        """Hands out our own answers whose turn has come."""
        while self.exchanges and self.exchanges[0].hold and self.exchanges[0].ready <= now:
            self.say(now, self.exchanges.popleft())
        self.answers.perhaps_end(now)

    def say(self, now: float, exchange: Exchange) -> None:
        """Our own answer, now."""
        assert exchange.error is not None
        content = exchange.error.answer(bodyless=exchange.method == b"HEAD", close=exchange.close)
        self.answers.after.feed(now, content)
        if exchange.close:
            self.answers.after.feed(now, End.CUT)
        self.rest()

    def rest(self) -> None:
        """Where the toxics are gone and nobody waits any more, the connection needs no dialogue."""
        if not self.toxics and self.idle:
            self.up.connection.loop.call_soon(self.up.connection.rethink)

    def give_up(self) -> None:
        """From here on nothing is looked at any more."""
        self.deaf = True
        self.exchanges.clear()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way that somebody still waits for."""
        return self.deaf or not self.exchanges
