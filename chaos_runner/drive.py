"""Executes the commands of `lifecycle` for one fault: the same code in the runner, the guardian and recovery.

Decides nothing about a fault. Every await on the target is bounded; an answer that does not come is doubt, never
success, and so is an error that no fault may raise: it is kept in `bug`, and the undo goes on. While undoing, the
journal is told only after the target was asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Literal, Protocol

import anyio
import msgspec

from chaos_runner import lifecycle, records, wire
from chaos_runner.api import Absent, Doubt, Drifted, Env, Fault, Fences, Lasting, Present, Refused, Undo
from chaos_runner.lifecycle import Command, Event, Life
from chaos_runner.store.rows import FaultRow

By = Literal["runner", "guardian", "recovery"]
GOING_IN_S = 6.0
COMING_OUT_S = 20.0
PATIENCE_S = 60.0
EVENTS_MAX = 100_000  # a driver that loops for ever is a bug; undoing for days at 15 s a try stays below it


class JournalError(Exception):
    """The journal could not be written; going in this forbids injecting, coming out it is only told."""


class ArmError(Exception):
    """The guardian did not take the row."""


class Journal(Protocol):
    """Where facts about a fault go. `save_intent` raises JournalError; `save_state` never raises."""

    def now(self) -> float:
        """Seconds since the run's start."""
        ...

    def save_intent(self, row: FaultRow, record: records.IntentCommitted) -> None:
        """Commits the row, durably, under the run's epoch."""
        ...

    def save_state(self, fault: str, state: lifecycle.State, record: records.AnyRecord | None, t: float) -> None:
        """Writes the state and its record as of `t`; best effort."""
        ...


class Guard(Protocol):
    """The runner's line to its guardian."""

    async def arm(self, row: FaultRow) -> None:
        """Returns once the guardian holds the row. Raises ArmError."""
        ...

    async def disarm(self, fault: str) -> None:
        """The fault is closed; best effort."""
        ...


class Watchline(Guard, Protocol):
    """The whole line to a guardian, as the engine uses it."""

    async def start(self) -> wire.Ready:
        """Starts it and waits until it is ready. Raises Doubt with its reason."""
        ...

    def alive(self) -> bool:
        """Whether it still lives, and has answered lately."""
        ...

    def beat(self, tick: int) -> bool:
        """Tells it that the control loop judged this tick."""
        ...

    async def bye(self, watched: Collection[str] = ()) -> None:
        """The run ends on purpose; of the faults in `watched` only the watch is left."""
        ...


