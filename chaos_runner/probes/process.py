"""How a process of this machine is: alive, its state, its memory, its share of a core."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any, ClassVar

import anyio
import msgspec
from msgspec import Meta

from chaos_runner.api import Env, Metric, Reading, Refused, Unknown
from chaos_runner.clients import processes
from chaos_runner.clients.processes import Identity, Status

STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting",
    "I": "idle",
    "T": "stopped",
    "t": "traced",
    "Z": "dead",
    "X": "dead",
}


class ProcessProbe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Looks at a process that the environment names under `processes:`."""

    kind: ClassVar[str] = "process"

    process: Annotated[str, Meta(description="the name of a process of the environment", min_length=1)]

    def metrics(self) -> tuple[Metric, ...]:
        """What a clause may name."""
        return (
            Metric("alive", "gauge", "any", "true or false; `alive == true`"),
            Metric("state", "gauge", "text", f"one of {', '.join(sorted(set(STATES.values())))}"),
            Metric("rss", "gauge", "number", "its memory, such as `rss <= 200MiB`"),
            Metric("cpu", "gauge", "percent", "share of one core since the sample before"),
        )

    def reads(self, env: Env) -> str:
        """The process's name. Raises Refused when the environment lacks it."""
        processes.named(env, self.process)
        return f"process/{self.process}"

    async def read(self, env: Env) -> Reading:
        """One look at /proc."""
        try:
            status = processes.find(env, self.process)
        except processes.Gone:
            return Reading({"alive": False, "state": "dead"})
        except Refused as why:
            raise Unknown(str(why)) from None
        values: dict[str, Any] = {"alive": status.alive, "state": STATES.get(status.state, "waiting")}
        values["rss"] = status.rss_bytes
        last: _Last = await env.opened(f"process/{self.process}", _remembered)
        cpu = last.cpu(status, anyio.current_time())
        return Reading(values if cpu is None else values | {"cpu": cpu})


class _Last:
    """The sample before, to make a rate of a total."""

    def __init__(self) -> None:
        self._seen: tuple[Identity, float, float] | None = None

    def cpu(self, status: Status, now: float) -> float | None:
        """The share since the last call; None the first time, and after a restart."""
        seen, self._seen = self._seen, (status.identity, status.cpu_s, now)
        if seen is None or seen[0] != status.identity or now <= seen[2]:
            return None
        return round((status.cpu_s - seen[1]) / (now - seen[2]), 4)


async def _remembered(_env: Env) -> contextlib.AbstractAsyncContextManager[_Last]:
    return _remember()


@contextlib.asynccontextmanager
async def _remember() -> AsyncIterator[_Last]:
    yield _Last()
