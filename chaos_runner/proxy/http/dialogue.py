"""The requests of one connection and their answers, in order, with HTTP toxics at work on single ones.

A request that is swallowed is answered when its turn comes. What cannot be followed as HTTP/1.1 passes untouched from
there on.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from chaos_runner.proxy.counters import ToxicCount
from chaos_runner.proxy.http.answering import Answers
from chaos_runner.proxy.http.asking import Requests
from chaos_runner.proxy.http.exchange import UNTOUCHED, Exchange
from chaos_runner.proxy.http.messages import Head
from chaos_runner.proxy.http.toxics import Http, HttpDelay, HttpError
from chaos_runner.proxy.stages.stage import End
from chaos_runner.proxy.toxics import DRAWS_AT_ONCE, Toxic, draws

if TYPE_CHECKING:
    from chaos_runner.proxy.link import Link


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
        self.late = 0.0  # how much later the request goes on that began last
        self.drawn: dict[str, tuple[float, ...]] = {}  # by toxic: numbers for the requests before `drawn_to`
        self.drawn_to = 0
        self.looks: list[tuple[Toxic, ToxicCount, Http, float]] = []  # the toxics, with what each request asks of them
        self.choosy = False  # whether some toxic wants to know which request it is
        self.speaking = False  # whether some toxic does something to answers, which then have to be told apart
        self.deaf = False  # this is no HTTP, or no longer

    def obey(self, toxics: list[Toxic]) -> None:
        """These toxics are at work from now on."""
        self.toxics = toxics
        self.drawn.clear()
        self.looks = [(one, one.count, one.http, one.http.share) for one in toxics if one.http is not None]
        self.choosy = any(toxic.http is not None and toxic.http.choosy for toxic in toxics)
        self.speaking = any(share and not isinstance(aim, HttpDelay) for _, _, aim, share in self.looks)

    def begin(self, head: Head) -> Exchange:
        """A request has begun: decides what is done to it."""
        exchange = UNTOUCHED if head.bare else Exchange(head)
        self.late = 0.0
        for toxic, count, aim, share in self.looks:
            count.requests += 1
            if not share or (self.choosy and not aim.means(head)):
                continue
            if (share >= 1 or self.number_for(toxic.name) < share) and not spent(toxic, aim):
                exchange = self.apply(toxic, aim, exchange, head)
        self.number += 1
        if self.speaking or exchange.upgrade:
            self.exchanges.append(exchange)
        return exchange

    def number_for(self, name: str) -> float:
        """The number in [0, 1) that this request has for a toxic."""
        number = self.number
        if number >= self.drawn_to:
            self.drawn.clear()
            self.drawn_to = number - number % DRAWS_AT_ONCE + DRAWS_AT_ONCE
        drawn = self.drawn.get(name)
        if drawn is None:
            connection = self.up.connection
            drawn = draws(connection.proxy.seed, connection.number, name, number // DRAWS_AT_ONCE)
            self.drawn[name] = drawn
        return drawn[number % DRAWS_AT_ONCE]

    def apply(self, toxic: Toxic, aim: Http, exchange: Exchange, head: Head) -> Exchange:
        """The exchange with this done to it."""
        count = toxic.count
        if isinstance(aim, HttpDelay):
            # The seed's text alone takes a microsecond, and only jitter wants it.
            seed = f"{self.up.connection.seed_for(toxic)}/{self.number}" if aim.jitter else ""
            seconds = aim.seconds(seed)
            self.late += seconds
            count.delay_s += seconds
        elif exchange.error is not None or exchange.spoil is not None:
            return exchange  # one harm a request is enough, and only that is counted
        else:
            exchange = Exchange(head) if exchange is UNTOUCHED else exchange
            if isinstance(aim, HttpError):
                exchange.error, exchange.hold = aim, aim.when == "before"
            else:
                exchange.spoil, exchange.plain = aim, False
        count.hits += 1
        if count not in self.up.connection.affected:
            self.up.connection.touch(count, 0)
        return exchange

    def answer_at_once(self, exchange: Exchange) -> bool:
        """Says our own answer to the request that began last, where it has to wait for nothing; False where it has."""
        answers = self.answers
        if len(self.exchanges) > 1 or answers.ending is not None or answers.after is not self.down:
            return False
        assert exchange.error is not None
        self.exchanges.pop()
        self.down.feed(0.0, exchange.error.plain)
        return True

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


def spent(toxic: Toxic, aim: Http) -> bool:
    """Whether a toxic has hit as many requests as it may."""
    hits = toxic.count.hits
    return 0 < aim.max_affected <= hits or 0 < toxic.max_affected <= hits
