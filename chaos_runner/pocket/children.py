"""The processes of one world: started tied to their supervisor, watched, and ended together."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from chaos_runner.pocket import processes, tether

READY_WITHIN_S = 15.0
END_WITHIN_S = 3.0
LINE_BYTES_MAX = 64 * 1024


class NotReady(RuntimeError):
    """A process ended, or kept silent, before it was ready."""


class Child(msgspec.Struct):
    """One process of the world and who it is."""

    name: str
    process: asyncio.subprocess.Process
    id: processes.ProcessId

    def lives(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.returncode is None

    async def announcement(self, within_s: float = READY_WITHIN_S) -> dict[str, object]:
        """The JSON line that it prints when it is ready."""
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(within_s):
                line = await self.process.stdout.readline()
        except TimeoutError as late:
            raise NotReady(f"{self.name} said nothing within {within_s:g} s") from late
        try:
            return msgspec.json.decode(line, type=dict[str, object])
        except msgspec.DecodeError as refusal:
            raise NotReady(f"{self.name} ended before it was ready, or said {line[:200]!r}") from refusal


class Children:
    """Starts processes that cannot outlive this one, and ends them all, newest first."""

    def __init__(self) -> None:
        # One pipe for all: its far end is held here alone, so everyone reads EOF when this process is gone.
        self._stdin, self._lifeline = os.pipe()
        self._children: list[Child] = []
        self._watchers: list[asyncio.Task[None]] = []
        self._ending = False

    async def start(self, name: str, argv: Sequence[str], env: Mapping[str, str], *, announces: bool = True) -> Child:
        """A new child in its own session; its stdout is read here if it announces itself, its stderr is ours."""
        tied = [sys.executable, "-I", "-S", str(Path(tether.__file__)), str(os.getpid()), *argv]
        process = await asyncio.create_subprocess_exec(
            *tied,
            stdin=self._stdin,
            stdout=asyncio.subprocess.PIPE if announces else asyncio.subprocess.DEVNULL,
            env={**os.environ, **env},
            start_new_session=True,
            limit=LINE_BYTES_MAX,
        )
        child = Child(name, process, _identify(name, process.pid))
        self._children.append(child)
        self._watchers.append(asyncio.create_task(self._watch(child)))
        return child

    def ids(self) -> dict[str, processes.ProcessId]:
        """Who they are."""
        return {child.name: child.id for child in self._children}

    async def end(self) -> None:
        """Everyone is gone afterwards: asked first, killed after the limit, woken if frozen."""
        self._ending = True
        os.close(self._lifeline)
        for child in reversed(self._children):
            _signal_group(child, signal.SIGTERM)
            _signal_group(child, signal.SIGCONT)
        if self._watchers:
            await asyncio.wait(self._watchers, timeout=END_WITHIN_S)
        for child in self._children:
            _signal_group(child, signal.SIGKILL)
        if self._watchers:
            await asyncio.wait(self._watchers, timeout=END_WITHIN_S)
        os.close(self._stdin)

    async def _watch(self, child: Child) -> None:
        code = await child.process.wait()
        if not self._ending:
            # The others stay: this death may be the fault that somebody wants to see.
            sys.stderr.write(f"{child.name} (pid {child.id.pid}) ended by itself with code {code}\n")
            sys.stderr.flush()


def _identify(name: str, pid: int) -> processes.ProcessId:
    try:
        return processes.identify(pid)
    except ProcessLookupError as gone:
        raise NotReady(f"{name} ended at once") from gone


def _signal_group(child: Child, number: int) -> None:
    # Once it was waited for, its number may name somebody else.
    if child.lives():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.id.pid, number)
