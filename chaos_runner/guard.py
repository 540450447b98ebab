"""The runner's line to its guardian: start it, arm it before each fault, beat with each tick, say goodbye.

The guardian lives in a session of its own; secrets reach it through this socket only.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from pathlib import Path

import anyio
import msgspec

from chaos_runner import wire
from chaos_runner.api import Doubt
from chaos_runner.drive import ArmError
from chaos_runner.store.rows import FaultRow

_ROOT = str(Path(__file__).resolve().parent.parent)
START_S = 15.0
ARM_S = 2.0
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from chaos_runner.guardian import main; sys.exit(main(*sys.argv[2:]))"
)


class GuardianError(Doubt):
    """There is no guardian, and why."""


class GuardianLine:
    """One guardian process and the socket to it. `program` is what its interpreter runs."""

    program = _BOOT

    def __init__(self, hello: wire.Hello, log: Path) -> None:
        self._hello = hello
        self._log = log
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._lines = wire.Lines(wire.GuardianOutbox)
        self._inbox: list[wire.Message] = []

    @property
    def pid(self) -> int:
        """The guardian's process id; 0 before `start`."""
        return self._process.pid if self._process else 0

    async def start(self) -> wire.Ready:
        """Starts the process and waits until it is ready. Raises GuardianError with its reason."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, wire.LINE_BYTES_MAX)
        myself = os.pidfd_open(os.getpid())  # handed down, so that the guardian can never mistake the runner
        argv = [sys.executable, "-I", "-c", self.program, _ROOT, str(theirs.fileno()), str(myself)]
        with theirs, self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 -- a fork takes a millisecond; nothing runs beside it
                argv,
                pass_fds=(theirs.fileno(), myself),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        os.close(myself)
        self._socket, self._pidfd = ours, os.pidfd_open(self._process.pid)
        try:
            self._send(self._hello)
            answer = await self._receive(START_S)
        except (ArmError, wire.WireError) as why:
            msg = f"the guardian did not start: {why} (its log: {self._log})"
            raise GuardianError(msg) from None
        if not isinstance(answer, wire.Ready):
            msg = f"the guardian is not ready: {getattr(answer, 'why', answer)}"
            raise GuardianError(msg)
        return answer

    def alive(self) -> bool:
        """Whether the guardian process still lives."""
        if self._pidfd < 0:
            return False
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return not poll.poll(0)

    async def arm(self, row: FaultRow) -> None:
        """Returns once the guardian holds the row. Raises ArmError."""
        self._send(wire.Arm(row=msgspec.to_builtins(row)))
        try:
            answer = await self._receive(ARM_S)
        except wire.WireError as why:
            raise ArmError(str(why)) from None
        if not (isinstance(answer, wire.Armed) and answer.id == row.id):
            msg = f"unexpected answer {answer!r:.100}"
            raise ArmError(msg)

    async def disarm(self, fault: str) -> None:
        """The fault is closed; best effort."""
        self._try_send(wire.Disarm(id=fault))

    def beat(self, tick: int) -> bool:
        """Tells it that the control loop judged this tick; False when it cannot be told."""
        return self._try_send(wire.Beat(tick=tick))

    async def bye(self) -> None:
        """The run ends on purpose; the guardian finishes what is left and goes."""
        self._try_send(wire.Bye())
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None and self._process.poll() is None:
            self._process.returncode = 0  # it may outlive us, on purpose: nobody waits for it
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def _try_send(self, message: wire.Message) -> bool:
        try:
            self._send(message)
        except ArmError:
            return False
        return True

    def _send(self, message: wire.Message) -> None:
        """All of it or ArmError: a guardian that does not read is no guardian."""
        line = wire.encode(message)
        if self._socket is None:
            msg = "there is no guardian"
            raise ArmError(msg)
        try:
            sent = self._socket.send(line)
        except OSError as why:
            raise ArmError(_said(why)) from None
        if sent != len(line):
            msg = "it does not read"
            raise ArmError(msg)

    async def _receive(self, limit_s: float) -> wire.Message:
        if self._socket is None:
            msg = "there is no guardian"
            raise ArmError(msg)
        try:
            with anyio.fail_after(limit_s):
                while not self._inbox:
                    await anyio.wait_readable(self._socket)
                    chunk = self._socket.recv(65536)
                    if not chunk:
                        msg = "it ended"
                        raise ArmError(msg)
                    self._inbox += self._lines.feed(chunk)
        except TimeoutError:
            msg = f"no answer within {limit_s:g} s"
            raise ArmError(msg) from None
        except OSError as why:
            raise ArmError(_said(why)) from None
        return self._inbox.pop(0)


def _said(why: OSError) -> str:
    return "it ended" if isinstance(why, ConnectionError) else str(why)
