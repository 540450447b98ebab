"""One direction of a connection, from one of its sockets to the other.

A link without toxics is one `write` in `data_received`. With toxics it feeds stages and keeps one timer for all of
them. Changing the chain is synchronous, so no control call ever waits for a client.
"""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING

from chaos_runner.proxy.counters import FlowCount
from chaos_runner.proxy.http.half import Half
from chaos_runner.proxy.stages import STAGES
from chaos_runner.proxy.stages.stage import CHUNK_BYTES, End, Item, Stage
from chaos_runner.proxy.toxics import Toxic

if TYPE_CHECKING:
    from chaos_runner.proxy.connection import Connection
    from chaos_runner.proxy.side import Side

TIMER_S_MAX = 3600.0


class Link:
    """One direction of a connection: from `source` through the stages to `sink`."""

    __slots__ = (
        "closed",
        "connection",
        "count",
        "direct",
        "early",
        "ended",
        "glance",
        "head",
        "held_back",
        "paid",
        "sink",
        "sink_full",
        "source",
        "stages",
        "timer",
        "timer_at",
        "upstream",
        "write",
    )

    def __init__(self, connection: Connection, upstream: bool, count: FlowCount) -> None:
        self.connection = connection
        self.upstream = upstream
        self.count = count
        self.source: Side | None = None
        self.sink: Side | None = None
        # Not None only where a chunk can be written at once: no toxics, no first-chunk count, both sides there.
        self.direct: Callable[[bytes], None] | None = None
        # As `direct`, where the only stage has to be asked what of a chunk passes; that is then written.
        self.glance: Callable[[bytes], bytes | None] | None = None
        self.write: Callable[[bytes], None]
        self.head: Stage | Half | Link = self
        self.stages: list[Stage | Half] = []
        self.early: list[Item] | None = []
        self.timer: asyncio.TimerHandle | None = None
        self.timer_at = inf
        self.ended = self.closed = self.held_back = self.sink_full = self.paid = False

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
        if not isinstance(item, bytes):
            self.ended = True
            self.head.feed(now, item)
        else:
            self.count_payload(item)
            if len(item) <= CHUNK_BYTES or not self.stages:
                self.head.feed(now, item)
            else:
                for start in range(0, len(item), CHUNK_BYTES):
                    self.head.feed(now, item[start : start + CHUNK_BYTES])
        self.settle(now)

    def instead(self, data: bytes, passing: bytes) -> None:
        """Writes what a glance let pass in the place of what came, if anything."""
        self.count.diverted += len(data)
        if passing:
            self.count.emitted += len(passing)
            self.write(passing)

    def count_payload(self, data: bytes) -> None:
        count, size = self.count, len(data)
        count.read += size
        count.reads += 1
        count.diverted += size
        if not self.paid:
            self.paid = True
            count.streams += 1

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
        while not self.closed and (due := self.due()) <= now:
            for stage in self.stages:
                stage.wake(now)
        self.aim()
        if not self.closed:
            if due < self.timer_at:
                self.arm(due, now)
            self.throttle()

    def due(self) -> float:
        """When the first of the stages has something to do."""
        first = inf
        for stage in self.stages:
            if (due := stage.due()) < first:
                first = due
        return first

    def aim(self) -> None:
        """Opens or shuts the direct path."""
        self.direct = self.glance = None
        sink = self.sink
        if not self.paid or self.closed or self.ended or self.early is not None or sink is None or not sink.connected:
            return
        if not self.stages:
            self.direct = sink.transport.write
        elif len(self.stages) == 1 and isinstance(half := self.stages[0], Half):
            self.glance, self.write = half.glance, sink.transport.write

    def arm(self, due: float, now: float) -> None:
        """Wakes the link at that time, and not at the later one that was meant before."""
        if self.timer is not None:
            self.timer.cancel()
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
        back, share, source = self.early is not None or self.sink_full, 0.5 if self.held_back else 1.0, self.source
        for stage in self.stages:
            back = back or stage.full(share)
        if back is self.held_back or self.closed or source is None:
            return
        if not source.connected or source.transport.is_closing():
            return
        if back:
            source.transport.pause_reading()
        else:
            source.transport.resume_reading()
        self.held_back = back

    def shut(self) -> None:
        """Carries nothing any more."""
        self.closed = True
        self.direct = self.glance = None
        self.stages.clear()
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
