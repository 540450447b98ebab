"""The processes that run claimed slots: each in a session of its own, so that it outlives the daemon."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from chaos_runner.model import Pick

LOGS = "slots"
LOGS_MAX = 200
END_S = 120.0


class Command(msgspec.Struct, frozen=True):
    """Where a run of a schedule finds its files."""

    state_dir: Path
    config: Path
    reports: Path
    cwd: Path

    def words(self, run: str, file: str, environment: str, reach: Pick | None) -> list[str]:
        """Its command line."""
        head = [sys.executable, "-m", "chaos_runner", "run", file, "-e", environment, "--slot", run, "--yes"]
        if reach is not None:
            head += ["--reach", f"{reach.share:.0%}" if reach.share else str(reach.number)]
        return [*head, "--config", str(self.config), "--state", str(self.state_dir), "--reports", str(self.reports)]


class Children:
    """Those of this daemon that go on."""

    def __init__(self, command: Command, ended: Callable[[str, int], None]) -> None:
        self._command = command
        self._ended = ended
        self._going: dict[str, asyncio.subprocess.Process] = {}
        self._waits: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._going)

    async def start(self, run: str, file: str, environment: str, reach: Pick | None = None) -> None:
        """Starts it. Raises OSError."""
        folder = self._command.state_dir / LOGS
        folder.mkdir(mode=0o700, exist_ok=True)
        _make_room(folder)
        with (folder / f"{run}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self._command.words(run, file, environment, reach),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._command.cwd,
                env=_environ(os.environ),
                start_new_session=True,
            )
        self._going[run] = process
        task = asyncio.create_task(self._wait(run, process))
        self._waits.add(task)
        task.add_done_callback(self._waits.discard)

    async def abort(self, limit_s: float = END_S) -> list[str]:
        """Asks all to stop and to undo; those that did not end within the limit."""
        for process in self._going.values():
            process.send_signal(signal.SIGTERM)
        if self._waits:
            await asyncio.wait(set(self._waits), timeout=limit_s)
        return sorted(self._going)

    async def _wait(self, run: str, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        del self._going[run]
        self._ended(run, code)


def _environ(given: Mapping[str, str]) -> dict[str, str]:
    """Without what systemd told the daemon alone."""
    return {key: value for key, value in given.items() if key not in {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}}


def _make_room(folder: Path) -> None:
    logs = sorted(folder.glob("*.log"))  # their names sort by time
    for old in logs[: max(0, len(logs) - LOGS_MAX + 1)]:
        old.unlink(missing_ok=True)
