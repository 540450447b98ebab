"""Listens to the alerts of the environment beside the control loop. Decides nothing, and never delays a decision."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

import anyio

from chaos_runner.alerts import Heard
from chaos_runner.api import AlertSource, Doubt, Env, Refused
from chaos_runner.clock import Clock, nursery
from chaos_runner.detection import Detection, Said

READ_S = 4.0


class Listening:
    """Reads the source once a second while it runs; `tell` is given what is new, with its time."""

    def __init__(
        self, source: AlertSource, detection: Detection, env: Env, clock: Clock, tell: Callable[[Said, float], None]
    ) -> None:
        self.detection = detection
        self._source = source
        self._env = env
        self._clock = clock
        self._tell = tell

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listens until left."""
        self.detection.began_t = self._clock.now()
        async with nursery() as group:
            group.start_soon(self._listen)
            try:
                yield
            finally:
                group.cancel_scope.cancel()

    async def _listen(self) -> None:
        while True:
            heard = await self._read()
            now = self._clock.now()
            for said in self.detection.observe(now, heard):
                self._tell(said, now)
            await self._clock.until(self._clock.next_tick())

    async def _read(self) -> Heard | str:
        try:
            with anyio.fail_after(READ_S):
                return await self._source.heard(self._env)
        except (Refused, Doubt) as why:
            return str(why)
        except TimeoutError:
            return f"no answer within {READ_S:g} s"
