"""A load worker as a stream of samples. A worker that dies leaves unknown ticks, not a dead run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator

import anyio

from chaos_runner import wire
from chaos_runner.api import Refused
from chaos_runner.clock import nursery
from chaos_runner.probes import _streams
from chaos_runner.records import Sample
from chaos_runner.worker import client

FINISH_S = 2.0  # over the timeout of the last request
TICKS_FILLED_MAX = 3600


@contextlib.asynccontextmanager
async def running(plan: wire.LoadPlan, t0_ns: int) -> AsyncIterator[Load]:
    """Sends the load until left. Raises Refused where the worker does not start."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            worker = await stack.enter_async_context(client.spawn())
            await worker.start(plan, t0_ns)
        except (client.WorkerDied, OSError) as why:
            raise Refused(f"the load for {plan.check} did not start: {why}") from None
        load = Load(worker, plan, t0_ns)
        async with nursery() as group:
            group.start_soon(load.receive)
            yield load
            group.cancel_scope.cancel()


class Load:
    """What a load worker has measured so far."""

    def __init__(self, worker: client.LoadWorker, plan: wire.LoadPlan, t0_ns: int) -> None:
        self._worker = worker
        self._plan = plan
        self._t0_ns = t0_ns
        self._fresh: list[Sample] = []
        self._final = [-1] * len(plan.clauses)  # the last tick that is final, for each clause
        self._over = anyio.Event()
        self._died = ""

    async def receive(self) -> None:
        """Follows the worker to its end."""
        try:
            async for tick in self._worker.ticks():
                for clause in tick.clauses:
                    self._final[clause] = tick.n
                self._fresh.append(_streams.sample(tick))
        except client.WorkerDied as why:
            self._died = str(why)
        self._over.set()

    def take(self) -> tuple[Sample, ...]:
        """What has come since; after the worker's death, unknown ticks up to now."""
        if self._died:
            self._fill()
        fresh, self._fresh = self._fresh, []
        return tuple(fresh)

    def _fill(self) -> None:
        last = (time.monotonic_ns() - self._t0_ns) // 10**9 - 1
        for n in range(max(min(self._final) + 1, last - TICKS_FILLED_MAX), last + 1):
            missing = tuple(clause for clause, final in enumerate(self._final) if final < n)
            self._fresh.append(_streams.lost(self._plan.check, n, missing, round(self._plan.rate), self._died))
        self._final = [max(final, last) for final in self._final]

    async def beat(self) -> None:
        """Tells the worker that the control loop is alive."""
        if self._died:
            return
        try:
            await self._worker.beat()
        except client.WorkerDied as why:
            self._died = str(why)

    async def finish(self) -> tuple[Sample, ...]:
        """Stops sending and waits for the answers under way, at most their timeout and two seconds."""
        try:
            await self._worker.stop()
        except client.WorkerDied as why:
            self._died = str(why)
        with anyio.move_on_after(self._plan.timeout_s + FINISH_S):
            await self._over.wait()
        return self.take()
