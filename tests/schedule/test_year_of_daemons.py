"""A slice of the simulated year of daemons: what holds, and that each planted mistake is seen. The whole year is
`tools/simulate_year.py`.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from chaos_runner.schedule.slots import Slot
from chaos_runner.scheduler.book import Item
from chaos_runner.scheduler.docket import Docket
from chaos_runner.store import SlotRow
from tests.schedule import kit, year

CASES = dict(enumerate(kit.cases(200, 7)))
SPRING = kit.START + 80 * 86400  # clocks change in most zones within six weeks
FATE = 0.01


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where that is: a year has many commits, and no disk is to be tried here."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


def planted(folder: Path, kind: type[year.Year]) -> list[str]:
    """What is wrong with two weeks of a schedule that comes up often and never rests."""
    case = kit.one("*/20 * * * *", "Europe/Berlin", (600, 900))
    often = case._replace(schedule=replace(case.schedule, min_gap=0.0, cooldown=0.0, tolerance=6 * 3600.0))
    one = kind(folder, {0: often}, 1, span=(SPRING, SPRING + 14 * 86400), fate=0.05)
    return year.complaints(one, one.spend())


def test_daemons_that_die_anywhere_run_each_slot_at_most_once_in_its_window_and_account_for_all(folder: Path) -> None:
    some = {n: CASES[n] for n in range(0, len(CASES), 11)}
    one = year.Year(folder, some, 3, span=(SPRING, SPRING + 42 * 86400), fate=FATE)
    done = one.spend()
    kinds = {year.why(row) for row in done.rows}

    assert year.complaints(one, done) == []
    assert year.damaged(folder) == []
    assert sum(done.deaths.values()) >= 10, done.deaths
    assert len(done.deaths) >= 4, done.deaths
    assert done.steps >= 3
    assert done.ghosts >= 1
    assert done.takeovers > 10
    assert {"run ended", "missed", "calendar: closed", "calendar: does not fit", "pace: min_gap"} <= kinds, kinds


# --- what is planted ----------------------------------------------------------------------------------------------


class Forgets(Docket):
    """Whoever takes over looks only from now on."""

    def since(self, decided_until: float) -> float:
        return self._outside.now()


class Keeps(Docket):
    """Whoever takes over goes on with the wheel that it has: everything before it began is somebody else's."""

    def decided_until(self) -> float | None:
        return self._outside.now()


class Loses(year.Mortal):
    """Decisions not to run are not kept."""

    def add_skips(self, rows: Iterable[SlotRow], epoch: int) -> int:
        return 0


class Again(year.Mortal):
    """A slot can be claimed again."""

    def claim_slot(self, row: SlotRow, epoch: int) -> bool:
        con = sqlite3.connect(self._year.folder / "state" / "ledger.sqlite", isolation_level=None)
        con.execute("DELETE FROM slot WHERE schedule = ? AND instant = ?", (row.schedule, row.instant))
        con.close()
        return super().claim_slot(row, epoch)


class Epochless(year.Mortal):
    """Whoever was taken over may decide as if nothing were."""

    def _now(self) -> int:
        lease = self._store.lease()
        assert lease is not None
        return lease.epoch

    def claim_slot(self, row: SlotRow, epoch: int) -> bool:
        return super().claim_slot(row, self._now())

    def add_skips(self, rows: Iterable[SlotRow], epoch: int) -> int:
        return super().add_skips(rows, self._now())


class OnceAsked(Item, frozen=True, eq=False):
    """The calendar counts for the slot, not for the moment at which its run begins."""

    def forbidden(self, slot: Slot, now: float) -> str:
        return "; ".join(reason.said for reason in slot.refused)


@pytest.mark.parametrize(
    ("docket", "store", "said"),
    [
        (Forgets, year.Mortal, "is in no row"),
        (Keeps, year.Mortal, "is in no row"),
        (Docket, Loses, "is in no row"),
        (Docket, Again, "ran 2 times"),
    ],
)
def test_a_daemon_that_forgets_or_repeats_is_seen(
    folder: Path, docket: type[Docket], store: type[year.Mortal], said: str
) -> None:
    class Planted(year.Year):
        docket_of, store_of = docket, store

    assert any(said in one for one in planted(folder, Planted))


def test_without_a_mistake_nothing_is_said(folder: Path) -> None:
    assert planted(folder, year.Year) == []


def test_a_run_that_begins_when_its_window_has_closed_is_seen(folder: Path) -> None:
    class Planted(year.Year):
        def item(self, case: kit.Case, n: int) -> Item:
            one = super().item(case, n)
            return OnceAsked(one.schedule, one.almanac, one.terms, one.file, one.experiment, one.service)

    assert any("began outside its window" in one for one in planted(folder, Planted))


def test_a_ghost_that_gets_something_in_is_seen(folder: Path) -> None:
    class Planted(year.Year):
        store_of = Epochless

    with pytest.raises(AssertionError, match="who was taken over has decided something"):
        planted(folder, Planted)
