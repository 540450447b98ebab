"""The runner's line to its guardian: start it, arm it before each fault, beat with each tick, say goodbye.

The guardian lives in a session of its own; secrets reach it through this socket only.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
from collections.abc import Collection
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
EARLY_S = 0.5  # asked at each tick: the one that falls on the limit must not miss it by a hair
OWED_MIN = 3  # beats without an answer: after a nap of the whole machine it has had time to read
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from chaos_runner.guardian import main; sys.exit(main(*sys.argv[2:]))"
)


class GuardianError(Doubt):
    """There is no guardian, and why."""


class Silence:
    """How long answers to beats have been owed; any answer settles all. Times are told, and may be virtual."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since = 0.0
        self._owed = 0

    def asked(self, now: float) -> None:
        """One beat was sent, or could not be."""
        if not self._owed:
            self._since = now
        self._owed += 1

    def answered(self) -> None:
        """Something came."""
        self._owed = 0

    def too_long(self, now: float) -> bool:
        """Whether nobody is there any more."""
        return self._owed >= OWED_MIN and now - self._since > self._limit_s - EARLY_S


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
        self._silence = Silence(hello.ttl_s)
        self._waiting = False

    @property
    def pid(self) -> int:
        """The guardian's process id; 0 before `start`."""
        return self._process.pid if self._process else 0

    async def start(self) -> wire.Ready:
        """Starts the process and waits until it is ready. Raises GuardianError with its reason."""
        try:
            self._spawn()
        except OSError as why:
            msg = f"the guardian could not be started: {why}"
            raise GuardianError(msg) from None
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

    def _spawn(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, wire.LINE_BYTES_MAX)
        with theirs:
            self._process = self._spawned(theirs.fileno())
        self._pidfd = os.pidfd_open(self._process.pid)

    def _spawned(self, fd: int) -> subprocess.Popen[bytes]:
        myself = os.pidfd_open(os.getpid())  # handed down, so that the guardian can never mistake the runner
        try:
            with self._log.open("ab") as log:
                return subprocess.Popen(
                    [sys.executable, "-I", "-c", self.program, _ROOT, str(fd), str(myself)],
                    pass_fds=(fd, myself),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd="/",
                )
        finally:
            os.close(myself)

    def alive(self) -> bool:
        """Whether the guardian lives, and has answered a beat within the run's TTL: a frozen one is as good as dead."""
        self._listen()
        return self._lives() and not self._silence.too_long(anyio.current_time())

    def _lives(self) -> bool:
        if self._pidfd < 0:
            return False
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return not poll.poll(0)

    def _listen(self) -> None:
        """Takes in what has come; somebody who waits for an answer does that already."""
        if self._socket is None or self._waiting:
            return
        with contextlib.suppress(OSError, wire.WireError):  # what cannot be read is no answer
            self._take(self._socket.recv(65536))

    def _take(self, chunk: bytes) -> None:
        came = self._lines.feed(chunk)
        if came:
            self._silence.answered()
        self._inbox += [message for message in came if not isinstance(message, wire.Heard)]

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
        self._listen()
        self._silence.asked(anyio.current_time())
        return self._try_send(wire.Beat(tick=tick))

    async def bye(self, watched: Collection[str] = ()) -> None:
        """The run ends on purpose; the guardian finishes what is left and goes. Of `watched` only the watch is left."""
        self._try_send(wire.Bye(watched=tuple(watched)))
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None and self._process.poll() is None:
            self._process.returncode = 0  # it may outlive us, on purpose: nobody waits for it
        elif self._process is not None:
            remove_if_empty(self._log)  # else the guardian does, when it goes
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
        self._waiting = True
        try:
            with anyio.fail_after(limit_s):
                while not self._inbox:
                    await anyio.wait_readable(self._socket)
                    chunk = self._socket.recv(65536)
                    if not chunk:
                        msg = "it ended"
                        raise ArmError(msg)
                    self._take(chunk)
        except TimeoutError:
            msg = f"no answer within {limit_s:g} s"
            raise ArmError(msg) from None
        except OSError as why:
            raise ArmError(_said(why)) from None
        finally:
            self._waiting = False
        return self._inbox.pop(0)


def remove_if_empty(log: Path) -> None:
    """A log that nobody wrote to says nothing; best effort."""
    with contextlib.suppress(OSError):
        if log.stat().st_size == 0:
            log.unlink()


def _said(why: OSError) -> str:
    return "it ended" if isinstance(why, ConnectionError) else str(why)