class Drive:
    """One fault on its way in and out. `life` is where it stands; `shout` is called with what people must hear.

    `relieved` says why an undo that failed need not be tried again, by the fault's id; empty while it must.
    """

    def __init__(
        self,
        row: FaultRow,
        fault: Fault,
        env: Env,
        journal: Journal,
        *,
        guard: Guard | None = None,
        by: By = "runner",
        life: Life | None = None,
        shout: Callable[[str], None] | None = None,
        relieved: Callable[[str], str] | None = None,
    ) -> None:
        self.row = row
        self.fault = fault
        self.life = life or Life(reversible=fault.reversible, fences=isinstance(fault, Fences))
        self.undo_record = msgspec.convert(row.undo, Undo)
        self.injected_t: float | None = None
        self.undo_sent_t: float | None = None
        self.gone_t: float | None = None
        self.replaced = ""
        self.replaced_t = 0.0
        self._env = env
        self._journal = journal
        self._guard = guard
        self._by = by
        self._shout = shout or (lambda _why: None)
        self._relieved = relieved or (lambda _fault: "")
        self.bug: Exception | None = None
        self._sent_t = 0.0
        self._drift = ""
        self.verified = True  # whether a read showed that it is gone, and not only the undo's own word
        self._coming_out = False
        self._deferred: deque[tuple[lifecycle.State, records.AnyRecord | None, float]] = deque()

    async def inject(self) -> Life:
        """Intent, arm, inject, read back. Ends INJECTED, UNKNOWN (undo it), CLOSED (refused) or PLANNED (no intent)."""
        await self._follow(lifecycle.Began())
        return self.life

    async def undo(self, *, orphaned: bool = False, patience_s: float = PATIENCE_S, keep_on: bool = False) -> Life:
        """Reverts and verifies. Ends CLOSED, SPENT, or - unless `keep_on` - WATCHING or STUCK for others to finish.

        Who is relieved of a fault leaves it as it is, also with `keep_on`.

        Safe to cut off and to repeat. The caller tells the journal with `tell` once nothing waits for it.
        """
        self._coming_out = True
        impatient = anyio.current_time() + patience_s
        pending: Event | None = lifecycle.UndoAsked(orphaned=orphaned)
        for _ in range(EVENTS_MAX):
            if pending is None:
                break
            wait = await self._follow(pending)
            pending = await self._wait(wait, impatient, keep_on)
        return self.life

    def tell(self) -> None:
        """Tells the journal what the undo has held back."""
        while self._deferred:
            state, record, t = self._deferred.popleft()
            self._journal.save_state(self.row.id, state, record, t)

    async def _follow(self, event: Event) -> lifecycle.Retry | lifecycle.Watch | None:
        """Feeds the event and everything that follows from it, up to a command that means waiting."""
        todo: deque[Event] = deque([event])
        waiting: lifecycle.Retry | lifecycle.Watch | None = None
        while todo:
            self.life, commands = lifecycle.step(self.life, todo.popleft())
            for command in commands:
                if isinstance(command, lifecycle.Retry | lifecycle.Watch):
                    waiting = command
                    continue
                answer = await self._execute(command)
                if answer is not None:
                    todo.append(answer)
        return waiting

    async def _wait(
        self, wait: lifecycle.Retry | lifecycle.Watch | None, impatient: float, keep_on: bool
    ) -> Event | None:
        if isinstance(wait, lifecycle.Watch):
            return await self._watch(wait, keep_on)
        if wait is None:
            return None
        self.tell()
        late = anyio.current_time() + wait.after_s >= impatient
        if late and self.life.state == "UNDOING":
            await self._follow(lifecycle.PatienceOver())
        if late and not keep_on:
            return None
        await anyio.sleep(wait.after_s)
        return None if self._relieved(self.row.id) else lifecycle.RetryDue()

    async def _watch(self, wait: lifecycle.Watch, keep_on: bool) -> Event | None:
        if wait.seconds > 0 and not keep_on:
            return None
        self.tell()
        await anyio.sleep(wait.seconds)
        return lifecycle.WatchOver()

    async def _execute(self, command: Command) -> Event | None:
        match command:
            case lifecycle.SaveIntent():
                return self._save_intent()
            case lifecycle.ArmGuardian():
                return await self._arm()
            case lifecycle.Inject():
                return await self._inject()
            case lifecycle.Observe():
                return await self._observe()
            case lifecycle.Revert():
                return await self._revert()
            case lifecycle.Fence() | lifecycle.Unfence():
                return await self._fence(command)
            case lifecycle.Save(state, why):
                self._save(state, why)
            case lifecycle.Disarm():
                await self._disarm()
            case lifecycle.Shout(why):
                self._shout(f"not reverted: {self.row.target.key}: {why}")
        return None

    def _save_intent(self) -> Event:
        record = records.IntentCommitted(
            fault=self.row.id,
            target=self.row.target,
            kind=self.row.kind,
            step=self.row.step,
            aspect=self.row.aspect,
            undo=self.row.undo,
            reversible=self.row.reversible,
        )
        try:
            self._journal.save_intent(self.row, record)
        except JournalError as why:
            return lifecycle.IntentFailed(str(why))
        return lifecycle.IntentSaved()

    async def _arm(self) -> Event:
        if self._guard is None:
            return lifecycle.GuardianArmed()
        try:
            await self._guard.arm(self.row)
        except ArmError as why:
            return lifecycle.ArmFailed(f"the guardian did not take the fault: {why}")
        return lifecycle.GuardianArmed()

    async def _disarm(self) -> None:
        if self._guard is not None:
            await self._guard.disarm(self.row.id)

    async def _inject(self) -> Event:
        self._sent_t = self._journal.now()
        try:
            with anyio.fail_after(GOING_IN_S):
                await self.fault.inject(self._env, self.undo_record)
        except Refused as why:
            return lifecycle.Denied(str(why))
        except (Doubt, TimeoutError) as why:
            return lifecycle.Doubted(str(why) or f"no answer within {GOING_IN_S:g} s")
        except Exception as bug:
            return lifecycle.Doubted(self._kept(bug))
        return lifecycle.Accepted()

    def _kept(self, bug: Exception) -> str:
        """A bug of the fault's: doubt like any other, for nothing may cost the undo; raised again by the engine."""
        self.bug = self.bug or bug
        return f"{type(bug).__name__}: {bug}"

    async def _observe(self) -> Event:
        limit = COMING_OUT_S if self._coming_out else GOING_IN_S
        try:
            with anyio.fail_after(limit):
                seen = await self.fault.observe(self._env, self.undo_record)
        except (Refused, Doubt, TimeoutError) as why:
            return lifecycle.Seen("unreadable", str(why) or f"no answer within {limit:g} s")
        except Exception as bug:
            return lifecycle.Seen("unreadable", self._kept(bug))
        if isinstance(seen, Absent):
            self.gone_t, self._drift, self.verified = self._journal.now(), seen.drift, seen.verified
            return lifecycle.Seen("absent", seen.drift)
        words: Any = {Present: "present", Drifted: "drifted"}
        return lifecycle.Seen(words.get(type(seen), "unreadable"), seen.why)

    async def _revert(self) -> Event:
        able: object = self.fault
        limit = able.undo_limit_s(self.undo_record) if isinstance(able, Lasting) else 0.0
        return await self._asked(self.fault.revert, lifecycle.Reverted(), max(limit, COMING_OUT_S))

    async def _fence(self, command: Command) -> Event:
        if not isinstance(self.fault, Fences):
            return lifecycle.Fenced()
        if isinstance(command, lifecycle.Fence):
            return await self._asked(self.fault.fence, lifecycle.Fenced())
        return await self._asked(self.fault.unfence, lifecycle.Unfenced())

    async def _asked(
        self, ask: Callable[[Env, Undo], Awaitable[None]], well: Event, limit_s: float = COMING_OUT_S
    ) -> Event:
        try:
            with anyio.fail_after(limit_s):
                await ask(self._env, self.undo_record)
        except (Refused, Doubt, TimeoutError) as why:
            return self._failed(str(why) or f"no answer within {limit_s:g} s")
        except Exception as bug:
            return self._failed(self._kept(bug))
        return well

    def _failed(self, why: str) -> Event:
        self._defer(self.life.state, records.UndoFailed(fault=self.row.id, why=why, attempt=self.life.attempts + 1))
        return lifecycle.RevertFailed(why)

    def _save(self, state: lifecycle.State, why: str) -> None:
        record = self._record(state, why)
        if state == "INJECTED":
            self.injected_t = self._journal.now()
        if self._coming_out:
            self._defer(state, record)
        else:
            self._journal.save_state(self.row.id, state, record, self._journal.now())

    def _defer(self, state: lifecycle.State, record: records.AnyRecord | None) -> None:
        self._deferred.append((state, record, self._journal.now()))

    def _record(self, state: lifecycle.State, why: str) -> records.AnyRecord | None:
        fault, now = self.row.id, self._journal.now()
        match state:
            case "INJECTED":
                return records.FaultInjected(fault=fault, seconds=round(now - self._sent_t, 6))
            case "UNKNOWN":
                return records.FaultUncertain(fault=fault, why=why)
            case "UNDOING" if self.undo_sent_t is None:
                self.undo_sent_t = now
                return records.UndoBegan(fault=fault, sent_t=now, by=self._by)
            case "UNDONE":
                gone = self.gone_t if self.gone_t is not None else now
                return records.FaultReverted(
                    fault=fault, gone_t=gone, verified=self.verified, drift=self._drift, by=self._by
                )
            case "WATCHING":
                return records.FaultWatched(fault=fault, seconds=lifecycle.WATCH_S)
            case "CLOSED" if why:
                return records.FaultRefused(fault=fault, why=why)
            case "CLOSED":
                return records.FaultClosed(fault=fault)
            case "SPENT":
                after = self.replaced_t - (self.injected_t or 0.0) if self.replaced else 0.0
                return records.FaultSpent(fault=fault, replaced=self.replaced, seconds=round(after, 3))
            case "STUCK":
                return records.FaultStuck(fault=fault, why=why)
            case _:
                return None
