"""A run's facts on their way to the store: strictly going in, best effort coming out. Also the guardian's, by thread.

A store that cannot be written forbids injecting and never delays undoing.
"""

from __future__ import annotations

import functools
import itertools
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from chaos_runner import store
from chaos_runner.clock import Clock
from chaos_runner.drive import JournalError
from chaos_runner.lifecycle import State
from chaos_runner.records import AnyRecord, Entry, FaultRefused, IntentCommitted, Outcome, RunEnded, Sample
from chaos_runner.store import FaultRow, Fenced, Owner, Stamped, Store, StoreError
from chaos_runner.verdict import headline

Listener = Callable[[Entry], None]
CLOSE_S = 10.0
AGAIN_S = 2.0  # between two tries of a store that failed
TRIES = 5
END_TRIES = 3
WAITING_MAX = 10_000

_T = TypeVar("_T")
_Job = Callable[[Store, int], None]


class RunJournal:
    """The journal of the process that owns the run.

    What is written by best effort waits in order while the store fails, and each try costs at most the store's own
    limit; `trouble` holds what could not be written after all. `bug` is what a listener raised: it hears no more.
    """

    def __init__(self, ledger: Store, run: str, epoch: int, clock: Clock, listener: Listener | None = None) -> None:
        self.run = run
        self.epoch = epoch
        self.trouble: list[str] = []
        self.bug: Exception | None = None
        self._ledger = ledger
        self._clock = clock
        self._listener = listener
        self._seq = 0
        self._backlog: deque[_Write] = deque()
        self._again_t = 0.0

    def now(self) -> float:
        """Seconds since the run's start."""
        return round(self._clock.now(), 6)

    def save_intent(self, row: FaultRow, record: IntentCommitted) -> None:
        """Commits the row, durably, under the run's epoch. Raises JournalError."""
        stamped = self._stamp(record, None)
        self._strictly(lambda: self._ledger.commit_intent(row, stamped))
        self.heard(stamped)

    def save_state(self, fault: str, state: State, record: AnyRecord | None, t: float) -> None:
        """Writes the state and its record as of `t`; never raises."""
        stamped = self._stamp(record, t) if record is not None else None
        self._later(f"{fault} {state}", lambda: self._ledger.set_fault_state(fault, self.epoch, state, record=stamped))
        if stamped is not None:
            self.heard(stamped)

    def note(self, record: AnyRecord, t: float | None = None) -> None:
        """Appends a record. Raises JournalError."""
        stamped = self._stamp(record, t)
        self._strictly(lambda: self._append(stamped))
        self.heard(stamped)

    def try_note(self, record: AnyRecord, t: float | None = None) -> None:
        """As `note`, but never raises."""
        stamped = self._stamp(record, t)
        self._later(type(record).__name__, lambda: self._append(stamped))
        self.heard(stamped)

    def add_samples(self, samples: Iterable[Sample]) -> None:
        """One commit for a tick's samples. Raises JournalError."""
        self._strictly(lambda: self._ledger.add_samples(self.run, samples))

    def end(self, record: RunEnded, figures: dict[str, float], *, verdict: str = "") -> None:
        """Ends the run under `verdict`, by default the outcome's headline; never raises."""
        stamped = self._stamp(record, None)
        word = verdict or headline(record.outcome)
        self._later(
            "RunEnded", lambda: self._ledger.end_run(self.run, self.epoch, word, record=stamped, figures=figures)
        )
        for _ in range(END_TRIES):
            self._settle()
        self.trouble += [f"not written: {one.what}" for one in self._backlog]
        self.heard(stamped)

    def heard(self, stamped: Stamped) -> None:
        """Tells the listener; what it raises is kept, for no listener may come between a fault and its undo."""
        self._seq += 1
        if self._listener is None:
            return
        try:
            self._listener(Entry(run=self.run, seq=self._seq, at=stamped.at, t=stamped.t, record=stamped.record))
        except Exception as bug:
            self.bug, self._listener = bug, None

    def _append(self, stamped: Stamped) -> None:
        self._ledger.append(self.run, stamped.record, stamped.at, stamped.t, self.epoch)

    def _stamp(self, record: AnyRecord, t: float | None) -> Stamped:
        now = self.now()
        moment = now if t is None else t
        return Stamped(record=record, at=self._clock.wall() - (now - moment), t=moment)

    def _strictly(self, write: Callable[[], object]) -> None:
        """Writes now, after everything that waits."""
        if self._clock.now() >= self._again_t:
            self._settle()
        if self._backlog:
            raise JournalError(self._backlog[0].why)
        try:
            write()
        except StoreError as why:
            raise JournalError(str(why)) from None

    def _later(self, what: str, write: Callable[[], object]) -> None:
        self._backlog.append(_Write(what, write))
        if self._clock.now() >= self._again_t:
            self._settle()

    def _settle(self) -> None:
        """Writes what waits, in order, up to the first that fails; one that fails TRIES times is given up."""
        while self._backlog:
            first = self._backlog[0]
            try:
                first.write()
            except StoreError as why:
                first.why, first.tries = str(why), first.tries + 1
                self._again_t = self._clock.now() + AGAIN_S
                if first.tries < TRIES and not isinstance(why, Fenced):
                    return
                self.trouble.append(f"not written: {first.what}: {why}")
            self._backlog.popleft()


