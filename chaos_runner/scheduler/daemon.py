"""The daemon: beats once a second, leads or waits, and decides what came due. What can be waited out does not end it.

What it must not do: run an experiment itself, or believe its own memory where the store can be asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from typing import Any

import msgspec

from chaos_runner import recover
from chaos_runner.load import Invalid
from chaos_runner.plan import Refusal
from chaos_runner.scheduler import log, systemd
from chaos_runner.scheduler.book import Book, Item
from chaos_runner.scheduler.children import Children, Command
from chaos_runner.scheduler.docket import BACK_S, Docket, Outside
from chaos_runner.scheduler.lead import RENEW_S, Lead
from chaos_runner.scheduler.signals import Signals
from chaos_runner.scheduler.timer import Timer
from chaos_runner.scheduler.wheel import Wheel
from chaos_runner.store import Fenced, Store, StoreError, alive

LOOK_S = 2.0  # between two looks at files, which may be thousands


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
        self.lead = Lead(store, setting.holder)
        self.children = Children(setting.command, self._ended)
        self.problem = ""
        self.beaten_at = 0.0
        self.takeovers = 0
        self.over = asyncio.Event()
        self._store = store
        self._signals = Signals(setting.now)
        self._timer = Timer(self._fire)
        state = setting.command.state_dir
        outside = Outside(setting.now, setting.new_run_id, state, self.children.start, self._signals)
        self.docket = Docket(outside, store, self.lead, book)
        self._look_at = 0.0  # when files are looked at again
        self._fresh = False  # the lease was taken, and what was missed is not looked at yet
        self._again = asyncio.Event()
        self._bug: BaseException | None = None
        self._recovering: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Until it is asked to stop; the exit code."""
        self._listen()
        held = self._store.lease()
        await self._build(self.docket.since(held.decided_until if held else self.setting.now()))
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
    def book(self) -> Book:
        """The schedules in force."""
        return self.docket.book

    @property
    def next(self) -> float | None:
        """When it looks again."""
        return self.docket.wheel.next()

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
        self._fresh |= self.lead.renew(self.docket.decided_until)
        if self._again.is_set() or self._files_changed():
            self._again.clear()
            await self._reload()
        now = self.setting.now()
        if self.lead.leads:
            self._note()
            since = self.docket.anew_from(self._fresh)
            self._fresh = False
            if since is not None:
                await self._build(since)
            self._tidy()
            self._timer.set(self.next)
            if (self.next or now + 1) <= now:
                self._timer.look()
        else:
            self._timer.set(None)
            self.docket.wheel.pop(min(self.lead.decided_until, now))
        self.beaten_at = time.monotonic()
        systemd.notify(
            "WATCHDOG=1", f"STATUS={'leads' if self.lead.leads else 'spare'}, {len(self.docket.wheel)} schedules"
        )

    def _files_changed(self) -> bool:
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + LOOK_S
        return self.book.stale()

    def _note(self) -> None:
        """Says what is out of the ordinary about this second."""
        if self._fresh:
            self.takeovers += 1
            until = round(self.lead.decided_until)
            log.say("leads", holder=self.lead.holder, epoch=self.lead.epoch, decided_until=until)
        ahead_s = self.docket.wheel.at - self.setting.now()
        if ahead_s > BACK_S:
            log.say("clock set back", by_s=round(ahead_s))

    async def _build(self, after: float) -> None:
        """The wheel anew, beside the loop: the lease must be renewed meanwhile."""
        self.docket.wheel = await self._beside(Wheel[Item], self.book.items, after)

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
            self.problem, self.docket.book = text, self.book.seen()
            return
        self.problem, self.docket.book = "", book
        await self._build(self.docket.wheel.at if self.lead.leads else self.docket.since(self.lead.decided_until))
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
        try:
            await self.docket.fire()
        except Fenced as why:
            self.lead.lost()
            self.docket.undecided()
            log.say("leads no more", why=str(why))
        except StoreError as why:
            log.say("not decided", why=str(why))
            await self._build(self.docket.undecided())
        except BaseException as bug:
            self._bug = bug
            self.over.set()
        if self.lead.leads and not self.over.is_set():
            self._timer.set(self.next)

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
