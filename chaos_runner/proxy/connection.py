"""A connection through a proxy: its client, its upstream, and how both end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, TypeVar

from chaos_runner.proxy import toxics
from chaos_runner.proxy.counters import ToxicCount
from chaos_runner.proxy.http.dialogue import Dialogue
from chaos_runner.proxy.link import Link
from chaos_runner.proxy.side import Side
from chaos_runner.proxy.stages.stage import End
from chaos_runner.proxy.toxics import Toxic

if TYPE_CHECKING:
    from chaos_runner.proxy.proxy import Proxy

T = TypeVar("T")
NONE: frozenset[Any] = frozenset()


class Connection:
    """A client, its upstream, and what the toxics did to them."""

    __slots__ = (
        "admissions",
        "affected",
        "client",
        "clock",
        "dial",
        "dialogue",
        "down",
        "linger",
        "loop",
        "number",
        "proxy",
        "seen",
        "server",
        "stall_limit_s",
        "up",
    )

    def __init__(self, proxy: Proxy, number: int) -> None:
        self.loop = asyncio.get_running_loop()
        # uvloop's own clock stands still within a turn and counts whole milliseconds: delays would come out short.
        self.clock = time.monotonic
        self.proxy = proxy
        self.number = number
        # How long the last bytes of a closed connection wait for a peer that reads none of them.
        self.stall_limit_s = 60.0
        self.up = Link(self, True, proxy.flows[True])
        self.down = Link(self, False, proxy.flows[False])
        self.client = Side(self)
        self.server = Side(self)
        self.client.out, self.client.back = self.up, self.down
        self.server.out, self.server.back = self.down, self.up
        self.dial: asyncio.Task[None] | None = None
        # Most connections never meet a toxic: three sets would be 648 bytes of an idle one, for nothing.
        self.seen: AbstractSet[ToxicCount] = NONE
        self.affected: AbstractSet[ToxicCount] = NONE
        self.admissions: AbstractSet[Toxic] = NONE
        self.dialogue: Dialogue | None = None
        self.linger: asyncio.TimerHandle | None = None

    def side_made(self, side: Side) -> None:
        side.out.source = side.back.sink = side
        if side is self.client:
            self.up.throttle()
            self.proxy.accepted_one(self)

    def joined(self) -> None:
        """The upstream has answered the dial: both links open."""
        self.listen()
        self.up.open(self.proxy.chain(True))
        self.down.open(self.proxy.chain(False))

    def listen(self) -> None:
        """Has a dialogue while toxics want to know requests, or somebody still waits for an answer of theirs."""
        wanted = [toxic for toxic in self.proxy.toxics if toxic.http is not None and self.drew(toxic)]
        if wanted:
            self.dialogue = self.dialogue or Dialogue(self.up, self.down)
        if self.dialogue is not None:
            self.dialogue.obey(wanted)
            if not wanted and self.dialogue.idle:
                self.dialogue = None
        for toxic in wanted:
            self.see(toxic.count)

    def rethink(self) -> None:
        """The toxics that know requests have changed, or nobody needs them here any more."""
        self.listen()
        self.up.rebuild(self.proxy.chain(True))
        self.down.rebuild(self.proxy.chain(False))

    def throttle(self) -> None:
        """Pauses or resumes both sources: our own answers wait for the client that asks, too."""
        self.up.throttle()
        self.down.throttle()

    def side_lost(self, side: Side) -> None:
        """The socket is gone: what it sent still arrives, then the other side is closed."""
        side.back.shut()
        if side is self.client and self.dial is not None:
            self.dial.cancel()
        if not (self.client.connected or self.server.connected):
            self.finished()
        elif side.out.closed:
            self.close()
        else:
            side.out.take(End.FIN)

    def last_end(self, link: Link) -> bool:
        """True when nothing can follow the end of this link in either direction."""
        other = self.down if link is self.up else self.up
        return other.closed or link.source is None or not link.source.connected

    def close(self) -> None:
        """Closes both sides; what was already written is still sent, as long as somebody reads it."""
        self.abandon_links()
        for side in (self.client, self.server):
            if side.connected:
                side.transport.close()
        if self.linger is None and (self.client.connected or self.server.connected):
            self.linger = self.loop.call_later(self.stall_limit_s, self.look_for_progress, self.unsent())

    def unsent(self) -> int:
        sides = (self.client, self.server)
        return sum(side.transport.get_write_buffer_size() for side in sides if side.connected)

    def look_for_progress(self, before: int) -> None:
        if (now := self.unsent()) < before:
            self.linger = self.loop.call_later(self.stall_limit_s, self.look_for_progress, now)
        else:
            self.abort()

    def abort(self) -> None:
        """Closes both sides at once; data on the way is lost."""
        self.abandon_links()
        for side in (self.client, self.server):
            if side.connected:
                side.transport.abort()

    def reset(self) -> None:
        """Both peers get a reset, whenever the toxic came."""
        self.abandon_links()
        self.client.reset()
        self.server.reset()

    def abandon_links(self) -> None:
        if self.dial is not None:
            self.dial.cancel()
        self.up.shut()
        self.down.shut()

    def finished(self) -> None:
        self.abandon_links()
        if self.linger is not None:
            self.linger.cancel()
        self.proxy.ended_one(self)

    def drew(self, toxic: Toxic) -> bool:
        """Whether the toxic may hit this connection: its share, and no more connections than it is allowed."""
        drawn = toxic.toxicity >= 1 or toxics.draw(self.proxy.seed, self.number, toxic.name) < toxic.toxicity
        if not drawn or not toxic.max_affected or toxic.http is not None or toxic in self.admissions:
            return drawn
        if toxic.admitted >= toxic.max_affected:
            return False
        toxic.admitted += 1
        self.admissions = with_one(self.admissions, toxic)
        return True

    def seed_for(self, toxic: Toxic) -> str:
        return f"{self.proxy.seed}/{self.number}/{toxics.lot(toxic.name)}"

    def see(self, count: ToxicCount) -> None:
        if count not in self.seen:
            self.seen = with_one(self.seen, count)
            count.streams += 1

    def touch(self, count: ToxicCount, size: int) -> None:
        count.bytes += size
        count.pieces += size > 0
        if count not in self.affected:
            self.affected = with_one(self.affected, count)
            count.affected += 1


def with_one(some: AbstractSet[T], one: T) -> AbstractSet[T]:
    """The set with one more, in place once it is one that can change."""
    if not isinstance(some, set):
        return {one}
    some.add(one)
    return some
