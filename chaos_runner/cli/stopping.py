"""Waits until the runs that a lever concerns have no fault open, and helps those along that do not stop.

A run whose faults stay open gets SIGTERM, then SIGKILL: then its guardian undoes. A run that only goes on measuring its
recovery is left alone. Writes nothing; every wait ends.
"""

from __future__ import annotations

import contextlib
import select
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from chaos_runner import store
from chaos_runner.records import Entry, FaultClosed, FaultReverted, FaultSpent, RunStarted
from chaos_runner.store import FaultRow, NoLedger, Owner, RunRow, Store, StoreError

LOOK_S = 0.1

Wanted = Callable[[RunRow, str], bool]  # a run and the service it is about


class Patience(msgspec.Struct, frozen=True):
    """Seconds since the pull. `quiet_s`: so long a run without a fault may take to end before it is left to itself.

    `dead_s`: so long a dead runner's guardian may take to say that it is at work, before it counts as dead too.
    """

    term_s: float = 5.0
    kill_s: float = 10.0
    limit_s: float = 35.0  # after SIGKILL the guardian acts at once and has time for a few tries
    quiet_s: float = 3.0
    dead_s: float = 8.0
    blind_s: float = 4.0


PATIENCE = Patience()


class Halted(msgspec.Struct):
    """One run that was concerned. `gone_s`: from the pull to its last fault being gone; None: none was open."""

    run: str
    environment: str
    experiment: str
    faults: int = 0
    gone_s: float | None = None
    state: str = "RUNNING"
    headline: str = ""
    left: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()


class Stopping:
    """One wait. `trouble` says why the ledger could not be followed; times count from `pulled_at`, by default now."""

    def __init__(
        self,
        state_dir: Path,
        wanted: Wanted,
        tell: Callable[[str], None],
        patience: Patience | None = None,
        pulled_at: float | None = None,
    ) -> None:
        self.trouble = ""
        self.halted: dict[str, Halted] = {}
        self._state_dir = state_dir
        self._wanted = wanted
        self._tell = tell
        self._patience = patience or PATIENCE
        self._pulled_at = time.time() if pulled_at is None else pulled_at
        self._began = time.monotonic()
        self._services: dict[str, str] = {}
        self._dead_since: dict[str, float] = {}

    def wait(self) -> list[Halted]:
        """Returns when nothing concerned has a fault open, or the time is over."""
        blind_since = None
        while self._passed() < self._patience.limit_s:
            try:
                if self._look():
                    break
                self.trouble, blind_since = "", None
            except StoreError as why:
                self.trouble = str(why)
                blind_since = self._passed() if blind_since is None else blind_since
                if self._passed() - blind_since > self._patience.blind_s:
                    break
            time.sleep(LOOK_S)
        return list(self.halted.values())

    def _passed(self) -> float:
        return time.monotonic() - self._began

    def _look(self) -> bool:
        """One look at the ledger; True when there is nothing to wait for."""
        try:
            with store.open_store(self._state_dir, read_only=True) as ledger:
                for run in ledger.unfinished_runs():
                    if run.id not in self.halted and self._wanted(run, self._service(ledger, run.id)):
                        self.halted[run.id] = Halted(run.id, run.environment, run.experiment)
                calm = [self._follow(ledger, one) for one in self.halted.values()]
                return all(calm)
        except NoLedger:
            return True

    def _service(self, ledger: Store, run_id: str) -> str:
        if run_id not in self._services:
            try:
                self._services[run_id] = _service_of(ledger.records(run_id))
            except StoreError:
                return ""
        return self._services[run_id]

    def _follow(self, ledger: Store, one: Halted) -> bool:
        """Whether this run needs no more waiting."""
        run = ledger.run(one.run)
        if run is None:
            return True
        hot = [row for row in ledger.open_faults(run_id=run.id) if row.state != "WATCHING"]
        one.state, one.headline = run.state, run.headline
        one.left = tuple(f"{row.kind} on {row.target.key} ({row.id}, {row.state})" for row in hot)
        if hot:
            self._urge(run, one, hot)
            return self._forsaken(run)
        self._measure(ledger, one)
        ended = run.state == "ENDED" or store.alive(run.owner) is not True
        return ended or one.gone_s is not None or self._passed() > self._patience.quiet_s

    def _forsaken(self, run: RunRow) -> bool:
        """Whether nobody is left who would undo: waiting longer would change nothing."""
        if store.alive(run.owner) is not False:
            self._dead_since.pop(run.id, None)
            return False
        return self._passed() - self._dead_since.setdefault(run.id, self._passed()) > self._patience.dead_s

    def _urge(self, run: RunRow, one: Halted, hot: list[FaultRow]) -> None:
        due = [("SIGTERM", self._patience.term_s), ("SIGKILL", self._patience.kill_s)]
        for name, after in due:
            if self._passed() >= after and name not in one.signals and run.state == "RUNNING":
                if send(run.owner, signal.Signals[name]):
                    count = f"{len(hot)} fault{'s' if len(hot) > 1 else ''}"
                    self._tell(f"{run.id} still has {count} open after {self._passed():.0f} s: sent {name}")
                one.signals += (name,)
                return

    def _measure(self, ledger: Store, one: Halted) -> None:
        with contextlib.suppress(StoreError):  # a damaged record costs the figure, not the halt
            gone = [at - self._pulled_at for at in _gone_at(ledger.records(one.run))]
            after = [seconds for seconds in gone if seconds > 0]
            one.faults, one.gone_s = len(after), max(after, default=None)


def send(owner: Owner, number: signal.Signals) -> bool:
    """Signals the very process that owns a run, and no other; False where it is gone, elsewhere or not ours."""
    with store.signalled(owner, number) as pidfd:
        if pidfd is not None and number is signal.SIGKILL:
            select.select([pidfd], [], [], store.KILL_S)
        return pidfd is not None


def _service_of(entries: list[Entry]) -> str:
    started = next((entry.record for entry in entries if isinstance(entry.record, RunStarted)), None)
    experiment = started.plan.get("experiment", {}) if started else {}
    return str(experiment.get("service", "")) if isinstance(experiment, dict) else ""


def _gone_at(entries: list[Entry]) -> Iterator[float]:
    """The wall time at which each fault was gone: read back as gone, or closed where nothing was read."""
    last: dict[str, float] = {}
    for entry in entries:
        record = entry.record
        if isinstance(record, FaultReverted):
            last[record.fault] = entry.at - entry.t + record.gone_t
        elif isinstance(record, FaultClosed | FaultSpent):
            last.setdefault(record.fault, entry.at)
    yield from last.values()
