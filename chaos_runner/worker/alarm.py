"""Wakes the event loop at a moment of CLOCK_MONOTONIC, to some 50 microseconds where Linux helps.

The loops' own timers count in milliseconds: half of one would be added to every latency.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable

_ABSOLUTE = 1
_MONOTONIC = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)


class _Spec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Alarm:
    """Calls `ring` once for each `set`; setting it again moves it."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._spec = _Spec()
        self._fd = -1
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._fd = self._libc.timerfd_create(_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._fd >= 0:
            self._loop.add_reader(self._fd, self._rung)

    def set(self, at_ns: int) -> None:
        """A moment that has passed rings at once."""
        if self._fd < 0:
            # Rounding up to the millisecond never rings early and so never spins.
            wait_ms = max((at_ns - time.monotonic_ns()) // 1_000_000 + 1, 0)
            self._timer = self._loop.call_later(wait_ms / 1000, self._ring)
            return
        self._spec.value_s, self._spec.value_ns = divmod(max(at_ns, 1), 1_000_000_000)
        self._libc.timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(self._spec), None)

    def close(self) -> None:
        """Never rings again."""
        if self._timer is not None:
            self._timer.cancel()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _rung(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        # After whatever else has arrived: a connection that was closed by now is then known to be.
        self._loop.call_soon(self._ring)
