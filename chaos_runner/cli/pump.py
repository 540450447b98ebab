"""Gets what is to be shown out of the run's way: a thread that writes, and a queue that never makes anybody wait.

A terminal that stands still (Ctrl-S, a hanging ssh) or a pipe that nobody reads stops the thread, never the run.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

Write = Callable[[bytes], None]
Deal = Callable[[list[Any]], None]


class Pump(threading.Thread):
    """Hands what was put to `deal`, in order and in batches, at most once every `pace_s`; an empty batch is the end.

    When `deal` fails, `otherwise` goes on from that batch; when there is none, or it fails too, the pump is over:
    the reason stays in `trouble`, and what is put afterwards is dropped.
    """

    def __init__(self, deal: Deal, *, otherwise: Deal | None = None, pace_s: float = 0.0, room: int = 10_000) -> None:
        super().__init__(daemon=True, name="view")
        self.trouble = ""
        self.dropped = 0
        self._deal = deal
        self._otherwise = otherwise
        self._pace_s = pace_s
        self._room = room
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._closing = threading.Event()

    def put(self, item: Any) -> None:
        """Takes an item; returns at once, whatever the thread is doing."""
        if self.trouble or self._queue.qsize() >= self._room:
            self.dropped += 1
            return
        self._queue.put(item)

    def close(self, limit_s: float) -> bool:
        """Lets it write what is waiting; False when that took too long and was given up."""
        self._closing.set()
        self._queue.put(None)
        self.join(limit_s)
        return not self.is_alive()

    def run(self) -> None:
        batch: list[Any] = []
        while not self.trouble and None not in batch:
            batch = self._waiting()
            self._try([item for item in batch if item is not None])
            self._closing.wait(self._pace_s)
        self._try([])

    def _waiting(self) -> list[Any]:
        items = [self._queue.get()]
        while not self._queue.empty():
            items.append(self._queue.get())
        return items

    def _try(self, items: list[Any]) -> None:
        if self.trouble:
            return
        try:
            self._deal(items)
        except Exception as why:  # whatever a view does wrong, the run goes on; the reason is told once
            reason = f"{type(why).__name__}: {why}"
            if self._otherwise is None:
                self.trouble = reason
                return
            self._deal, self._otherwise = self._otherwise, None
            self._try([*items, f"the picture failed ({reason}); going on with lines"])


def writer(stream: Any) -> Write:
    """Writes to the file behind a stream, past its buffer and that buffer's lock, which a stuck thread would keep."""
    try:
        stream.flush()
        fd = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return lambda content: _through(stream, content)
    return lambda content: _all(fd, content)


def _through(stream: Any, content: bytes) -> None:
    stream.write(content.decode("utf-8", "replace"))
    stream.flush()


def _all(fd: int, content: bytes) -> None:
    while content:
        try:
            content = content[os.write(fd, content) :]
        except BlockingIOError:
            time.sleep(0.01)  # somebody made the terminal non-blocking; this is a thread of its own
