"""The daemon: beats once a second, leads or waits, and decides what came due. What can be waited out does not end it.

What it must not do: run an experiment itself, or believe its own memory where the store can be asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from chaos_runner import recover
from chaos_runner.load import Invalid
from chaos_runner.plan import Refusal
from chaos_runner.scheduler import decide, facts, growth, log, past, systemd
from chaos_runner.scheduler.book import Book, Item
from chaos_runner.scheduler.children import Children, Command
from chaos_runner.scheduler.decide import Decided, Slot
from chaos_runner.scheduler.lead import RENEW_S, Lead
from chaos_runner.scheduler.signals import Signals
from chaos_runner.scheduler.timer import Timer
from chaos_runner.scheduler.wheel import Due, Wheel
from chaos_runner.store import Fenced, SlotRow, Store, StoreError, alive

BACK_S = 3600.0  # a wall clock that was set back by more begins anew
LOOK_S = 2.0  # between two looks at files, which may be thousands
LOOKBACK_S = 31 * 86400.0


class Setting(msgspec.Struct, frozen=True):
    """What one daemon is told."""

    holder: str
    command: Command
    read: Callable[[], Book]
    new_run_id: Callable[[], str]
    on_stop: str = "finish"
    now: Callable[[], float] = time.time


class Daemon:
    """One daemon of one or several on a store."""

    def __init__(self, setting: Setting, store: Store, book: Book) -> None:
        self.setting = setting
        self.book = book
        self.lead = Lead(store, setting.holder)
        self.children = Children(setting.command, self._ended)
        self.problem = ""
        self.beaten_at = 0.0
        self.takeovers = 0
        self.over = asyncio.Event()
        self._store = store
        self._signals = Signals(setting.now)
        self._timer = Timer(self._fire)
        self._wheel: Wheel[Item] = Wheel((), setting.now())
        self._deciding: float | None = None
        self._look_at = 0.0  # when files are looked at again
        self._fresh = False  # the lease was taken, and what was missed is not looked at yet
        self._again = asyncio.Event()
        self._bug: BaseException | None = None
        self._recovering: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Until it is asked to stop; the exit code."""
        self._listen()
        held = self._store.lease()
        await self._build(self._since(held.decided_until if held else self.setting.now()))
        self._timer.start()
        log.say("started", holder=self.lead.holder, schedules=len(self.book.items))
        systemd.notify("READY=1")
        try:
            async with self._signals:
                await self._go_on()
        finally:
            await self._stop()
        if self._bug is not None:
            raise self._bug
        return 0

    @property
    def next(self) -> float | None:
        """When it looks again."""
        return self._wheel.next()

    async def _go_on(self) -> None:
        while not self.over.is_set():
            await self._beat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RENEW_S):
                    await self.over.wait()

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.over.set)
        loop.add_signal_handler(signal.SIGHUP, self._again.set)

    async def _beat(self) -> None:
        """One second: the lease, the files, what ended, what is due."""
        self._fresh |= self.lead.renew(self._decided_until)
        if self._again.is_set() or self._files_changed():
            self._again.clear()
            await self._reload()
        now = self.setting.now()
        if self.lead.leads:
            if self._fresh:
                self._fresh = False
                await self._took_over(now)
            self._tidy()
            if self._wheel.at > now + BACK_S:
                log.say("clock set back", by_s=round(self._wheel.at - now))
                await self._build(now)
            self._timer.set(self._wheel.next())
            if (self._wheel.next() or now + 1) <= now:
                self._timer.look()
        else:
            self._timer.set(None)
            self._wheel.pop(min(self.lead.decided_until, now))
        self.beaten_at = time.monotonic()
        systemd.notify("WATCHDOG=1", f"STATUS={'leads' if self.lead.leads else 'spare'}, {len(self._wheel)} schedules")

    def _files_changed(self) -> bool:
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + LOOK_S
        return self.book.stale()

    def _decided_until(self) -> float | None:
        """Up to when everything is decided; never less than before."""
        now = self.setting.now()
        due = self._wheel.next()
        idle = now if due is None or due > now else due - 1
        done = idle if self._deciding is None else self._deciding
        return done if done > self.lead.decided_until or self.lead.decided_until > now + BACK_S else None

    async def _took_over(self, now: float) -> None:
        self.takeovers += 1
        since = self._since(self.lead.decided_until)
        log.say("leads", holder=self.lead.holder, epoch=self.lead.epoch, decided_until=round(since))
        if self._wheel.at > since or self._wheel.at < now - BACK_S:
            await self._build(since)

    def _since(self, decided_until: float) -> float:
        now = self.setting.now()
        return now if decided_until > now + BACK_S else max(decided_until, now - LOOKBACK_S)

    async def _build(self, after: float) -> None:
        """The wheel anew, beside the loop: the lease must be renewed meanwhile."""
        self._wheel = await self._beside(Wheel[Item], self.book.items, after)

    async def _beside(self, work: Callable[..., Any], *args: Any) -> Any:
        task = asyncio.create_task(asyncio.to_thread(work, *args))
        while not task.done():
            await asyncio.wait({task}, timeout=RENEW_S)
            if not task.done():
                if self.lead.leads:
                    self._fresh |= self.lead.renew(lambda: None)
                self.beaten_at = time.monotonic()
                systemd.notify("WATCHDOG=1")
        return task.result()

    async def _reload(self) -> None:
        """The files anew, all or nothing."""
        try:
            book = await self._beside(self.setting.read)
        except (Invalid, Refusal, StoreError, OSError) as why:
            text = why.text() if isinstance(why, Invalid) else str(why)
            if text != self.problem:
                log.say("kept the old schedules", why=text)
            self.problem, self.book = text, self.book.seen()
            return
        self.problem, self.book = "", book
        await self._build(self._wheel.at if self.lead.leads else self._since(self.lead.decided_until))
        log.say("reloaded", schedules=len(book.items))

    def _tidy(self) -> None:
        """What ended is settled, and what died is undone."""
        try:
            for row in self._store.settle_slots():
                log.say("settled", run=row.run, schedule=row.schedule, state=row.state, headline=row.headline)
            if self._recovering is None and any(alive(run.owner) is False for run in self._store.unfinished_runs()):
                self._recovering = asyncio.create_task(self._recover())
        except StoreError as why:
            log.say("store", why=str(why))

    async def _recover(self) -> None:
        try:
            await recover.recover(self._store, None, lambda told: log.say("recovery", told=told), patience_s=15.0)
        except StoreError as why:
            log.say("store", why=str(why))
        finally:
            self._recovering = None

    # --- what is due ---------------------------------------------------------------------------------------------

    async def _fire(self) -> None:
        if not self.lead.leads:
            return
        due = self._wheel.next()
        self._deciding = None if due is None else due - 1
        try:
            now = self.setting.now()
            await self._decide(self._wheel.pop(now), now)
        except Fenced as why:
            self.lead.lost()
            log.say("leads no more", why=str(why))
        except StoreError as why:
            log.say("not decided", why=str(why))
            await self._build(self._deciding or self.setting.now())
        except BaseException as bug:
            self._bug = bug
            self.over.set()
        finally:
            self._deciding = None
        if self.lead.leads and not self.over.is_set():
            self._timer.set(self._wheel.next())

    async def _decide(self, due: list[Due[Item]], now: float) -> None:
        if not due:
            return
        self._store.settle_slots()
        runs = past.runs(self._store, [one.item.label for one in due])
        slots = [self._slot(one, runs, now) for one in due]
        known = facts.gather(self._store, self.setting.command.state_dir, [slot.asked for slot in slots], now)
        decided = await decide.decide(
            slots, known, self._signals, self.book.environments, self._store.last_conclusive() if len(due) > 1 else {}
        )
        items = {one.item.label: one.item for one in due}
        for one in decided:
            if not one.reason:
                await self._claim(one, items[one.slot.asked.schedule])
        rows = [self._missed(one, now) for one in due if one.earlier]
        rows += [decide.row(one, now, owner=self.lead.holder) for one in decided if one.reason]
        self._store.add_skips(rows, self.lead.epoch)
        for row in rows[:100]:
            log.say("skipped", schedule=row.schedule, reason=row.reason)

    def _slot(self, one: Due[Item], runs: Mapping[str, list[SlotRow]], now: float) -> Slot:
        return Slot(
            asked=one.item.asked(one.slot),
            calendar=one.item.forbidden(one.slot, now),
            pace=one.item.held_back(one.slot, past.of(runs.get(one.item.label, []), one.slot.window.start), now),
            late_s=max(0.0, now - one.slot.due),
        )

    def _missed(self, one: Due[Item], now: float) -> SlotRow:
        asked = one.item.asked(one.before)
        return decide.missed(asked, one.first, one.before.due, one.earlier, now)

    async def _claim(self, one: Decided, item: Item) -> None:
        """Claims the slot; if it was free, starts its process."""
        store, schedule = self._store, item.schedule
        rows = store.slots(item.label, "RUN", growth.OUTCOMES_MAX) if schedule.growth else []
        level = growth.level(schedule.growth, growth.outcomes(rows))
        run = self.setting.new_run_id()
        row = decide.row(one, self.setting.now(), run=run, owner=self.lead.holder, level=level)
        if not store.claim_slot(row, self.lead.epoch):
            return
        log.say("claimed", run=run, schedule=row.schedule, instant=row.instant, environment=row.environment)
        try:
            await self.children.start(run, str(item.file), row.environment, growth.reach(schedule.growth, level))
        except OSError as why:
            store.end_slot(run, "LOST", f"its process could not be started: {why.strerror or why}")

    def _ended(self, run: str, code: int) -> None:
        log.say("ended", run=run, code=code)
        try:
            self._store.end_slot(run, "LOST", f"its process ended with {code} before it took the slot", only="CLAIMED")
            self._store.settle_slots()
        except StoreError as why:
            log.say("store", why=str(why))

    async def _stop(self) -> None:
        systemd.notify("STOPPING=1")
        self._timer.stop()
        self.lead.release()
        if self.setting.on_stop == "abort":
            left = await self.children.abort()
            if left:
                log.say("still running", runs=left)
            with contextlib.suppress(StoreError):
                self._store.settle_slots()
        if self._recovering is not None:
            self._recovering.cancel()
        log.say("stopped", running=len(self.children))
