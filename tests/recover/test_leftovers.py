"""With the ledger lost, marks on targets are enough; and what may be alive elsewhere is left alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import msgspec
import pytest

from chaos_runner import leftovers, recover, store
from chaos_runner.leftovers import GRACE_S, Leftover, Mark, read_mark, standing
from chaos_runner.records import RunEnded
from chaos_runner.store import Owner, RunRow, Store
from chaos_runner.testing import LOST_REQUEST, FakeFault, Reply
from tests.engine.kit import DEAD, Crash, Rig, experiment, harm, travels, virtually

NOW = 1_000_000.0
ELSEWHERE = msgspec.structs.replace(DEAD, host="elsewhere")
UNKNOWN = Mark("r9", NOW + 10)
EXPIRED = Mark("r9", NOW - GRACE_S)


def row(owner: Owner, state: str = "RUNNING") -> RunRow:
    return RunRow("r9", "fake", "e", state, 1, owner, NOW, {}, NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mark", "run", "leased", "word", "how"),
    [
        (UNKNOWN, None, False, False, "unproven"),
        (UNKNOWN, None, False, True, "orphaned"),
        (Mark("r9", NOW - GRACE_S + 1), None, False, False, "unproven"),
        (EXPIRED, None, False, False, "orphaned"),
        (Mark("r9"), None, False, False, "unproven"),
        (UNKNOWN, row(DEAD), False, False, "orphaned"),
        (UNKNOWN, row(Owner.mine(), "ENDED"), False, False, "orphaned"),
        (EXPIRED, row(Owner.mine()), False, True, "attended"),  # whatever the clock says: it lives
        (UNKNOWN, row(ELSEWHERE), False, False, "unproven"),
        (EXPIRED, row(ELSEWHERE), False, False, "orphaned"),
        (UNKNOWN, row(DEAD), True, True, "attended"),
        (EXPIRED, None, True, True, "attended"),
    ],
)
def test_only_what_is_provably_orphaned_is_undone(
    mark: Mark, run: RunRow | None, leased: bool, word: bool, how: str
) -> None:
    found, why = standing(mark, run, leased=leased, now=NOW, ledger_lost=word)

    assert found == how
    assert why


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("cx.r1.0.99", Mark("r1", 99.0)),
        ("cx.20261122-1-a.12.1795332908", Mark("20261122-1-a", 1795332908.0)),
        ("cx.r1.0." + "9" * 400, Mark("cx.r1.0." + "9" * 400)),
        ("cx.r1.0", Mark("cx.r1.0")),
        ("cx.R1.0.99", Mark("cx.R1.0.99")),
        ("", Mark("")),
    ],
)
def test_a_mark_that_cannot_be_read_expires_never(text: str, mark: Mark) -> None:
    assert read_mark(text) == mark


class Lost:
    """A world in which a run died, and whose ledger is another one now."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self.ledger = store.open_store(folder, allow_tmpfs=True)
        self.seen: list[Leftover] = []

    def look(self, *, lost: bool = False, now: float | None = None, ledger: Store | None = None) -> list[Leftover]:
        async def look() -> list[Leftover]:
            env = self.rig.env()
            clock = (lambda: now) if now is not None else time.time
            return await leftovers.look(env, [FakeFault()], ledger or self.ledger, ledger_lost=lost, now=clock)

        self.seen = virtually(look)
        return self.seen

    def adopt(self, run: str = "m1") -> None:
        found = [one for one in self.seen if one.standing == "orphaned"]
        leftovers.adopt(self.ledger, run, self.rig.env(), found, "me")

    def recover(self, **options: object) -> list[recover.Recovered]:
        return virtually(lambda: recover.recover(self.ledger, None, print, kinds=self.rig.kinds, **options))  # type: ignore[arg-type]

    def states(self, run: str = "m1") -> list[str]:
        return [one.state for one in self.ledger.faults(run)]


