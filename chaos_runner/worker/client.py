"""The runner's side of a load worker: starts the process, beats, reads ticks, and leaves nothing behind.

Works on asyncio and trio. Every wait has a limit, also while being cancelled.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import Process

from chaos_runner import wire

UP_S_MAX = 10.0
SEND_S_MAX = 2.0
REAP_S_MAX = 2.0
STDERR_BYTES_MAX = 64 * 1024
LEAD_S = 0.05

_ROOT = str(Path(__file__).resolve().parents[2])
# Isolated from the user's folder and variables. The package's own folder comes last: it shadows nothing.
_BOOT = (
    "import sys; sys.path.append(sys.argv.pop(1)); from chaos_runner.worker.__main__ import main; main(sys.argv[1:])"
)
_KEPT_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH")


class WorkerDied(RuntimeError):
    """The worker is gone or no longer listens; the message says what it wrote last. Its measurements are unknown."""


class LoadWorker:
    """A worker process that is up. `start` once, `beat` at least every few seconds, read `ticks` to their end."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._lines = wire.Lines(wire.WorkerOutbox)
        self._stopping = False
        self.loop = ""  # asyncio or uvloop, once it is up

    @property
    def pid(self) -> int:
        return self._process.pid

    async def start(self, plan: wire.LoadPlan, t0_ns: int | None = None) -> int:
        """Starts the load and returns its t0 (CLOCK_MONOTONIC, default 50 ms from now).

        A plan that cannot be sent ends the worker: `ticks` raises with its sentence.
        """
        begin_ns = time.monotonic_ns() + int(LEAD_S * 1e9) if t0_ns is None else t0_ns
        await self._send(wire.Load(plan=plan, t0_ns=begin_ns))
        return begin_ns

    async def beat(self, tick: int = 0) -> None:
        """Tells the worker that its runner lives. Raises WorkerDied."""
        await self._send(wire.Beat(tick))

    async def stop(self) -> None:
        """Ends the sending; `ticks` still yields what was under way, then ends."""
        self._stopping = True
        await self._send(wire.Stop())

    async def ticks(self) -> AsyncIterator[wire.Tick]:
        """Yields ticks as they come, until `stop` has been obeyed. Raises WorkerDied when it ends without that."""
        while (messages := await self._receive()) is not None:
            for message in messages:
                if isinstance(message, wire.Tick):
                    yield message
        code = await self._reaped()
        if code != 0 or not self._stopping:
            raise WorkerDied(await self._last_words(code))

    async def up(self) -> None:
        """Waits for the worker's first word. Raises WorkerDied."""
        with anyio.move_on_after(UP_S_MAX):
            while (messages := await self._receive()) is not None:
                for message in messages:
                    if isinstance(message, wire.Up):
                        self.loop = message.loop
                        return
            raise WorkerDied(await self._last_words(await self._reaped()))
        msg = f"load worker {self.pid} was not up within {UP_S_MAX:.0f} s"
        raise WorkerDied(msg)

    async def _send(self, message: wire.Message) -> None:
        assert self._process.stdin is not None
        try:
            with anyio.fail_after(SEND_S_MAX):
                await self._process.stdin.send(wire.encode(message))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, BrokenPipeError, ConnectionError):
            raise WorkerDied(await self._last_words(await self._reaped())) from None
        except TimeoutError:
            msg = f"load worker {self.pid} has not read for {SEND_S_MAX:.0f} s"
            raise WorkerDied(msg) from None

    async def _receive(self) -> list[wire.Up | wire.Tick] | None:
        assert self._process.stdout is not None
        try:
            return self._lines.feed(await self._process.stdout.receive())
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return None
        except wire.WireError as why:
            msg = f"load worker {self.pid} sent {why}"
            raise WorkerDied(msg) from None

    async def _reaped(self) -> int | None:
        with anyio.move_on_after(REAP_S_MAX):
            return await self._process.wait()
        return None

    async def _last_words(self, code: int | None) -> str:
        # Read only now: a worker writes to stderr when it ends, and never more than the pipe holds.
        text = b""
        assert self._process.stderr is not None
        with anyio.move_on_after(REAP_S_MAX):
            try:
                while len(text) < STDERR_BYTES_MAX:
                    text += await self._process.stderr.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass
        said = text[-STDERR_BYTES_MAX:].decode(errors="replace").strip() or "it said nothing"
        return f"load worker {self.pid} ended with {code}: {said}"


@asynccontextmanager
async def spawn(arguments: Sequence[str] = (), program: str = _BOOT) -> AsyncIterator[LoadWorker]:
    """A worker that is up; killed and reaped on the way out, within two seconds also when cancelled."""
    process = await anyio.open_process(
        [sys.executable, "-I", "-c", program, _ROOT, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
        start_new_session=True,  # Ctrl-C is for the runner: sampling goes on while it undoes
    )
    try:
        worker = LoadWorker(process)
        await worker.up()
        yield worker
    finally:
        if process.returncode is None:
            process.kill()
        with anyio.move_on_after(REAP_S_MAX, shield=True):
            await process.aclose()
