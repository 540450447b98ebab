"""A run's facts on their way to the store: strictly going in, best effort coming out. Also the guardian's, by thread.

A store that cannot be written forbids injecting and never delays undoing.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from chaos_runner import store
from chaos_runner.clock import Clock
from chaos_runner.drive import JournalError
from chaos_runner.lifecycle import State
from chaos_runner.records import AnyRecord, Entry, IntentCommitted, Outcome, RunEnded, Sample
from chaos_runner.store import FaultRow, Owner, Stamped, Store, StoreError
from chaos_runner.verdict import headline

Listener = Callable[[Entry], None]
CLOSE_S = 10.0


class RunJournal:
    """The journal of the process that owns the run. `trouble` holds what could not be written."""

    def __init__(self, ledger: Store, run: str, epoch: int, clock: Clock, listener: Listener | None = None) -> None:
        self.run = run
        self.epoch = epoch
        self.trouble: list[str] = []
        self._ledger = ledger
        self._clock = clock
        self._listener = listener
        self._seq = 0

    def now(self) -> float:
        """Seconds since the run's start."""
        return round(self._clock.now(), 6)

    def save_intent(self, row: FaultRow, record: IntentCommitted) -> None:
        """Commits the row, durably, under the run's epoch. Raises JournalError."""
        stamped = self._stamp(record, None)
        try:
            self._ledger.commit_intent(row, stamped)
        except StoreError as why:
            raise JournalError(str(why)) from None
        self._heard(stamped)

    def save_state(self, fault: str, state: State, record: AnyRecord | None, t: float) -> None:
        """Writes the state and its record as of `t`; what fails is kept in `trouble`."""
        stamped = self._stamp(record, t) if record is not None else None
        try:
            self._ledger.set_fault_state(fault, self.epoch, state, record=stamped)
        except StoreError as why:
            self.trouble.append(f"{fault} {state}: {why}")
        if stamped is not None:
            self._heard(stamped)

    def note(self, record: AnyRecord, t: float | None = None) -> None:
        """Appends a record. Raises JournalError."""
        stamped = self._stamp(record, t)
        try:
            self._ledger.append(self.run, stamped.record, stamped.at, stamped.t, self.epoch)
        except StoreError as why:
            raise JournalError(str(why)) from None
        self._heard(stamped)

    def try_note(self, record: AnyRecord, t: float | None = None) -> None:
        """As `note`; what fails is kept in `trouble`."""
        try:
            self.note(record, t)
        except JournalError as why:
            self.trouble.append(str(why))

    def add_samples(self, samples: Iterable[Sample]) -> None:
        """One commit for a tick's samples. Raises JournalError."""
        try:
            self._ledger.add_samples(self.run, samples)
        except StoreError as why:
            raise JournalError(str(why)) from None

    def end(self, record: RunEnded, figures: dict[str, float], *, verdict: str = "") -> None:
        """Ends the run under `verdict`, by default the outcome's headline; what fails is kept in `trouble`."""
        stamped = self._stamp(record, None)
        word = verdict or headline(record.outcome)
        try:
            self._ledger.end_run(self.run, self.epoch, word, record=stamped, figures=figures)
        except StoreError as why:
            self.trouble.append(str(why))
        self._heard(stamped)

    def _stamp(self, record: AnyRecord, t: float | None) -> Stamped:
        now = self.now()
        moment = now if t is None else t
        return Stamped(record=record, at=self._clock.wall() - (now - moment), t=moment)

    def _heard(self, stamped: Stamped) -> None:
        self._seq += 1
        if self._listener is not None:
            self._listener(Entry(run=self.run, seq=self._seq, at=stamped.at, t=stamped.t, record=stamped.record))


class ThreadJournal:
    """The guardian's journal: nothing here waits for the store but `close`, and that only for its limit."""

    def __init__(self, state_dir: Path, run: str, t0: float) -> None:
        self.run = run
        self.trouble: list[str] = []
        self._t0 = t0
        self._jobs: queue.SimpleQueue[Callable[[Store, int], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, args=(state_dir,), daemon=True)
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
        self._jobs.put(lambda ledger, epoch: ledger.set_fault_state(fault, epoch, state, record=stamped))

    def end(self, outcome: Outcome) -> None:
        """Queues the end of the run."""
        stamped = self._stamp(RunEnded(outcome=outcome, by="guardian"), self.now())
        self._jobs.put(lambda ledger, epoch: ledger.end_run(self.run, epoch, headline(outcome), record=stamped))

    def close(self) -> None:
        """Waits for what is queued, at most CLOSE_S; a store that never answers is left behind."""
        self._jobs.put(None)
        self._thread.join(CLOSE_S)

    def _stamp(self, record: AnyRecord, t: float) -> Stamped:
        return Stamped(record=record, at=time.time() - (self.now() - t), t=t)

    def _write(self, state_dir: Path) -> None:
        try:
            ledger = store.open_store(state_dir, allow_tmpfs=True)
            epoch = ledger.take_over(self.run, Owner.mine())
        except StoreError as why:
            self.trouble.append(str(why))
            return
        while (job := self._jobs.get()) is not None:
            try:
                job(ledger, epoch)
            except StoreError as why:
                self.trouble.append(str(why))
        ledger.close()
