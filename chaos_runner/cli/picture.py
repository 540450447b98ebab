"""Keeps a picture of the run at the foot of a terminal, with the lines of the records scrolling away above it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chaos_runner.cli.pump import Write
from chaos_runner.console import drawing
from chaos_runner.console.scene import Scene
from chaos_runner.plan import Plan
from chaos_runner.records import Entry
from chaos_runner.ticks import Status

if TYPE_CHECKING:
    from chaos_runner.cli.live import Lines

UP, TO_END_OF_LINE, TO_END_OF_SCREEN = "\x1b[{}F", "\x1b[K", "\x1b[J"
NARROWEST = 40


class Picture:
    """Draws after each batch; an empty one takes the picture away."""

    def __init__(self, plan: Plan, lines: Lines, write: Write, size: Callable[[], os.terminal_size]) -> None:
        self._scene = Scene(plan)
        self._lines = lines
        self._write = write
        self._size = size
        self._height = 0

    def deal(self, items: list[Any]) -> None:
        """Writes the lines of these items, and the picture below them."""
        frame = self._drawn(items) if items else []
        out = UP.format(self._height) if self._height else ""
        out += "".join(f"{line}{TO_END_OF_LINE}\n" for line in [*self._lines.of(items), *frame]) + TO_END_OF_SCREEN
        self._height = len(frame)
        self._write(out.encode("utf-8", "replace"))

    def _drawn(self, items: list[Any]) -> list[str]:
        for item in items:
            if isinstance(item, Entry):
                self._scene.hear(item)
            elif isinstance(item, Status):
                self._scene.see(item)
        width, height = self._size()
        if width < NARROWEST or self._scene.phase in {"preparing", "ended"}:
            return []
        return drawing.frame(self._scene, width, height)
