"""Somebody in front of the full console."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

from textual.pilot import Pilot
from textual.widgets import Input, RichLog, Static

from chaos_runner.console.textual import DayConsole
from tests.console.kit import LIMIT_S


class Seat:
    """Presses keys, types lines and reads the screen; `facts` are what is on record."""

    def __init__(self, app: DayConsole, pilot: Pilot[None], facts: Callable[[], Sequence[object]]) -> None:
        self.app = app
        self.pilot = pilot
        self._facts = facts

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Ends the line that a key began."""
        self.app.query_one("#line", Input).value += text
        await self.pilot.press("enter")

    async def say(self, line: str) -> None:
        """Any words."""
        await self.pilot.press(":")
        await self.type(line)

    async def until(self, true: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
        ends = time.monotonic() + limit_s
        while not true():
            assert time.monotonic() < ends, f"it did not come; shown is:\n{self.text()}"
            await self.pilot.pause(0.05)

    async def kept(self, kind: type[object]) -> None:
        await self.until(lambda: any(isinstance(fact, kind) for fact in self._facts()))

    def part(self, name: str) -> str:
        return str(self.app.query_one(f"#{name}", Static).render())

    def run(self) -> str:
        """The run, as it is drawn."""
        part = self.app.query_one("#run", Static)
        return "\n".join("".join(one.text for one in part.render_line(y)) for y in range(part.size.height))

    def timeline(self) -> str:
        return "\n".join(strip.text for strip in self.app.query_one("#timeline", RichLog).lines)

    def text(self) -> str:
        parts = ("head", "agenda", "people", "waiting", "answer", "keys")
        return "\n".join([*(self.part(name) for name in parts), self.run(), self.timeline()])

    async def shows(self, text: str, limit_s: float = LIMIT_S) -> None:
        await self.until(lambda: text in re.sub(r"\s+", " ", self.text()), limit_s)
