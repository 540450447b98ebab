"""Processes that run activities for us, each with a hard end: what does not answer in time is killed with its children.

A python activity cannot be stopped from within its process, and a process activity leaves its grandchildren behind.
So nothing of Chaos Toolkit runs in our own process, and every one of its processes leads a group that dies as one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import msgspec

from chaos_runner.chaostoolkit.frames import FrameError, Frames, framed

_ROOT = str(Path(__file__).resolve().parent.parent.parent)
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from chaos_runner.chaostoolkit.hands import main; sys.exit(main(sys.argv[2]))"
)
START_S = 20.0
GONE_S = 1.0
SEND_S = 2.0


class Lost(Exception):
    """There is no answer, and why: the process was killed for being late, or ended by itself."""


class Setting(msgspec.Struct, frozen=True):
    """What a worker is started with. `environ` is all of its environment: nothing is inherited."""

    environ: Mapping[str, str]
    cwd: str = "/"
    path: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    log: str = os.devnull


class Worker:
    """One process, asked one thing at a time."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.missing: dict[str, str] = {}
        self._line: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._frames = Frames()

    @property
    def pid(self) -> int:
        """Its process id, which is also its group's; 0 before it was started."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._line is not None and self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Starts it and has it import what it will need; `missing` says what could not be. Raises Lost."""
        try:
            self._spawn()
        except OSError as why:
            msg = f"it could not be started: {why}"
            raise Lost(msg) from None
        told = await self.ask({"do": "prepare", "path": self.setting.path, "modules": self.setting.modules}, START_S)
        if not told["ok"]:
            self.kill()
            msg = f"it could not be prepared: {told['why']}"
            raise Lost(msg)
        self.missing = told["missing"]

    async def ask(self, message: dict[str, Any], limit_s: float) -> dict[str, Any]:
        """The answer to one request. Raises Lost when there is none within the limit; the process is gone then."""
        if self._line is None:
            msg = "it is gone"
            raise Lost(msg)
        try:
            with anyio.fail_after(limit_s):
                await self._send(self._line, framed(message))
                return await self._receive(self._line)
        except TimeoutError:
            self.kill()
            msg = f"no answer within {limit_s:g} s: it was killed"
            raise Lost(msg) from None
        except (OSError, FrameError) as why:
            self.kill()
            msg = f"it ended: {why}"
            raise Lost(msg) from None
        except anyio.get_cancelled_exc_class():
            self.kill()  # somebody hurries: what it was doing must not go on behind our back
            raise

    def kill(self) -> None:
        """Ends it and all that it started, at once; safe to repeat."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GONE_S)

    def _spawn(self) -> None:
        self._line, theirs = socket.socketpair()
        self._line.setblocking(False)
        with theirs, Path(self.setting.log).open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _BOOT, _ROOT, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.setting.cwd,
                env=dict(self.setting.environ),
            )

    async def _send(self, line: socket.socket, rest: bytes) -> None:
        while rest:
            await anyio.wait_writable(line)
            rest = rest[line.send(rest) :]

    async def _receive(self, line: socket.socket) -> dict[str, Any]:
        while True:
            await anyio.wait_readable(line)
            chunk = line.recv(1 << 16)
            if not chunk:
                msg = f"its process is gone ({_ending(self._process)})"
                raise OSError(msg)
            for message in self._frames.feed(chunk):
                return message


def _ending(process: subprocess.Popen[bytes] | None) -> str:
    if process is None:
        return "never started"
    with contextlib.suppress(subprocess.TimeoutExpired):
        code = process.wait(GONE_S)
        return f"signal {-code}" if code < 0 else f"exit code {code}"
    return "it closed its line"