@pytest.fixture
def lost(rig: Rig, folder: Path) -> Lost:
    rig.well()
    rig.at(10.5, lambda: setattr(rig.store, "dies_before", 0))
    with travels(Crash):
        rig.run(experiment(harm(for_=20.0)))
    rig.resurrect()
    assert rig.harmed
    found = Lost(rig, folder / "other")
    yield found
    found.ledger.close()


def expiry(lost: Lost) -> float:
    (mark,) = lost.rig.world.harm.values()
    return read_mark(mark).expires_at


def test_what_may_be_alive_elsewhere_is_told_and_left_alone(lost: Lost) -> None:
    (found,) = lost.look(now=expiry(lost) + GRACE_S - 1)

    assert (found.standing, found.harming, found.run, found.undo.target.key) == ("unproven", True, "r1", "fake/one")
    assert found.expires_at == expiry(lost)
    assert lost.rig.world.count("revert") == 0


def test_what_has_expired_is_undone_verified_and_kept_in_the_history(lost: Lost) -> None:
    before = {name: lost.rig.world.count(name) for name in ("inject", "prepare")}
    lost.look(now=expiry(lost) + GRACE_S)
    lost.adopt()
    told = lost.recover()

    assert not lost.rig.harmed
    assert [one.left for one in told] == [()]
    assert lost.states() == ["WATCHING"]
    assert before == {name: lost.rig.world.count(name) for name in ("inject", "prepare")}
    ended = [entry.record for entry in lost.ledger.records("m1") if isinstance(entry.record, RunEnded)]
    assert [(one.by, one.outcome.cleanup) for one in ended] == [("recovery", "WATCHING")]
    assert [line.experiment for line in lost.ledger.runs()] == [leftovers.EXPERIMENT]


def test_a_person_s_word_that_the_ledger_is_lost_is_enough(lost: Lost) -> None:
    (found,) = lost.look(now=0.0, lost=True)

    assert (found.standing, found.why) == ("orphaned", "its ledger is lost, a person said")


def test_what_was_adopted_is_not_found_again_and_is_closed_after_its_watch(lost: Lost) -> None:
    lost.look(lost=True)
    lost.adopt()
    lost.recover()
    assert lost.look(lost=True) == []

    lost.ledger.take_over("m1", DEAD)
    lost.recover(watch=True)
    assert lost.states() == ["CLOSED"]
    assert lost.rig.world.fences == set()


def test_a_janitor_that_dies_after_adopting_is_succeeded_by_anybody(lost: Lost) -> None:
    lost.look(lost=True)
    lost.adopt()

    assert lost.look(lost=True) == []  # it is the ledger's by now
    assert [run.id for run in lost.ledger.unfinished_runs()] == ["m1"]
    lost.recover(watch=True)
    assert not lost.rig.harmed
    assert lost.ledger.unfinished_runs() == []


def test_two_janitors_with_ledgers_of_their_own_do_no_harm(lost: Lost, folder: Path) -> None:
    other = Lost(lost.rig, folder / "third")
    for one in (lost, other):
        one.look(lost=True)
    for one in (lost, other):
        one.adopt()
        assert one.recover(watch=True)[0].left == ()

    assert not lost.rig.harmed
    assert lost.rig.world.fences == set()
    other.ledger.close()


def test_what_cannot_be_undone_is_stuck_told_and_tried_again(lost: Lost) -> None:
    lost.rig.world.always("revert", LOST_REQUEST)
    lost.look(lost=True)
    lost.adopt()
    told = lost.recover(patience_s=5.0)

    assert told[0].left
    assert lost.states() == ["STUCK"]
    assert lost.ledger.run("m1").headline == "NOT_REVERTED"
    lost.rig.world.always("revert", Reply())
    lost.ledger.take_over("m1", DEAD)
    lost.recover()
    assert not lost.rig.harmed


def test_open_faults_of_this_ledger_are_not_leftovers(lost: Lost) -> None:
    assert lost.look(lost=True, ledger=lost.rig.ledger) == []