class _Write(msgspec.Struct):
    """One write that has to be tried, and how that went."""

    what: str
    write: Callable[[], object]
    tries: int = 0
    why: str = ""


class ThreadJournal:
    """The guardian's journal: nothing here waits for the store but `close`, and that only for its limit.

    It takes the run over only while nobody else has; else it writes nothing, and `trouble` says so. A ledger that
    cannot be opened is tried again for as long as the guardian lives; what is to be written waits.
    """

    def __init__(
        self,
        state_dir: Path,
        run: str,
        epoch: int,
        t0: float,
        *,
        forsaken_s: float = math.inf,
        armed: Collection[str] | None = None,
    ) -> None:
        self.run = run
        self.trouble: list[str] = []
        self._seen = epoch
        self._t0 = t0
        self._forsaken_s = forsaken_s
        self._armed = armed
        self._answered_t = time.monotonic()
        self._over: dict[str, str] = {}
        self._looking = False
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closing_t = math.inf
        self._state_dir = state_dir
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def now(self) -> float:
        """Seconds since the run's start; the same CLOCK_MONOTONIC as the runner's."""
        return round(time.monotonic() - self._t0, 6)

    def save_intent(self, row: FaultRow, record: IntentCommitted) -> None:
        """Never: a guardian injects nothing."""
        raise JournalError("a guardian injects nothing")

    def save_state(self, fault: str, state: State, record: AnyRecord | None, t: float) -> None:
        """Queues the state and its record."""
        stamped = self._stamp(record, t) if record is not None else None
        self._put(lambda ledger, epoch: ledger.set_fault_state(fault, epoch, state, record=stamped))

    def end(self, outcome: Outcome) -> None:
        """Queues the end of the run; an intent that the guardian was never armed with was never sent, and is closed."""
        stamped = self._stamp(RunEnded(outcome=outcome, by="guardian"), self.now())
        self._put(self._close_unsent)
        self._put(lambda ledger, epoch: ledger.end_run(self.run, epoch, headline(outcome), record=stamped))

    def _close_unsent(self, ledger: Store, epoch: int) -> None:
        for row in ledger.open_faults(run_id=self.run) if self._armed is not None else ():
            if row.state == "INTENT" and row.id not in (self._armed or ()):
                record = FaultRefused(fault=row.id, why="never sent: the runner died before its guardian was armed")
                ledger.set_fault_state(row.id, epoch, "CLOSED", record=self._stamp(record, self.now()))

    def relieved(self, fault: str) -> str:
        """Why nobody wants this fault undone from here any more, as of the last look; and asks for another look.

        That somebody else took the run over is no reason: they may only have looked at a watch that still ran.
        """
        if not self._looking:
            self._looking = True
            self._put(self._look)
        silent_s = time.monotonic() - self._answered_t
        forsaken = f"the ledger has not been readable for {silent_s:.0f} s" if silent_s >= self._forsaken_s else ""
        return self._over.get(fault, "") or forsaken

    def close(self) -> None:
        """Waits for what is queued, at most CLOSE_S; a store that never answers is left behind."""
        self._closing_t = time.monotonic() + CLOSE_S - AGAIN_S
        self._jobs.put(None)
        self._thread.join(CLOSE_S)

    def _stamp(self, record: AnyRecord, t: float) -> Stamped:
        return Stamped(record=record, at=time.time() - (self.now() - t), t=t)

    def _put(self, job: _Job) -> None:
        if self._jobs.qsize() < WAITING_MAX:
            self._jobs.put(job)

    def _write(self) -> None:
        taken = self._tried(self._take_over, math.inf)
        if taken is None:
            self._only_look()
            return
        ledger, epoch = taken
        with ledger:
            while (job := self._jobs.get()) is not None:
                self._tried(functools.partial(job, ledger, epoch), END_TRIES)

    def _only_look(self) -> None:
        """The run is somebody else's: what becomes of its faults is theirs to write, and still of interest here."""
        while (job := self._jobs.get()) is not None:
            if job == self._look:
                self._tried(self._look, 1)

    def _take_over(self) -> tuple[Store, int]:
        store.open_store(self._state_dir, read_only=True).close()  # raises where there is none: none is made here
        ledger = store.open_store(self._state_dir, allow_tmpfs=True)
        try:
            return ledger, ledger.take_over(self.run, Owner.mine(), self._seen)
        except StoreError:
            ledger.close()
            raise

    def _look(self, *_: object) -> None:
        """What has become of the run and its faults, in the ledger that is there now. Raises StoreError."""
        self._looking = False
        with store.open_store(self._state_dir, read_only=True) as ledger:
            run, rows = ledger.run(self.run), ledger.faults(self.run)
        if run is None:
            msg = f"the ledger in {self._state_dir} does not know run {self.run}"
            raise StoreError(msg)
        self._over = {row.id: f"{row.id} is {row.state}" for row in rows if not row.open}
        self._answered_t = time.monotonic()

    def _tried(self, work: Callable[[], _T], tries: float) -> _T | None:
        """What it answers; a store that is locked or full is tried again, until the guardian wants to go."""
        for left in itertools.count(tries - 1, -1):
            try:
                return work()
            except StoreError as trouble:
                why = str(trouble)
                if left <= 0 or isinstance(trouble, Fenced) or time.monotonic() >= self._closing_t:
                    break
            time.sleep(AGAIN_S)
        if f"not written: {why}" not in self.trouble:
            self.trouble.append(f"not written: {why}")
        return None
