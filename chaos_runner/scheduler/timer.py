"""APScheduler, and nothing else of it anywhere: wakes the daemon at the wheel's next instant.

One job, in memory, made anew after each firing. Its own trigger answers once, so nothing is caught up or fired twice:
what came due, and whether it may still run, the wheel and the store decide.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

JOB = "slots"


class Once(BaseTrigger):  # type: ignore[misc]
    """Fires at one instant."""

    def __init__(self, instant: float) -> None:
        self.at = datetime.fromtimestamp(instant, UTC)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The instant, until it was fired."""
        return None if previous_fire_time else self.at


class Timer:
    """Calls `fire` at the instant that was set last."""

    def __init__(self, fire: Callable[[], Awaitable[None]]) -> None:
        self._fire = fire
        self._set: float | None = None
        self._scheduler: Any = AsyncIOScheduler(
            jobstores={"default": MemoryJobStore()},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=UTC,
        )

    def start(self) -> None:
        """From now on."""
        self._scheduler.start()

    def set(self, instant: float | None) -> None:
        """The next instant, instead of the one before; None for none."""
        if instant == self._set:
            return
        self._set = instant
        if instant is None:
            if self._scheduler.get_job(JOB):
                self._scheduler.remove_job(JOB)
        else:
            self._scheduler.add_job(self._fired, Once(instant), id=JOB, replace_existing=True)

    def look(self) -> None:
        """Looks at the wall clock again: it may have been set, and APScheduler waits by another one."""
        self._scheduler.wakeup()

    def stop(self) -> None:
        """Fires nothing more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def _fired(self) -> None:
        self._set = None
        await self._fire()
