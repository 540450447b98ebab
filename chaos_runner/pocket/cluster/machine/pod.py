"""One pod as a process of its node: started tied to it, asked whether it is ready, started again, ended with grace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from chaos_runner import wire
from chaos_runner.pocket import tether
from chaos_runner.pocket.cluster.machine.messages import Began, Check, Ended, Gone, Readiness, Run

BACK_OFF_S = (1.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
WELL_AFTER_S = 600.0  # who ran so long begins with the shortest back-off again
EAGER_S = 0.2  # how often is asked before the first success
ANSWER_BYTES_MAX = 64
END_WITHIN_S = 2.0

Say = Callable[[wire.Message], None]


class Pod:
    """One pod of this node."""

    def __init__(self, run: Run, lifeline: int, say: Say) -> None:
        self._run = run
        self._lifeline = lifeline
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._halted = asyncio.Event()
        self._grace_s = 0.0
        self._task = asyncio.create_task(self._live())

    def halt(self, grace_s: float) -> None:
        """Asks it to end; a shorter grace than before counts."""
        shorter = self._halted.is_set() and grace_s < self._grace_s
        self._grace_s = grace_s
        if shorter:
            self._kill()
        if not self._halted.is_set():
            self._halted.set()

    def done(self) -> bool:
        """Whether nothing is left of it."""
        return self._task.done()

    async def gone(self) -> None:
        """Returns when nothing is left of it."""
        await asyncio.wait([self._task])

    async def _live(self) -> None:
        failures = restarts = 0
        try:
            while not self._halted.is_set():
                began = asyncio.get_running_loop().time()
                code = await self._once(restarts)
                if self._halted.is_set():
                    break
                lived_s = asyncio.get_running_loop().time() - began
                failures = 0 if lived_s > WELL_AFTER_S else failures
                again_s = self._again_in_s(code, failures)
                self._say(Ended(self._run.uid, code, again_s))
                failures, restarts = failures + 1, restarts + 1
                await self._halted_within(again_s if again_s >= 0 else None)
        finally:
            self._say(Gone(self._run.uid))

    async def _once(self, restarts: int) -> int:
        """One life of the process; its exit code."""
        self._process = await self._started()
        self._say(Began(self._run.uid, self._process.pid, restarts))
        ended = asyncio.create_task(self._process.wait())
        halted = asyncio.create_task(self._halted.wait())
        asking = asyncio.create_task(self._ask(self._run.check)) if self._run.check is not None else None
        try:
            await asyncio.wait([ended, halted], return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await self._end(ended)
        finally:
            halted.cancel()
            if asking is not None:
                asking.cancel()
            self._kill()
        return await ended

    async def _started(self) -> asyncio.subprocess.Process:
        tied = [sys.executable, "-I", "-S", str(Path(tether.__file__)), str(os.getpid()), *self._run.argv]
        log = os.open(self._run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return await asyncio.create_subprocess_exec(
                *tied, stdin=self._lifeline, stdout=log, stderr=log, env=self._run.env, start_new_session=True
            )
        finally:
            os.close(log)

    async def _end(self, ended: asyncio.Task[int]) -> None:
        """SIGTERM, and SIGKILL when the grace is over; a frozen one is woken so that it can hear."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        await asyncio.wait([ended], timeout=self._grace_s)
        self._kill()
        await asyncio.wait([ended], timeout=END_WITHIN_S)

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        # Once it was waited for, its number may name somebody else.
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _again_in_s(self, code: int, failures: int) -> float:
        if self._run.restart == "Never" or (self._run.restart == "OnFailure" and code == 0):
            return -1.0
        return BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)]

    async def _halted_within(self, seconds: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._halted.wait()

    async def _ask(self, check: Check) -> None:
        """Asks again and again, and tells when the answer changes."""
        await asyncio.sleep(check.delay_s)
        ready, good, bad = False, 0, 0
        while True:
            if await _answers(self._run.address, check):
                good, bad = good + 1, 0
            else:
                good, bad = 0, bad + 1
            now = ready
            if good >= check.successes:
                now = True
            elif bad >= check.failures:
                now = False
            if now != ready:
                ready = now
                self._say(Readiness(self._run.uid, ready))
            await asyncio.sleep(check.every_s if ready else min(EAGER_S, check.every_s))


async def _answers(address: str, check: Check) -> bool:
    """Whether it answers with a status from 200 to 399 in time."""
    writer = None
    try:
        async with asyncio.timeout(check.timeout_s):
            reader, writer = await asyncio.open_connection(address, check.port)
            writer.write(f"GET {check.path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n".encode())
            line = await reader.read(ANSWER_BYTES_MAX)
    except OSError:
        return False
    finally:
        if writer is not None:
            writer.close()
    status = line.split(b" ")[1:2]
    return bool(status) and status[0] in {b"%d" % code for code in range(200, 400)}
