"""The two clocks of a run: wall time for people, and seconds since its start for every duration."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable

import anyio
from anyio.abc import TaskGroup


def asleep_s() -> float:
    """For how long this machine has slept since its boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


class Clock:
    """Starts when made, or `ago_s` before. `now` ignores clock steps and sleep; `wall` is only ever printed."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        *,
        ago_s: float = 0.0,
        asleep: Callable[[], float] = asleep_s,
    ) -> None:
        self.t0 = anyio.current_time() - ago_s
        self.wall = wall
        self.asleep = asleep
        self._asleep_before_s = asleep()

    def now(self) -> float:
        """Seconds since the run's start."""
        return anyio.current_time() - self.t0

    def slept_s(self) -> float:
        """Seconds that have passed and that `now` knows nothing of, for the machine slept."""
        return self.asleep() - self._asleep_before_s

    def next_tick(self) -> int:
        """The first tick that has not begun."""
        return math.floor(self.now()) + 1

    async def until(self, t: float, *wakes: anyio.Event) -> None:
        """Returns at `t`, or as soon as one of the events is set."""
        with anyio.move_on_after(max(0.0, t - self.now())):
            await _any(wakes)


async def _any(wakes: tuple[anyio.Event, ...]) -> None:
    if not wakes:
        await anyio.sleep_forever()
    if any(wake.is_set() for wake in wakes):
        return
    async with anyio.create_task_group() as group:

        async def one(wake: anyio.Event) -> None:
            await wake.wait()
            group.cancel_scope.cancel()

        for wake in wakes:
            group.start_soon(one, wake)


@contextlib.asynccontextmanager
async def nursery() -> AsyncIterator[TaskGroup]:
    """A task group whose only error arrives as itself, not wrapped in a group of one."""
    try:
        async with anyio.create_task_group() as group:
            yield group
    except BaseExceptionGroup as many:
        if len(many.exceptions) == 1:
            raise many.exceptions[0] from None
        raise
