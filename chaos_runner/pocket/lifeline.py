"""How a process of a world notices that it should end: a signal, or the end of its stdin."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


async def end_asked(*, until_eof: bool) -> asyncio.Event:
    """An event that is set by SIGTERM, SIGINT, SIGHUP and, where asked for, by EOF on stdin."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, asked.set)
    if until_eof:
        await loop.connect_read_pipe(lambda: _Lifeline(asked.set), sys.stdin)
    return asked


class _Lifeline(asyncio.Protocol):
    """Nothing is ever said here; only the end matters."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended()
