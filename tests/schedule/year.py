"""A year of schedules on a virtual clock, by the product's docket, gates and store: daemons die anywhere, clocks jump.

Time is the argument; the store is a real one. Runs are made up: they end at once, and mostly well.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sqlite3
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, NamedTuple

import msgspec

from chaos_runner.environment import Environment, Gates, Signal
from chaos_runner.model import Pick
from chaos_runner.records import Outcome, RunEnded, RunStarted
from chaos_runner.scheduler.book import Book, Item
from chaos_runner.scheduler.docket import Docket, Outside
from chaos_runner.scheduler.lead import Lead
from chaos_runner.scheduler.signals import Signals
from chaos_runner.scheduler.wheel import Wheel
from chaos_runner.store import Fenced, Owner, SlotRow, SqliteStore, Stamped, open_store
from tests.schedule import kit

NOT_USED = Signal(not_used="a simulation")
ENVIRONMENT = Environment(gates=Gates(*[NOT_USED] * len(Gates.__struct_fields__)))
STEPS_S = (-7200.0, -1800.0, -30.0, 45.0, 5400.0)
DEAD_S = (6.0, 60.0, 1200.0, 3600.0, 3 * 86400.0)
CLAIM_S = 20.0
LEASE_S = 3600.0  # by the real clock, which stands still here; that it lapses is said by hand


class Dead(BaseException):
    """The daemon was killed here."""


class Figures(NamedTuple):
    """What a year came to."""

    rows: list[SlotRow]
    deaths: Counter[str]
    steps: int
    takeovers: int
    ghosts: int


class Mortal:
    """The store as a daemon sees it that may be killed before or after any write."""

    def __init__(self, store: SqliteStore, year: Year) -> None:
        self._store, self._year = store, year

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def claim_slot(self, row: SlotRow, epoch: int) -> bool:
        self._year.may_die("before a claim")
        claimed = self._store.claim_slot(row, epoch)
        self._year.may_die("after a claim")
        return claimed

    def add_skips(self, rows: Iterable[SlotRow], epoch: int) -> int:
        self._year.may_die("before the skips")
        added = self._store.add_skips(rows, epoch)
        self._year.may_die("after the skips")
        return added


class Year:
    """Schedules, each in an environment and of a service of its own, and one daemon after the other."""

    docket_of: ClassVar[type[Docket]] = Docket
    store_of: ClassVar[type[Mortal]] = Mortal

    def __init__(
        self, folder: Path, cases: dict[int, kit.Case], seed: int, *, span: tuple[int, int], fate: float = 0.001
    ) -> None:
        self.cases, self.chance, self.span, self.fate = cases, random.Random(seed), span, fate
        self.now, self.step_s = float(span[0] - 1), 0.0
        self.deaths: Counter[str] = Counter()
        self.steps = self.ghosts = self.runs = self.daemons = 0
        self.store = open_store(folder / "state", allow_tmpfs=True)
        self.folder = folder
        self.retired: list[Docket] = []
        self.started: Counter[tuple[str, float]] = Counter()
        self.silent: dict[str, float] = {}  # runs whose process never came up, and since when
        items = tuple(self.item(case, n) for n, case in cases.items())
        self.book = Book(items, {item.schedule.environment: ENVIRONMENT for item in items}, {})
        for item in items:
            self.store.arm(item.schedule.environment, "a simulation", span[1] + 1e9)

    def item(self, case: kit.Case, n: int) -> Item:
        schedule = msgspec.structs.replace(case.schedule, name=f"s{n}", environment=f"e{n}")
        return Item(schedule, case.almanac, case.terms, Path("x.yaml"), "x", f"service-{n}")

    def wall(self) -> float:
        """What the daemon's clock shows."""
        return self.now + self.step_s

    def spend(self) -> Figures:
        """The whole of it."""
        with open(os.devnull, "w") as quiet, contextlib.redirect_stderr(quiet):  # noqa: PTH123 -- daemons say a lot
            asyncio.run(self._spend())
        rows = self.store.slots(limit=10_000_000)[::-1]
        lease = self.store.lease()
        self.store.close()
        return Figures(rows, self.deaths, self.steps, lease.epoch if lease else 0, self.ghosts)

    async def _spend(self) -> None:
        until = self.span[1] + 86400.0
        while self.now < until:
            try:
                await self._one_daemon(until)
            except Dead:
                self._bury()
                self.now += self.chance.choice(DEAD_S)
        self._bury()
        self.fate = 0.0  # whoever comes last lives to see what was missed
        await self._one_daemon(self.now + 60.0)

    async def _one_daemon(self, until: float) -> None:
        """As `Daemon` does it: beat, make the wheel anew where that is due, fire; until it is killed."""
        self.daemons += 1
        lead = Lead(self.store, f"d{self.daemons}", LEASE_S)
        outside = Outside(self.wall, self._new_run, self.folder / "state", self._start, Signals(self.wall))
        self.docket = docket = self.docket_of(outside, self.store_of(self.store, self), lead, self.book)  # type: ignore[arg-type]
        held = self.store.lease()
        docket.wheel = Wheel(self.book.items, docket.since(held.decided_until if held else self.wall()))
        while self.now < until:
            since = docket.anew_from(lead.renew(docket.decided_until))
            if since is not None:
                docket.wheel = Wheel(self.book.items, since)
            if (docket.wheel.next() or until) <= self.wall():
                await self._haunt()
                await docket.fire()
            self._pass(docket.wheel.next())

    def _pass(self, due: float | None) -> None:
        """To the next instant, by the daemon's clock, or to the next second; what happens on the way is drawn."""
        if self.chance.random() < self.fate:
            self.steps += 1
            self.step_s = self.chance.choice(STEPS_S)
        self.may_die("between two looks")
        for run in [run for run, since in self.silent.items() if self.now > since + CLAIM_S]:
            self.store.end_slot(run, "LOST", "its process did not come up")
            del self.silent[run]
        wait = 1.0 if due is None else max(0.0, due - self.wall())
        self.now += min(wait, 86400.0) + self.chance.random() * 0.5

    def may_die(self, where: str) -> None:
        if self.chance.random() < self.fate:
            self.deaths[where] += 1
            raise Dead

    def _bury(self) -> None:
        """Time has passed: the lease has lapsed, and whoever was claimed and did not come up is lost."""
        lease = self.store.lease()
        if lease is not None:
            self.store.release_lease(lease.holder, lease.epoch)
        for row in self.store.going_slots():
            self.store.end_slot(row.run, "LOST", "its process did not come up")
        self.retired = [*self.retired[-2:], self.docket]

    async def _haunt(self) -> None:
        """A daemon that was only stopped goes on where it was: it must not get anything in."""
        if not self.retired or self.chance.random() > 0.2:
            return
        ghost, before = self.retired.pop(), self.store.slot_counts()
        ghost._store = self.store_of(self.store, self)  # type: ignore[assignment]
        fate, self.fate = self.fate, 0.0
        with contextlib.suppress(Fenced):
            await ghost.fire()
        self.fate = fate
        self.ghosts += 1
        assert self.store.slot_counts() == before, "who was taken over has decided something"

    def _new_run(self) -> str:
        self.runs += 1
        return f"r{self.runs}"

    async def _start(self, run: str, _file: str, environment: str, _reach: Pick | None) -> None:
        """Its process attaches, runs and ends; one in ten fails, some never come up."""
        self.may_die("before the process")
        if self.chance.random() < 0.01:
            self.silent[run] = self.now
            return
        row = self.store.attach_slot(run, Owner.mine())
        self.started[row.schedule, row.instant] += 1
        began = self.wall()
        started = Stamped(RunStarted(plan={}, versions={}, actor="a simulation"), at=began, t=0.0)
        epoch = self.store.begin_run(
            run, environment=environment, experiment="x", owner=Owner.mine(), connections={},
            deadline_at=began, runs_at_once=9, record=started,
        )  # fmt: skip
        worst_s = self.cases[int(environment.removeprefix("e"))].terms.worst_case_s
        finding = "DEVIATED" if self.chance.random() < 0.1 else "HELD"
        over_s = self.chance.random() * worst_s
        ended = RunEnded(outcome=Outcome(finding, "nothing", "CLEAN", ""))  # type: ignore[arg-type]
        self.store.end_run(run, epoch, finding, record=Stamped(ended, at=began + over_s, t=over_s))
        self.store.settle_slots()
        for block in self.store.blocked():
            self.store.acknowledge(block.schedule, "a simulation", "looked at")


