"""What a process of the simulation is: something that can die, stop and go on between any two of its effects.

Outside effects are requests, commits and messages. A dead process raises Crash at its next one, so that whatever its
code still does in memory reaches nobody.
"""

from __future__ import annotations

import contextvars
import math
from collections import Counter
from typing import Literal

import anyio
import trio

Kind = Literal["runner", "guardian", "recovery"]


class Crash(BaseException):
    """This process is dead."""


class Story:
    """What happened, in order, one line each; and how often what kind of thing did."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.tally: Counter[str] = Counter()

    def tell(self, who: str, what: str, counts: str = "") -> None:
        self.lines.append(f"{trio.current_time():9.3f}  {who:<11} {what}")
        if counts:
            self.tally[counts] += 1


class Proc:
    """One process. `kill_at` is the number of the effect that is its last, and whether that one still lands."""

    def __init__(self, name: str, kind: Kind, story: Story) -> None:
        self.name, self.kind, self.story = name, kind, story
        self.dead_t = math.inf
        self.ended_t = math.inf
        self.stopped_t = math.inf
        self.began_t = trio.current_time()
        self.away: list[tuple[float, float]] = []  # when it was stopped, or hung
        self.hung = False
        self.effects = 0
        self.kill_at = (math.inf, True)
        self.stop_at = (math.inf, 0.0)
        self._goes_on = anyio.Event()
        self.on_end: list[object] = []
        self.scope: trio.Nursery | None = None

    @property
    def dead(self) -> bool:
        return self.dead_t < math.inf

    @property
    def over(self) -> bool:
        return self.dead or self.ended_t < math.inf

    @property
    def stopped(self) -> bool:
        return self.stopped_t < math.inf

    def kill(self, why: str, counts: str) -> None:
        if self.over:
            return
        self.dead_t = trio.current_time()
        self.story.tell(self.name, why, f"{self.kind} {counts}")
        self._goes_on.set()
        self._gone()

    def end(self) -> None:
        if not self.over:
            self.ended_t = trio.current_time()
            self._gone()

    def _gone(self) -> None:
        for tell in self.on_end:
            tell()  # type: ignore[operator]

    def stop(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT so much later."""
        if self.over or self.stopped:
            return
        self.stopped_t = trio.current_time()
        self.away.append((self.stopped_t, self.stopped_t + seconds))
        self.story.tell(self.name, f"is stopped for {seconds:.1f} s", f"{self.kind} stopped")
        assert self.scope is not None
        self.scope.start_soon(self._go_on, seconds)

    async def _go_on(self, seconds: float) -> None:
        await trio.sleep(seconds)
        if not self.over and not self.hung:
            self.stopped_t = math.inf
            self.story.tell(self.name, "goes on", f"{self.kind} went on")
        self._goes_on.set()
        self._goes_on = anyio.Event()

    def hang(self, what: str) -> None:
        """A call that never returns: alive, for all that others see, and doing nothing more."""
        self.hung = True
        if not self.stopped:
            self.stopped_t = trio.current_time()
        self.away.append((trio.current_time(), math.inf))
        self.story.tell(self.name, f"{what} never returns", f"{self.kind} hung")
        raise Crash

    async def gate(self, what: str) -> None:
        """Before an effect that may wait: a stopped process does."""
        self.effects += 1
        if self.effects >= self.stop_at[0] and not self.stopped:
            seconds, self.stop_at = self.stop_at[1], (math.inf, 0.0)
            self.stop(seconds)
        while self.stopped and not self.over and not self.hung:
            await self._goes_on.wait()
        self.check(what)

    def effect(self, what: str) -> None:
        """Before an effect that cannot wait."""
        self.effects += 1
        self.check(what)

    def check(self, what: str) -> None:
        at, lands = self.kill_at
        if self.effects >= at and not lands:
            self.kill(f"is killed before: {what}", "killed at an effect")
        if self.dead or self.hung:
            raise Crash

    def done(self, what: str) -> None:
        """After an effect."""
        at, lands = self.kill_at
        if self.effects >= at and lands:
            self.kill(f"is killed after: {what}", "killed at an effect")
        if self.dead or self.hung:
            raise Crash


CURRENT: contextvars.ContextVar[Proc] = contextvars.ContextVar("process")
