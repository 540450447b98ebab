"""One socket of a connection, and one direction between two of them.

A link without toxics is one `write` in `data_received`. With toxics it feeds stages and keeps one timer for all of
them. Changing the chain is synchronous, so no control call ever waits for a client.
"""

from __future__ import annotations

import asyncio
import functools
import math
import socket
import struct
from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, cast

from chaos_runner.proxy.counters import FlowCount
from chaos_runner.proxy.http.dialogue import Half
from chaos_runner.proxy.stages import STAGES, End, Item, Stage
from chaos_runner.proxy.toxics import Toxic

if TYPE_CHECKING:
    from chaos_runner.proxy.connection import Connection

CHUNK_BYTES = 32 << 10
WRITE_BUFFER_BYTES = 512 << 10
TIMER_S_MAX = 3600.0
RESET = struct.pack("ii", 1, 0)


class Side(asyncio.Protocol):
    """One socket of a connection: `out` carries what it sends, `back` what it is sent."""

    transport: asyncio.Transport
    out: Link
    back: Link

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.connected = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self.transport = cast("asyncio.Transport", transport)
        self.connected = True
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self.connection.side_made(self)

    def data_received(self, data: bytes) -> None:
        link = self.out
        if link.direct is not None:
            link.count.read += len(data)
            link.count.reads += 1
            link.direct(data)
        else:
            link.take(data)

    def eof_received(self) -> bool:
        self.out.take(End.FIN)
        return True

    def pause_writing(self) -> None:
        self.back.sink_full = True
        self.back.throttle()

    def resume_writing(self) -> None:
        self.back.sink_full = False
        self.back.throttle()

    def connection_lost(self, exc: Exception | None) -> None:
        self.connected = False
        self.connection.side_lost(self)

    def reset(self) -> None:
        if self.connected:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.transport.abort()


