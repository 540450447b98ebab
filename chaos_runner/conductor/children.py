"""The runs of a day's steps: processes of sessions of their own, which outlive whoever started them."""

from __future__ import annotations

import contextlib
import fcntl
import signal
import subprocess
import sys
import time
from pathlib import Path

from chaos_runner import store
from chaos_runner.conductor.folder import Folder, Setting
from chaos_runner.store import RunRow

LATE_S = 6.0  # a lever stops a run by itself; only then it is asked by a signal, too
AGAIN_S = 20.0


class Children:
    """Starts them, asks them to stop. What becomes of them is read from the ledger and from their locks."""

    def __init__(self, folder: Folder, setting: Setting, environment: str) -> None:
        self._folder = folder
        self._setting = setting
        self._environment = environment
        self._mine: dict[str, subprocess.Popen[bytes]] = {}
        self._asked: dict[str, float] = {}
        self._waits: dict[str, float] = {}

    def start(self, run: str, plan: Path, day_and_step: str) -> None:
        """Starts one. It holds its lock as its standard input, so that no process of its own inherits it."""
        with self._folder.lock_of(run).open("w+b") as lock, self._folder.log_of(run).open("ab") as log:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._mine[run] = subprocess.Popen(
                self._words(plan, day_and_step),
                stdin=lock,
                stdout=log,
                stderr=log,
                cwd=self._setting.cwd,
                start_new_session=True,
            )

    def lives(self, run: str) -> bool:
        """Whether the process goes on."""
        mine = self._mine.get(run)
        return mine.poll() is None if mine is not None else self._folder.lives(run)

    def halt(self, run: str, row: RunRow | None, *, late: bool) -> bool:
        """Asks a run to stop and to undo, once; again after a while. True when it was asked now."""
        now = time.monotonic()
        since = self._waits.setdefault(run, now)
        if (late and now - since < LATE_S) or now - self._asked.get(run, -AGAIN_S) < AGAIN_S:
            return False
        if row is not None and row.state != "RUNNING":
            return False  # somebody undoes already
        if row is not None:
            with store.signalled(row.owner, signal.SIGTERM) as pidfd:
                sent = pidfd is not None
        else:
            sent = self._terminate(run)
        if sent:
            self._asked[run] = now
        return sent

    def _terminate(self, run: str) -> bool:
        mine = self._mine.get(run)
        if mine is None or mine.poll() is not None:
            return False
        with contextlib.suppress(ProcessLookupError):
            mine.terminate()
        return True

    def _words(self, plan: Path, day_and_step: str) -> list[str]:
        head = [sys.executable, "-m", "chaos_runner", "run", "--plan", str(plan), "--day", day_and_step, "--yes"]
        head += ["-e", self._environment, "--state", str(self._folder.state_dir), "--reports", self._setting.reports]
        return [*head, "--config", self._setting.config] if self._setting.config else head