# --- what must be true of it --------------------------------------------------------------------------------------


def complaints(year: Year, done: Figures) -> list[str]:
    """What the walker, which shares nothing with the product, has against the rows."""
    wrong = []
    twice = Counter((row.schedule, row.instant) for row in done.rows)
    wrong += [f"{key} decided {count} times" for key, count in twice.items() if count > 1]
    wrong += [f"{key} ran {count} times" for key, count in year.started.items() if count > 1]
    by_schedule: dict[str, list[SlotRow]] = {}
    for row in done.rows:
        by_schedule.setdefault(row.schedule, []).append(row)
    for n, case in year.cases.items():
        wrong += [f"s{n}: {one}" for one in _of_one(case, by_schedule.get(f"s{n}", []), year.span)]
    return wrong


def _of_one(case: kit.Case, rows: list[SlotRow], span: tuple[int, int]) -> list[str]:
    sure = kit.walked(case)
    due = sorted(at for at in sure.instants() if span[0] <= at < span[1])
    given = {int(row.instant) for row in rows}
    wrong = [f"{at} is no slot" for at in sorted(given - sure.instants()) if span[0] <= at < span[1]]
    every = sorted(sure.year.at[sure.slots].tolist())  # a row of missed ones may end after the span
    wrong += [f"{at} is in no row" for at in sorted(set(due) - _covered(every, rows))]
    for row in rows:
        if row.decision == "RUN" and not sure.may_begin(int(row.decided_at)):
            wrong.append(f"{row.run} began outside its window, at {row.decided_at}")
        if row.decision == "SKIP" and not row.reason:
            wrong.append(f"{row.instant} was skipped without a reason")
    return wrong


