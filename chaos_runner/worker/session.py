"""The worker's side of the pipe: one load for one runner, and the ways it ends.

It never outlives its runner: the pipe's end, ten seconds without a word, and ten seconds without a reader all end it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

from chaos_runner import wire
from chaos_runner.worker.open_loop import OpenLoop
from chaos_runner.worker.stalls import BEAT_NS

SILENCE_NS_MAX = 10_000_000_000
UNREAD_BYTES_MAX = 4 << 20

EXIT_DONE = 0
EXIT_ALONE = 1  # the runner went silent or stopped reading
EXIT_REFUSED = 2  # a message or a plan that cannot be obeyed
EXIT_BUG = 70

_BEAT_S = BEAT_NS / 1e9


class Outbox:
    """Writes lines without ever waiting for the reader; holds at most 4 MiB back, for at most 10 s."""

    def __init__(self, fd: int, clock_ns: Callable[[], int]) -> None:
        self._fd = fd
        self._clock_ns = clock_ns
        self._unread = bytearray()
        self._stuck_since_ns = 0

    @property
    def empty(self) -> bool:
        return not self._unread

    def put(self, message: wire.Message) -> None:
        """Raises BrokenPipeError where the reader is gone."""
        self._unread += wire.encode(message)
        self.flush()

    def flush(self) -> None:
        """Hands over what the pipe takes now. Raises BrokenPipeError."""
        if not self._unread:
            return
        try:
            written = os.write(self._fd, self._unread)
        except BlockingIOError:
            written = 0
        if written or not self._stuck_since_ns:
            self._stuck_since_ns = self._clock_ns()
        del self._unread[:written]
        if not self._unread:
            self._stuck_since_ns = 0

    def overdue(self) -> bool:
        """Whether the reader has stopped reading."""
        if len(self._unread) > UNREAD_BYTES_MAX:
            return True
        return bool(self._stuck_since_ns) and self._clock_ns() - self._stuck_since_ns > SILENCE_NS_MAX


class Session:
    """Obeys one runner until there is nothing more to do; `over` then holds (exit code, sentence for stderr)."""

    def __init__(
        self, inbox_fd: int, outbox_fd: int, loop_name: str, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.over: asyncio.Future[tuple[int, str]] = self._loop.create_future()
        self._clock_ns = clock_ns
        self._inbox_fd = inbox_fd
        self._lines = wire.Lines(wire.WorkerInbox)
        self._outbox = Outbox(outbox_fd, clock_ns)
        self._heard_ns = clock_ns()
        self._load: OpenLoop | None = None
        self._loop.set_exception_handler(self._bug)
        os.set_blocking(inbox_fd, False)
        os.set_blocking(outbox_fd, False)
        self._loop.add_reader(inbox_fd, self._read)
        self._loop.call_soon(self._say, wire.Up(pid=os.getpid(), loop=loop_name))
        self._loop.call_soon(self._beat)

    def _end(self, code: int, why: str) -> None:
        if not self.over.done():
            self.over.set_result((code, why))

    def _bug(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._end(EXIT_BUG, f"load worker failed: {context.get('message')}: {context.get('exception')!r}")

    def _read(self) -> None:
        try:
            chunk = os.read(self._inbox_fd, 65536)
        except BlockingIOError:
            return
        if not chunk:
            self._end(EXIT_DONE, "")  # the runner is gone, and with it everybody who wanted to know
            return
        self._heard_ns = self._clock_ns()
        try:
            for message in self._lines.feed(chunk):
                self._obey(message)
        except (wire.WireError, ValueError) as why:
            self._end(EXIT_REFUSED, f"load not started: {why}")

    def _obey(self, message: wire.WorkerInbox) -> None:
        if isinstance(message, wire.Load):
            self._begin(message)
        elif isinstance(message, wire.Stop):
            self._stop()

    def _begin(self, load: wire.Load) -> None:
        if load.version != wire.VERSION or self._load is not None:
            msg = f"version {load.version}, not {wire.VERSION}" if self._load is None else "a second load"
            raise ValueError(msg)
        self._load = OpenLoop(load.plan, load.t0_ns, self._say, self._clock_ns)
        self._load.start()

    def _stop(self) -> None:
        if self._load is None:
            self._end(EXIT_DONE, "")
        else:
            self._load.stop()

    def _say(self, message: wire.Message) -> None:
        try:
            self._outbox.put(message)
        except BrokenPipeError:
            self._end(EXIT_DONE, "")

    def _beat(self) -> None:
        self._loop.call_later(_BEAT_S, self._beat)
        if self._load is not None:
            self._load.beat()
        try:
            self._outbox.flush()
        except BrokenPipeError:
            self._end(EXIT_DONE, "")
        if self._outbox.overdue():
            self._end(EXIT_ALONE, "load worker ends: nobody has read its ticks for 10 s")
        elif self._clock_ns() - self._heard_ns > SILENCE_NS_MAX:
            self._end(EXIT_ALONE, "load worker ends: no word from the runner for 10 s")
        elif self._load is not None and self._load.done and self._outbox.empty:
            self._end(EXIT_DONE, "")