def test_a_fault_that_is_on_a_target_after_its_run_was_closed_is_orphaned(lost: Lost) -> None:
    (at, mark) = next(iter(lost.rig.world.harm.items()))
    lost.rig.recover(watch=True)
    lost.rig.world.harm[at] = mark  # a late request of it
    (found,) = lost.look(ledger=lost.rig.ledger, now=0.0)

    assert (found.standing, found.why) == ("orphaned", "its run is over")


def test_a_damaged_row_accounts_for_nothing(lost: Lost) -> None:
    import contextlib
    import sqlite3

    with contextlib.closing(sqlite3.connect(lost.rig.ledger._db.path)) as con:
        con.execute("UPDATE fault SET undo = '{'")
        con.commit()
    (found,) = lost.look(ledger=lost.rig.ledger, now=0.0)

    assert found.standing == "orphaned"


def test_a_lease_that_is_kept_alive_says_that_somebody_is(make: Callable[..., Rig], folder: Path) -> None:
    rig = make(leases=True)
    found = Lost(rig, folder / "other")

    async def look() -> list[Leftover]:
        env, fault = rig.env(), FakeFault()
        undo = await fault.prepare(env, rig.world.targets[0], "cx.r1.0.5")
        await fault.lease(env, undo, 10.0)
        await fault.inject(env, undo)
        seen = await leftovers.look(env, [fault], found.ledger, ledger_lost=True)
        await anyio.sleep(10.1)
        rig.world.settle()
        return seen + await leftovers.look(env, [fault], found.ledger, ledger_lost=True)

    (only,) = virtually(look)
    assert (only.standing, only.why) == ("attended", "its lease is kept alive")
    assert not rig.harmed  # it lapsed by itself
    found.ledger.close()


def test_a_run_that_ends_while_the_targets_are_read_has_left_nothing(lost: Lost) -> None:
    """The mark is read, the run undoes and closes its fault, and only then the ledger is asked again."""
    inner, asked = lost.rig.ledger, []

    class Meanwhile:
        def open_faults(self) -> list[object]:
            asked.append(1)
            return inner.open_faults() if len(asked) == 1 else []

        def __getattr__(self, name: str) -> object:
            return getattr(inner, name)

    assert lost.look(lost=True, ledger=Meanwhile()) == []  # type: ignore[arg-type]


def test_all_of_it_is_adopted_or_nothing(lost: Lost) -> None:
    (found,) = lost.look(lost=True)
    with pytest.raises(store.Busy):
        leftovers.adopt(lost.ledger, "m1", lost.rig.env(), [found, found], "me")

    assert lost.ledger.run("m1") is None
    assert lost.ledger.open_faults() == []


def test_adopting_works_on_a_nearly_full_disk(lost: Lost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.disk, "ROOM_BYTES", 1 << 60)
    lost.look(lost=True)
    lost.adopt()

    assert lost.states() == ["INTENT"]


def test_an_expiry_that_is_none_is_written_as_none(lost: Lost) -> None:
    (found,) = lost.look(lost=True)
    leftovers.adopt(lost.ledger, "m1", lost.rig.env(), [msgspec.structs.replace(found, expires_at=math.inf)], "me")

    assert [one.expires_at for one in lost.ledger.faults("m1")] == [0.0]


def test_a_process_that_lives_on_takes_up_again_what_it_recovered_itself(rig: Rig) -> None:
    rig.well()
    rig.at(10.5, lambda: setattr(rig.store, "dies_before", 0))
    with travels(Crash):
        rig.run(experiment())
    rig.resurrect()
    rig.recover()
    assert rig.ledger.run("r1").owner == Owner.mine()

    assert rig.recover(watch=True) == []
    rig.recover(watch=True, again=True)
    assert rig.states() == ["CLOSED"]


def test_a_run_of_the_very_process_that_is_under_way_is_not_taken_up(rig: Rig) -> None:
    rig.owner = Owner.mine()
    rig.well()
    rig.at(10.5, lambda: setattr(rig.store, "dies_before", 0))
    with travels(Crash):
        rig.run(experiment())
    rig.resurrect()

    assert rig.recover(again=True) == []
    assert rig.harmed
