"""The control loop: once a second it takes the samples, beats, and asks whether there is a reason to stop.

What it awaits is short, so that a heartbeat means: this loop judged this tick.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import anyio
import msgspec

from chaos_runner.clock import Clock, nursery
from chaos_runner.drive import JournalError
from chaos_runner.judge import AbortWatch
from chaos_runner.records import Phase, Sample, StoppedBy

SLEPT_S = 1.0  # a fault lives on while the machine that watches it sleeps
LATE_S = 1.0  # a fault whose hold ends just when its time is over ends by itself


class Stop(msgspec.Struct, frozen=True):
    """The first reason to stop. `decided_t` is seconds since the run's start."""

    stopped_by: StoppedBy
    why: str
    decided_t: float
    check: str = ""
    clause: str = ""


class Status(msgspec.Struct, frozen=True):
    """What a live view may show after a tick."""

    tick: int
    phase: Phase
    fresh: tuple[Sample, ...]
    margin: dict[str, float]
    until_t: float


class Interrupts:
    """How often a person asked to stop; `asked` wakes the loop."""

    def __init__(self) -> None:
        self.count = 0
        self.who = ""
        self.asked = anyio.Event()

    def ask(self, who: str) -> None:
        """Once: stop and undo. Twice: hurry."""
        self.count += 1
        self.who = self.who or who
        self.asked.set()
        if self.count == 1:
            self.asked = anyio.Event()

    @property
    def hurry(self) -> bool:
        """Whether a person asked twice."""
        return self.count > 1


class Samples(Protocol):
    """Where samples come from; see `sampling.Sampling`."""

    def take(self) -> list[Sample]: ...

    async def beat(self) -> None: ...


class Watchdog(Protocol):
    """What the loop needs of the guardian's line."""

    def alive(self) -> bool:
        """Whether it lives, and answers."""
        ...

    def beat(self, tick: int) -> bool: ...


class Loop:
    """The ticks of one run. `stop` is the first reason to stop and stays."""

    def __init__(
        self,
        clock: Clock,
        samples: Samples,
        save: Callable[[Sequence[Sample]], None],
        *,
        interrupts: Interrupts,
        lever: Callable[[], str],
        watchdog: Watchdog | None,
        deadline_t: float,
        show: Callable[[Status], None],
    ) -> None:
        self.stop: Stop | None = None
        self.samples: list[Sample] = []
        self.phase: Phase = "preparing"
        self.watch: AbortWatch | None = None
        self.expires_t = math.inf
        self.trouble: list[str] = []
        self._clock = clock
        self._source = samples
        self._save = save
        self._interrupts = interrupts
        self._lever = lever
        self._watchdog = watchdog
        self._deadline_t = deadline_t
        self._show = show
        self._until_t = 0.0
        self._late: list[Sample] = []
        self._listener: Callable[[Sequence[Sample]], None] = lambda _fresh: None

    def listen(self, listener: Callable[[Sequence[Sample]], None]) -> None:
        """Also feeds `listener`, and no other, with fresh samples from the next tick on."""
        self._listener = listener

    def now(self) -> float:
        """Seconds since the run's start."""
        return self._clock.now()

    async def until(self, t: float, *, through: bool = False, enough: Callable[[], bool] | None = None) -> None:
        """Ticks until `t`, or a reason to stop (unless `through`), or `enough` says so."""
        self._until_t = t
        while self._clock.now() < t and (through or self.stop is None):
            await self._pause(t)
            await self.tick()
            if enough is not None and enough():
                return

    async def _pause(self, t: float) -> None:
        wakes = () if self._interrupts.count else (self._interrupts.asked,)
        await self._clock.until(min(t, self._clock.next_tick()), *wakes)

    async def while_doing(self, *works: Callable[[], Awaitable[object]]) -> None:
        """Runs the works at once; the ticks go on until the last has ended. No work, no tick."""
        left = len(works)
        done = anyio.Event()

        async def one(work: Callable[[], Awaitable[object]]) -> None:
            nonlocal left
            try:
                await work()
            finally:
                left -= 1
                if not left:
                    done.set()

        async with nursery() as group:
            for work in works:
                group.start_soon(one, work)
            while left and not done.is_set():
                await self._clock.until(self._clock.next_tick(), done)
                await self.tick()

    async def tick(self) -> None:
        """One turn: samples in, heartbeat out, first reason to stop."""
        tick = math.floor(self._clock.now())
        fresh = self._source.take()
        await self._source.beat()
        if self._watchdog is not None:
            self._watchdog.beat(tick)
        self.samples += fresh
        if self.watch is not None:
            self.watch.observe(fresh)
        self._listener(fresh)
        stopping = self.stop is None
        if stopping:
            self.stop = self._reason(tick)
            stopping = self.stop is not None and self.watch is not None
        self._write(fresh)
        if stopping:
            return  # whoever watches can wait for the revert; a terminal that does not read must not delay it
        margin = self.watch.margin() if self.watch is not None else {}
        self._show(Status(tick, self.phase, tuple(fresh), margin, self._until_t))

    def _write(self, fresh: Sequence[Sample]) -> None:
        """Not between a decision and its revert: a stopped loop writes with the records that follow."""
        if self.stop is not None and self.watch is not None:
            self._late += fresh
            return
        self.flush(fresh)

    def flush(self, fresh: Sequence[Sample] = ()) -> None:
        """Writes what is waiting; a store that cannot take it is a reason to stop."""
        waiting = [*self._late, *fresh]
        self._late.clear()
        if not waiting:
            return
        try:
            self._save(waiting)
        except JournalError as why:
            self.trouble.append(str(why))
            self.stop = self.stop or Stop("doubt", f"the store cannot be written: {why}", self._clock.now())

    def gate(self) -> Stop | None:
        """Whether something forbids the next injection, asked afresh."""
        self.stop = self.stop or self._outside(self._clock.now())
        return self.stop

    def _reason(self, tick: int) -> Stop | None:
        now = self._clock.now()
        outside = self._outside(now)
        if outside is not None or self.watch is None:
            return outside
        tripped = self.watch.tripped(tick)
        if tripped is None:
            return None
        return Stop(tripped.stopped_by, tripped.why, now, tripped.check, tripped.clause)

    def _outside(self, now: float) -> Stop | None:
        if self._interrupts.count:
            return Stop("person", f"{self._interrupts.who} asked to stop", now)
        lever = self._lever()
        if lever:
            return Stop("lever", lever, now)
        if self._watchdog is not None and not self._watchdog.alive():
            return Stop(
                "guardian", "the guardian died, or has stopped answering: nobody would undo for a dead runner", now
            )
        if (slept_s := self._clock.slept_s()) > SLEPT_S:
            return Stop("blind", f"this machine slept for {slept_s:.0f} s, and nobody watched meanwhile", now)
        if now >= min(self._deadline_t, self.expires_t + LATE_S):
            return Stop("deadline", "the time this run may take is over", now)
        return None