def _covered(due: list[int], rows: list[SlotRow]) -> set[int]:
    """The slots that have a row, and those that a row of missed ones stands for."""
    place = {at: n for n, at in enumerate(due)}
    found = {int(row.instant) for row in rows}
    for row in rows:
        last = place.get(int(row.instant))
        if row.missed and last is not None:
            found |= set(due[max(0, last - row.missed + 1) : last + 1])
    return found


def why(row: SlotRow) -> str:
    """What to count a row under."""
    if row.decision == "RUN":
        return f"run {row.state.lower()}"
    if row.missed:
        return "missed"
    gate, _, said = row.reason.partition(": ")
    return f"pace: {_pace(said)}" if gate == "pace" else f"calendar: {_calendar(said)}" if gate == "calendar" else gate


def _pace(said: str) -> str:
    words = ("late", "min_gap", "rests", "max_runs")
    return next((word for word in words if word in said), said)


def _calendar(said: str) -> str:
    return "closed" if "closed by" in said else "does not fit" if "may take" in said else "outside hours"


def damaged(folder: Path) -> list[str]:
    """What SQLite says of the file itself."""
    con = sqlite3.connect(folder / "state" / "ledger.sqlite")
    said = [row[0] for row in con.execute("PRAGMA integrity_check")]
    con.close()
    return [] if said == ["ok"] else said