class Link:
    """One direction of a connection: from `source` through the stages to `sink`."""

    __slots__ = (
        "closed",
        "connection",
        "count",
        "direct",
        "early",
        "ended",
        "head",
        "held_back",
        "sink",
        "sink_full",
        "source",
        "stages",
        "timer",
        "timer_at",
        "upstream",
    )

    def __init__(self, connection: Connection, upstream: bool, count: FlowCount) -> None:
        self.connection = connection
        self.upstream = upstream
        self.count = count
        self.source: Side | None = None
        self.sink: Side | None = None
        # Not None only where a chunk can be written at once: no toxics, no first-chunk count, both sides there.
        self.direct: Callable[[bytes], None] | None = None
        self.head: Stage | Half | Link = self
        self.stages: list[Stage | Half] = []
        self.early: list[Item] | None = []
        self.timer: asyncio.TimerHandle | None = None
        self.timer_at = inf
        self.ended = self.closed = self.held_back = self.sink_full = False

    def take(self, item: Item) -> None:
        """Accepts what the source sent, whatever state the link is in."""
        if self.closed or self.ended:
            return
        if self.early is not None:
            # The dial is under way; uvloop may hand over a chunk although reading is paused.
            self.early.append(item)
            self.throttle()
            return
        now = self.connection.clock()
        if isinstance(item, End):
            self.ended = True
            self.head.feed(now, item)
        else:
            self.count_payload(item)
            for chunk in self.chunks(item):
                self.head.feed(now, chunk)
        self.settle(now)

    def chunks(self, data: bytes) -> Sequence[bytes]:
        if not self.stages or len(data) <= CHUNK_BYTES:
            return (data,)
        return [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]

    def count_payload(self, data: bytes) -> None:
        self.count.read += len(data)
        self.count.reads += 1
        self.count.diverted += len(data)
        if self.connection.first_payload(self):
            self.count.streams += 1

    def open(self, chain: Sequence[Toxic]) -> None:
        """Both sides are there: what came early goes on its way."""
        early, self.early = self.early or [], None
        self.rebuild(chain)
        for item in early:
            self.take(item)
        self.throttle()

    def feed(self, at: float, item: Item) -> None:
        """The end of the chain: writes to the sink. The time no longer matters."""
        if self.closed or self.sink is None or not self.sink.connected:
            return
        if isinstance(item, bytes):
            self.count.emitted += len(item)
            self.sink.transport.write(item)
        elif item is End.RST:
            self.connection.reset()
        elif item is End.CUT or self.connection.last_end(self):
            self.connection.close()
        else:
            self.shut()
            self.end_of(self.sink)

    def end_of(self, sink: Side) -> None:
        """Tells the sink that nothing follows."""
        try:
            sink.transport.write_eof()
        except OSError:
            # Its peer has reset it, and the loop has not said so yet.
            self.connection.close()

    def rebuild(self, chain: Sequence[Toxic]) -> None:
        """Makes the stages follow the chain, now: what a removed toxic held goes on, in order."""
        if self.closed or self.early is not None:
            return
        now = self.connection.clock()
        half = self.half()
        if not self.let_go(half, now):
            return
        kept = {stage.toxic: stage for stage in self.stages if isinstance(stage, Stage)}
        self.stages = [kept.get(toxic) or self.stage(toxic, now) for toxic in chain if self.applies(toxic)]
        if half is not None:
            self.stages.insert(len(self.stages) if self.upstream else 0, half)  # nearest to the upstream
        for toxic in chain:
            self.connection.see(toxic.count)
        after: Stage | Half | Link = self
        for stage in reversed(self.stages):
            stage.after, after = after, stage
        self.head = after
        self.settle(now)

    def half(self) -> Half | None:
        """The half of the connection's dialogue that belongs here, if it has one."""
        dialogue = self.connection.dialogue
        if dialogue is None:
            return None
        return dialogue.requests if self.upstream else dialogue.answers

    def let_go(self, half: Half | None, now: float) -> bool:
        """Empties the stages that leave, the one nearest the sink first; False when that ended the connection."""
        after: Stage | Half | Link = self
        for stage in reversed(self.stages):
            stage.after = after
            if stage is half or (isinstance(stage, Stage) and self.applies(stage.toxic)):
                after = stage
            elif isinstance(stage, Stage) and stage.toxic.gone:
                stage.remove(now)
            else:
                stage.release(now)
        return not self.closed

    def applies(self, toxic: Toxic) -> bool:
        return not toxic.gone and toxic.type in STAGES and self.connection.drew(toxic)

    def stage(self, toxic: Toxic, now: float) -> Stage:
        touched = functools.partial(self.connection.touch, toxic.count)
        return STAGES[toxic.type](toxic, self, touched, now, self.connection.seed_for(toxic))

    def change(self, toxic: Toxic) -> None:
        """The toxic's settings have changed: its stage, if it has one here, times what it holds anew."""
        now = self.connection.clock()
        for stage in self.stages:
            if isinstance(stage, Stage) and stage.toxic is toxic:
                stage.change(now)
        self.settle(now)

    def settle(self, now: float) -> None:
        """Hands on what is due, arms the timer for the rest, and holds the source back where stages are full."""
        due = inf
        while not self.closed and (due := min((stage.due() for stage in self.stages), default=inf)) <= now:
            for stage in self.stages:
                stage.wake(now)
        self.aim()
        if not self.closed:
            self.arm(due, now)
            self.throttle()

    def aim(self) -> None:
        """Opens or shuts the direct path."""
        ready = not (self.closed or self.ended or self.stages or self.early is not None)
        ready = ready and self.connection.paid(self) and self.sink is not None and self.sink.connected
        self.direct = self.sink.transport.write if ready and self.sink is not None else None

    def arm(self, due: float, now: float) -> None:
        if self.timer is not None and self.timer_at <= due:
            return
        if self.timer is not None:
            self.timer.cancel()
            self.timer, self.timer_at = None, inf
        if due < inf:
            self.timer_at = min(due, now + TIMER_S_MAX)
            # Whole milliseconds, because uvloop rounds to the nearest and would wake too early; a microsecond's grace
            # keeps 5.0000001 from becoming 6.
            wait_ms = math.ceil((self.timer_at - now) * 1000 - 0.001)
            self.timer = self.connection.loop.call_later(max(wait_ms, 0) / 1000, self.wake)

    def wake(self) -> None:
        self.timer, self.timer_at = None, inf
        self.settle(self.connection.clock())

    def throttle(self) -> None:
        """Pauses or resumes the source, with a gap between the two marks."""
        source = self.source
        if source is None or not source.connected or self.closed or source.transport.is_closing():
            return
        share = 0.5 if self.held_back else 1.0
        back = self.early is not None or self.sink_full or any(stage.full(share) for stage in self.stages)
        if back and not self.held_back:
            source.transport.pause_reading()
        elif not back and self.held_back:
            source.transport.resume_reading()
        self.held_back = back

    def shut(self) -> None:
        """Carries nothing any more."""
        self.closed = True
        self.direct = None
        self.stages.clear()
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
