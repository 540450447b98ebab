"""Visits every state that can be reached, breadth first, so that the path to a violation is a shortest one."""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from tests.explore import invariants
from tests.explore.model import moves
from tests.explore.world import Rules, Scene, World, start


class Found(NamedTuple):
    """What an exploration came to. `story` is the shortest way to what is `wrong`; empty when nothing is."""

    scene: Scene
    states: int
    seconds: float
    wrong: str = ""
    story: tuple[str, ...] = ()
    finished: int = 0
    depth: int = 0


class TooMany(Exception):
    """The model has more states than it was given room for."""


def explore(scene: Scene, rules: Rules | None = None, *, limit: int = 3_000_000) -> Found:
    """Every interleaving of this scene, up to the first state that breaks an invariant. Raises TooMany."""
    gc.disable()  # millions of tuples and no cycle among them: collecting would take half of the time
    try:
        return _Search(scene, rules or Rules(), limit).run()
    finally:
        gc.enable()


class _Search:
    def __init__(self, scene: Scene, rules: Rules, limit: int) -> None:
        self.scene, self.rules, self.limit = scene, rules, limit
        self.worlds: list[World] = []
        self.index: dict[World, int] = {}
        self.parents = array("q")
        self.sources = array("q")
        self.targets = array("q")
        self.helped = bytearray()  # whether it was recovery's move
        self.began = time.process_time()

    def run(self) -> Found:
        self._add(start(self.scene), -1)
        n = 0
        while n < len(self.worlds):
            wrong = invariants.broken(self.scene, self.worlds[n])
            if wrong:
                return self._found(wrong, n)
            for line, after in moves(self.scene, self.rules, self.worlds[n]):
                known = self.index.get(after)
                if known is None:
                    known = self._add(after, n)
                self.sources.append(n)
                self.targets.append(known)
                self.helped.append(line.startswith("recovery"))
            n += 1
        return self._ends()

    def _add(self, world: World, parent: int) -> int:
        if len(self.worlds) >= self.limit:
            raise TooMany(f"{self.scene.title}: more than {self.limit} states")
        at = self.index[world] = len(self.worlds)
        self.worlds.append(world)
        self.parents.append(parent)
        return at

    def _ends(self) -> Found:
        """From every state a clean end can be reached; and without recovery, unless runner and guardian both died."""
        for wrong, needed, good, helped in invariants.ENDS:
            stranded = self._stranded(needed, good, helped)
            if stranded >= 0:
                return self._found(wrong, stranded)
        return self._found("", -1)

    def _stranded(
        self, needed: Callable[[Scene, World], bool], good: Callable[[Scene, World], bool], helped: bool
    ) -> int:
        """The first state from which it should be reached and cannot be; -1 for none."""
        reached = bytearray(good(self.scene, world) for world in self.worlds)
        changed = True
        while changed:  # edges in the order of discovery: backwards, nearly all is said in the first turn
            changed = False
            for n in range(len(self.sources) - 1, -1, -1):
                if reached[self.targets[n]] and not reached[self.sources[n]] and (helped or not self.helped[n]):
                    reached[self.sources[n]] = 1
                    changed = True
        missing = (n for n, here in enumerate(reached) if not here)
        return next((n for n in missing if needed(self.scene, self.worlds[n])), -1)

    def _found(self, wrong: str, at: int) -> Found:
        path: list[int] = []
        while at >= 0:
            path.append(at)
            at = self.parents[at]
        path.reverse()
        story = tuple(self._line(a, b) for a, b in pairwise(path))
        finished = sum(invariants.finished(self.scene, world) for world in self.worlds)
        return Found(self.scene, len(self.worlds), time.process_time() - self.began, wrong, story, finished, len(path))

    def _line(self, before: int, after: int) -> str:
        world = self.worlds[after]
        return next(line for line, next_ in moves(self.scene, self.rules, self.worlds[before]) if next_ == world)
