"""What came due is decided here: popped from the wheel, asked about, claimed or skipped, each once and with its reason.

Asks the clock that it is given and the store, and nobody's memory; it has no timers and starts nothing by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from chaos_runner.model import Pick
from chaos_runner.scheduler import decide, facts, growth, log, past
from chaos_runner.scheduler.book import Book, Item
from chaos_runner.scheduler.decide import Decided, Reads, Slot
from chaos_runner.scheduler.lead import Lead
from chaos_runner.scheduler.wheel import Due, Wheel
from chaos_runner.store import SlotRow, Store

BACK_S = 3600.0  # a wall clock that was set back by more begins anew
LOOKBACK_S = 31 * 86400.0


class Starts(Protocol):
    """Starts the process of a claimed slot. Raises OSError."""

    def __call__(self, run: str, file: str, environment: str, reach: Pick | None) -> Awaitable[None]: ...


class Outside(msgspec.Struct, frozen=True):
    """What a docket has of the world."""

    now: Callable[[], float]
    new_run_id: Callable[[], str]
    state_dir: Path
    start: Starts
    signals: Reads


class Docket:
    """The slots of one daemon's book."""

    def __init__(self, outside: Outside, store: Store, lead: Lead, book: Book) -> None:
        self.book = book
        self.wheel: Wheel[Item] = Wheel((), outside.now())
        self._deciding: float | None = None
        self._outside = outside
        self._store = store
        self._lead = lead

    def decided_until(self) -> float | None:
        """Up to when everything is decided; never less than before."""
        now = self._outside.now()
        due = self.wheel.next()
        idle = now if due is None or due > now else due - 1
        done = idle if self._deciding is None else self._deciding
        return done if done > self._lead.decided_until or self._lead.decided_until > now + BACK_S else None

    def since(self, decided_until: float) -> float:
        """From when a daemon that takes over has to look."""
        now = self._outside.now()
        return now if decided_until > now + BACK_S else max(decided_until, now - LOOKBACK_S)

    def anew_from(self, fresh: bool) -> float | None:
        """From when the wheel has to be made anew, after a takeover or a clock that was set back; None for not."""
        now = self._outside.now()
        since = self.since(self._lead.decided_until)
        if fresh and (self.wheel.at > since or self.wheel.at < now - BACK_S):
            return since
        return now if self.wheel.at > now + BACK_S else None

    async def fire(self) -> float | None:
        """Decides what came due. Raises Fenced where another one leads.

        What was popped and could not be decided is looked at again from the time in `undecided`.
        """
        due = self.wheel.next()
        self._deciding = None if due is None else due - 1
        now = self._outside.now()
        await self._decide(self.wheel.pop(now), now)
        self._deciding = None
        return self.wheel.next()

    def undecided(self) -> float:
        """From when there may be something that was popped and is not decided; forgets it."""
        since, self._deciding = self._deciding, None
        return self._outside.now() if since is None else since

    async def _decide(self, due: list[Due[Item]], now: float) -> None:
        if not due:
            return
        self._store.settle_slots()
        most = max(one.item.schedule.max_runs or 0 for one in due)
        runs = past.runs(self._store, [one.item.label for one in due], most)
        slots = [_slot(one, runs, now) for one in due]
        known = facts.gather(self._store, self._outside.state_dir, [slot.asked for slot in slots], now)
        fresh = self._store.last_conclusive() if len(due) > 1 else {}
        decided = await decide.decide(slots, known, self._outside.signals, self.book.environments, fresh)
        items = {one.item.label: one.item for one in due}
        for one in decided:
            if not one.reason:
                await self._claim(one, items[one.slot.asked.schedule])
        rows = [_missed(one, now) for one in due if one.earlier]
        rows += [decide.row(one, now, owner=self._lead.holder) for one in decided if one.reason]
        self._store.add_skips(rows, self._lead.epoch)
        for row in rows[:100]:
            log.say("skipped", schedule=row.schedule, reason=row.reason)

    async def _claim(self, one: Decided, item: Item) -> None:
        """Claims the slot; if it was free, starts its process."""
        store, schedule = self._store, item.schedule
        rows = store.slots(item.label, "RUN", growth.OUTCOMES_MAX, readings=False) if schedule.growth else []
        level = growth.level(schedule.growth, growth.outcomes(rows))
        run = self._outside.new_run_id()
        row = decide.row(one, self._outside.now(), run=run, owner=self._lead.holder, level=level)
        if not store.claim_slot(row, self._lead.epoch):
            return
        log.say("claimed", run=run, schedule=row.schedule, instant=row.instant, environment=row.environment)
        try:
            await self._outside.start(run, str(item.file), row.environment, growth.reach(schedule.growth, level))
        except OSError as why:
            store.end_slot(run, "LOST", f"its process could not be started: {why.strerror or why}")


def _slot(one: Due[Item], runs: Mapping[str, list[SlotRow]], now: float) -> Slot:
    return Slot(
        asked=one.item.asked(one.slot),
        calendar=one.item.forbidden(one.slot, now),
        pace=one.item.held_back(one.slot, past.of(runs.get(one.item.label, []), one.slot.window.start), now),
        late_s=max(0.0, now - one.slot.due),
    )


def _missed(one: Due[Item], now: float) -> SlotRow:
    return decide.missed(one.item.asked(one.before), one.first, one.before.due, one.earlier, now)
