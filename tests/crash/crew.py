"""Slots at work side by side on drawn points."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import queue
import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tests.crash.bench import Slot
from tests.crash.judge import Seen
from tests.crash.points import Job, Section, command, sections

T = TypeVar("T")


class Crew:
    """Some slots of each kind, all at work at once."""

    def __init__(self, folder: Path, kinds: Iterable[str], each: int) -> None:
        self.slots = {kind: [Slot(folder / f"{kind}-{n}", kind) for n in range(each)] for kind in kinds}
        self._free: dict[str, queue.SimpleQueue[Slot]] = {kind: queue.SimpleQueue() for kind in self.slots}
        for kind, slots in self.slots.items():
            for slot in slots:
                self._free[kind].put(slot)

    def sections(self) -> list[Section]:
        """All there is, for each kind of server."""
        return [one for found in self._each(sections) for one in found]

    def commands(self) -> list[Section]:
        """The same for whole runs of the command, which take long."""
        return self._each(command)

    def _each(self, ask: Callable[[Slot], T]) -> list[T]:
        first = [slots[0] for slots in self.slots.values()]
        with ThreadPoolExecutor(len(first)) as pool:
            return list(pool.map(ask, first))

    def play(self, drawn: list[tuple[Section, Job]], until: float = math.inf) -> Iterator[tuple[Section, Seen]]:
        """Plays all, each on a slot of its kind, beginning none after `until`; kinds take turns, so no slot waits."""
        with ThreadPoolExecutor(sum(len(slots) for slots in self.slots.values())) as pool:
            by_kind = [[one for one in drawn if one[0].kind == kind] for kind in self.slots]
            turns = [one for turn in itertools.zip_longest(*by_kind) for one in turn if one is not None]
            played = pool.map(functools.partial(self._one, until), turns)
            yield from (one for one in played if one is not None)

    def _one(self, until: float, drawn: tuple[Section, Job]) -> tuple[Section, Seen] | None:
        section, job = drawn
        if time.monotonic() > until:
            return None
        slot = self._free[section.kind].get()
        try:
            return section, job(slot)
        finally:
            self._free[section.kind].put(slot)

    def close(self) -> None:
        with contextlib.ExitStack() as stack:
            for slots in self.slots.values():
                for slot in slots:
                    stack.callback(slot.close)


def drawn(section: Section, most: int | None, seed: str) -> list[Job]:
    """At most so many of its points, by the seed; all for None."""
    if most is None or most >= len(section.jobs):
        return section.jobs
    return random.Random(f"{seed} {section.name} {section.kind}").sample(section.jobs, most)
