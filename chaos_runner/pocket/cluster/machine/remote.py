"""A node or the network as the control plane sees it: a child process, told through its stdin, heard at its stdout."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos_runner import wire
from chaos_runner.pocket import processes, tether, world

END_WITHIN_S = 5.0
CHUNK_BYTES = 64 * 1024


class Remote:
    """One process."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.id = processes.identify(process.pid)
        self._process = process

    def send(self, message: wire.Message) -> None:
        """Says something; to one that is dead it is lost."""
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            with contextlib.suppress(ConnectionError):
                self._process.stdin.write(wire.encode(message))

    async def hear(self, types: Any, heard: Callable[[str, wire.Message], None]) -> None:
        """Hands on what it says, until it ends."""
        assert self._process.stdout is not None
        lines = wire.Lines(types)
        while data := await self._process.stdout.read(CHUNK_BYTES):
            for message in lines.feed(data):
                heard(self.name, message)

    async def end(self) -> None:
        """It is gone afterwards: asked by the end of its stdin, woken if it is frozen, killed after the limit."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)
        try:
            async with asyncio.timeout(END_WITHIN_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


async def started(name: str, module: str) -> Remote:
    """A module of this package as a process that cannot outlive this one."""
    argv = [sys.executable, "-P", "-m", module]
    tied = [sys.executable, "-I", "-S", str(Path(tether.__file__)), str(os.getpid()), *argv]
    process = await asyncio.create_subprocess_exec(
        *tied,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=world.environment(),
        start_new_session=True,
    )
    return Remote(name, process)
