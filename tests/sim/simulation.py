"""One seed, from its weather to the observer's verdict: engine, guardian and recovery on one virtual clock.

What is real: engine, course, drive, lifecycle, journal, recovery, orphans, the guardian's watch and undo, the faults
and their client, the SQLite store. What is made up: the server, the network, the processes and their deaths.
"""

from __future__ import annotations

import contextlib
import gc
import io
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import trio
import trio._core._run as trio_run
from trio.testing import MockClock

from chaos_runner import store
from chaos_runner.store import SqliteStore
from chaos_runner.store.database import Database
from tests.sim import people, weather
from tests.sim.weather import Weather

WALL = 1_800_000_000.0
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
VIRTUAL_S = 20_000.0


class Told(msgspec.Struct, frozen=True):
    """What became of a seed. `broken` is empty when every invariant held."""

    seed: int
    broken: list[str]
    story: list[str]
    tally: Counter[str]
    virtual_s: float


def simulate(seed: int, sky: Weather | None = None) -> Told:
    """Runs it; the same seed always tells the same story."""
    sky = sky or weather.forecast(seed)
    with state_folder() as folder, virtual(seed) as steps, contextlib.redirect_stderr(io.StringIO()):
        return trio.run(_bounded, sky, folder, steps, clock=clock())


def clock() -> MockClock:
    """A clock that always passes what it jumps to, as a real one does: rounding must not keep a loop at one moment."""
    made = MockClock(autojump_threshold=0)
    jump = made.jump
    made.jump = lambda seconds: jump(seconds + 1e-6)  # type: ignore[method-assign]
    return made


async def _bounded(sky: Weather, folder: Path, steps: list[float]) -> Told:
    wall = lambda: WALL + trio.current_time() + sum(steps)  # noqa: E731
    ledger = SqliteStore(Database(folder), clock=wall)
    world = people.World(sky, ledger, steps)
    try:
        with trio.move_on_after(VIRTUAL_S) as limit:
            await world.live()
        if limit.cancelled_caught:
            world.watcher.breaks("END", "it does not end")
    finally:
        ledger.close()
    story = world.story
    return Told(sky.seed, world.watcher.broken, story.lines, story.tally, trio.current_time())


@contextlib.contextmanager
def virtual(seed: int) -> Iterator[list[float]]:
    """Wall time follows the virtual clock, with what the seed adds to it; tasks take turns as the seed says."""
    steps: list[float] = []
    plain, boot, order = time.time, time.clock_gettime, trio_run._ALLOW_DETERMINISTIC_SCHEDULING
    trio_run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    trio_run._r.seed(seed)
    random.seed(seed)
    time.time = lambda: WALL + trio.current_time() + sum(steps)
    time.clock_gettime = lambda _which: 1000.0 + trio.current_time()
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield steps
    finally:
        time.time, time.clock_gettime = plain, boot
        trio_run._ALLOW_DETERMINISTIC_SCHEDULING = order  # type: ignore[misc]
        if collecting:
            gc.enable()


_EMPTY: list[tempfile.TemporaryDirectory[str]] = []  # gone with this process


@contextlib.contextmanager
def state_folder() -> Iterator[Path]:
    """A state folder in memory, made by copying one: opening a new ledger takes longer than most seeds."""
    if not _EMPTY:
        _EMPTY.append(tempfile.TemporaryDirectory(dir=MEMORY))
        store.open_store(Path(_EMPTY[0].name) / "state", allow_tmpfs=True).close()
    with tempfile.TemporaryDirectory(dir=MEMORY) as path:
        folder = Path(path) / "state"
        shutil.copytree(Path(_EMPTY[0].name) / "state", folder)
        yield folder


def told(one: Told) -> str:
    """A seed as a story: what was broken, what happened, and how to see it again."""
    return "\n".join(
        [f"seed {one.seed}", *(f"  broken: {why}" for why in one.broken), *one.story, f"again: SIM_SEED={one.seed}"]
    )
