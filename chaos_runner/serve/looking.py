"""Reads the ledger for pages: one connection, one reader at a time, opened again after any trouble. Never writes."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import msgspec

from chaos_runner import store
from chaos_runner.gameday.facts import Entry as FactEntry
from chaos_runner.records import Entry, Sample
from chaos_runner.store import NoLedger, RunRow, Store, StoreError

T = TypeVar("T")
WAIT_S = 10.0
AGE_S = 0.5
SHARE = 10  # looking takes at most a tenth of the time
KEPT_MAX = 32


class RunShot(msgspec.Struct, frozen=True):
    """One run as it was at one moment."""

    row: RunRow
    entries: list[Entry]
    samples: list[Sample]
    at: float
    attended: bool  # its owner lives, or cannot be seen from here


class DayShot(msgspec.Struct, frozen=True):
    """One game day as it was at one moment."""

    day: str
    entries: list[FactEntry]
    at: float


class Ledger:
    """The ledger of a state folder, for looking."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._store: Store | None = None
        self._turn = anyio.CapacityLimiter(1)

    async def read(self, work: Callable[[Store], T]) -> T:
        """What `work` finds. Raises StoreError, also where others have been reading for ten seconds."""
        try:
            with anyio.fail_after(WAIT_S):
                return await anyio.to_thread.run_sync(self._read, work, limiter=self._turn)
        except TimeoutError:
            msg = f"the ledger was not read within {WAIT_S:g} s"
            raise StoreError(msg) from None

    def _read(self, work: Callable[[Store], T]) -> T:
        try:
            if self._store is None:
                self._store = store.open_store(self._state_dir, read_only=True)
            return work(self._store)
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Gives the files free."""
        kept, self._store = self._store, None
        if kept is not None:
            kept.close()


class Shots:
    """Pictures of runs and days that many streams share: each is taken at most twice a second."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._kept: OrderedDict[tuple[str, str], RunShot | DayShot] = OrderedDict()
        self._next: dict[tuple[str, str], float] = {}
        self._locks: dict[tuple[str, str], anyio.Lock] = {}

    async def run(self, run_id: str) -> RunShot | None:
        """The run now; None where there is none. Raises StoreError."""
        before = self._kept.get(("run", run_id))
        known = before if isinstance(before, RunShot) else None
        found = await self._of(("run", run_id), lambda ledger: _run(ledger, run_id, known))
        return found if isinstance(found, RunShot) else None

    async def day(self, day_id: str) -> DayShot | None:
        """The day now; None where there is none. Raises StoreError."""
        before = self._kept.get(("day", day_id))
        known = before.entries if isinstance(before, DayShot) else []
        found = await self._of(("day", day_id), lambda ledger: _day(ledger, day_id, known))
        return found if isinstance(found, DayShot) else None

    def rest(self, of: str, took_s: float) -> None:
        """Showing it took so long: the next look waits accordingly."""
        for key in (("run", of), ("day", of)):
            if key in self._next:
                self._next[key] = max(self._next[key], time.monotonic() + SHARE * took_s)

    def stale(self, day_id: str) -> None:
        """Something was said there: whoever said it wants to see it."""
        self._next.pop(("day", day_id), None)

    async def _of(
        self, key: tuple[str, str], work: Callable[[Store], RunShot | DayShot | None]
    ) -> RunShot | DayShot | None:
        async with self._locks.setdefault(key, anyio.Lock()):
            if key in self._kept and time.monotonic() < self._next.get(key, 0.0):
                return self._kept[key]
            began = time.monotonic()
            try:
                shot = await self._ledger.read(work)
            except StoreError:
                self._kept.pop(key, None)  # what is known may be of a ledger that is gone
                raise
            took = time.monotonic() - began
            self._keep(key, shot, time.monotonic() + max(AGE_S, SHARE * took))
            return shot

    def _keep(self, key: tuple[str, str], shot: RunShot | DayShot | None, until: float) -> None:
        if shot is None:
            self._locks.pop(key, None)
            return
        self._kept[key], self._next[key] = shot, until
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT_MAX:
            old, _ = self._kept.popitem(last=False)
            self._next.pop(old, None)
            self._locks.pop(old, None)


def _run(ledger: Store, run_id: str, known: RunShot | None) -> RunShot | None:
    """The run with what is new since it was looked at."""
    row = ledger.run(run_id)
    if row is None:
        return None
    entries, samples = (known.entries, known.samples) if known is not None else ([], [])
    entries = entries + ledger.records(run_id, after=len(entries))
    samples = samples + ledger.samples(run_id, after=len(samples))
    attended = row.state != "ENDED" and store.alive(row.owner) is not False
    return RunShot(row, entries, samples, time.time(), attended)


def under_way(ledger: Store) -> list[str]:
    """The runs that somebody looks after."""
    rows = [row for row in ledger.unfinished_runs() if row.state != "ENDED"]
    return [row.id for row in rows if store.alive(row.owner) is not False]


def _day(ledger: Store, day_id: str, known: list[FactEntry]) -> DayShot | None:
    if ledger.day(day_id) is None:
        return None
    return DayShot(day_id, known + ledger.facts(day_id, after=len(known)), time.time())


async def some(ledger: Ledger, work: Callable[[Store], list[T]]) -> list[T]:
    """What `work` lists; nothing where nothing has run here. Raises StoreError."""
    try:
        return await ledger.read(work)
    except NoLedger:
        return []
