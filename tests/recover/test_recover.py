"""What dead runs left is undone, by whoever comes next and as often as it takes; nothing is ever injected."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import anyio
import msgspec
import pytest

from chaos_runner import store
from chaos_runner.api import Env
from chaos_runner.lifecycle import WATCH_S
from chaos_runner.model import ParallelStep
from chaos_runner.records import FaultReverted, RunEnded, Target
from chaos_runner.store import Fenced, Owner
from chaos_runner.testing import LOST_REQUEST, Reply
from tests.engine.kit import DEAD, Crash, Rig, experiment, harm, travels, virtually
from tests.recover.kit import began


@pytest.fixture
def dead(rig: Rig) -> Rig:
    """A run that died with its two faults on their targets."""
    rig.world.targets = [Target(key="fake/one"), Target(key="fake/two")]
    die_in_the_window(rig)
    assert rig.harmed
    return rig


def die_in_the_window(rig: Rig, other: str = "fake") -> None:
    rig.well()
    rig.at(10.5, lambda: setattr(rig.store, "dies_before", 0))
    with travels(Crash):
        rig.run(experiment(ParallelStep(parallel=(harm("one"), harm("two", fault=other)))))
    rig.resurrect()


def test_a_dead_run_is_undone_verified_and_ended(dead: Rig) -> None:
    told = dead.recover()

    assert not dead.harmed
    assert dead.states() == ["WATCHING", "WATCHING"]  # its last request may still be under way
    assert (told[0].run, told[0].closed, told[0].left) == ("r1", ("r1.0", "r1.1"), ())
    end = dead.records(RunEnded)[0]
    assert (end.by, end.outcome.stopped_by, end.outcome.cleanup) == ("recovery", "died", "WATCHING")
    assert dead.ledger.run("r1").state == "ENDED"


def test_recovery_never_injects(dead: Rig) -> None:
    before = dead.world.count("inject")
    dead.recover(watch=True)

    assert dead.world.count("inject") == before
    assert dead.world.count("prepare") == before


def test_what_recovery_did_comes_after_what_the_run_did(dead: Rig) -> None:
    dead.recover()

    injected = max(view.t for view in dead.ledger.records("r1") if type(view.record).__name__ == "FaultInjected")
    assert all(record.gone_t >= injected for record in dead.records(FaultReverted))


def test_whoever_stays_closes_what_is_fenced(dead: Rig) -> None:
    dead.recover(watch=True)

    assert dead.states() == ["CLOSED", "CLOSED"]
    assert dead.world.fences == set()
    assert dead.recover() == []


def test_whoever_comes_after_the_watch_closes_what_is_fenced(dead: Rig) -> None:
    dead.recover()
    _orphan(dead)
    began(dead, WATCH_S + 1)
    dead.recover()

    assert dead.states() == ["CLOSED", "CLOSED"]
    assert dead.world.fences == set()


def test_whoever_comes_within_the_watch_leaves_the_fences(dead: Rig) -> None:
    dead.recover()
    _orphan(dead)
    dead.recover()

    assert dead.states() == ["WATCHING", "WATCHING"]
    assert len(dead.world.fences) == 2
    assert len(dead.records(RunEnded)) == 1


def _orphan(rig: Rig) -> None:
    """The recovering process is gone too."""
    rig.ledger.take_over("r1", DEAD)


def test_what_came_back_during_the_watch_is_undone_again(dead: Rig) -> None:
    dead.recover()
    _orphan(dead)
    fence = min(dead.world.fences)
    dead.world.fences.clear()
    dead.world.harm["fake/one", "harm"] = fence
    told = dead.recover(watch=True)

    assert not dead.harmed
    assert told[0].left == ()


def test_a_living_run_is_not_touched(rig: Rig) -> None:
    rig.owner = Owner.mine()
    die_with_one(rig)

    assert rig.recover() == []
    assert rig.harmed
    assert rig.ledger.run("r1").epoch == 1


def die_with_one(rig: Rig) -> None:
    rig.well()
    rig.at(10.5, lambda: setattr(rig.store, "dies_before", 0))
    with travels(Crash):
        rig.run(experiment())
    rig.resurrect()


def test_a_run_of_another_host_is_not_touched(rig: Rig) -> None:
    rig.owner = msgspec.structs.replace(DEAD, host="elsewhere")
    die_with_one(rig)

    assert rig.recover() == []


def test_another_environment_is_not_touched(dead: Rig) -> None:
    told = virtually(lambda: _recover_in(dead, "other"))

    assert told == []
    assert dead.harmed


async def _recover_in(rig: Rig, environment: str) -> list[object]:
    from chaos_runner import recover

    return list(await recover.recover(rig.ledger, environment, rig.shouts.append, kinds=rig.kinds))


@pytest.mark.parametrize("n", range(1, 10))
@pytest.mark.parametrize("moment", ["dies_before", "dies_after"])
def test_recovery_that_dies_at_any_write_is_finished_by_the_next(dead: Rig, n: int, moment: str) -> None:
    ledger = dead.ledger
    dead.store.dies_before = dead.store.dies_after = float("inf")
    dead.store.dead, dead.store.writes = False, 0
    setattr(dead.store, moment, n)
    dead.store.WRITES = (*dead.store.WRITES, "take_over")
    dead.ledger = dead.store
    try:
        dead.recover()
    except BaseException as error:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        assert isinstance(error, Crash)
    dead.ledger = ledger
    dead.resurrect()
    dead.ledger.take_over("r1", DEAD)
    dead.recover(watch=True)

    assert not dead.harmed
    assert dead.states() == ["CLOSED", "CLOSED"]
    assert dead.ledger.unfinished_runs() == []
    assert len(dead.records(RunEnded)) == 1


def test_the_old_owner_can_write_nothing_after_a_takeover(dead: Rig) -> None:
    journal = dead.engine.course.journal
    dead.recover()
    dead.store.dead, dead.store.dies_before = False, float("inf")

    with pytest.raises(Fenced):
        dead.ledger.set_fault_state("r1.0", journal.epoch, "INJECTED")
    row = dead.ledger.faults("r1")[0]
    fresh = msgspec.structs.replace(row, id="r1.9", n=9, aspect="another", state="INTENT", epoch=journal.epoch)
    from chaos_runner.drive import JournalError

    async def late() -> None:
        with pytest.raises(JournalError, match="another owner"):
            journal.save_intent(fresh, dead.records()[0])

    virtually(late)


def test_somebody_elses_takeover_in_between_is_left_to_them(dead: Rig) -> None:
    stale = dead.ledger.run("r1")
    dead.ledger.take_over("r1", DEAD)

    inner = dead.ledger

    class Stale:
        def unfinished_runs(self, environment: str | None) -> list[store.RunRow]:
            return [stale]

        def run(self, run_id: str) -> store.RunRow:
            return stale

        def __getattr__(self, name: str) -> object:
            return getattr(inner, name)

    dead.ledger = Stale()
    told = dead.recover()
    dead.ledger = inner

    assert told[0].left == ("?",)
    assert "taken over by somebody else" in told[0].why
    assert dead.world.count("revert") == 0


@pytest.mark.parametrize(("column", "value"), [("undo", b"{"), ("undo", b"[]"), ("kind", "gone"), ("target", b"7")])
def test_a_damaged_row_is_told_and_the_others_are_undone(dead: Rig, column: str, value: object) -> None:
    _damage(dead, column, value)
    told = dead.recover()

    assert ("fake/two", "harm") not in dead.world.harm
    assert len(told[0].left) == 1
    assert "r1.0" in told[0].left[0]
    assert dead.ledger.run("r1").headline == "NOT_REVERTED"
    assert [run.id for run in dead.ledger.unfinished_runs()] == ["r1"]


def test_a_state_that_nobody_knows_is_undone_like_any_other(dead: Rig) -> None:
    _damage(dead, "state", "SMASHED")

    assert dead.recover()[0].left == ()
    assert not dead.harmed


def test_a_kind_that_is_not_installed_any_more_is_told_and_the_others_are_undone(rig: Rig) -> None:
    rig.world.targets = [Target(key="fake/one"), Target(key="fake/two")]
    die_in_the_window(rig, other="fake_plain")
    del rig.kinds["fake_plain"]
    told = rig.recover()

    assert told[0].closed == ("r1.0",)
    assert "r1.1 on fake/two: its undo (fake_plain version 1) cannot be used here" in told[0].why


def _damage(rig: Rig, column: str, value: object) -> None:
    path = rig.ledger._db.path
    con = sqlite3.connect(path)
    columns = [row[1] for row in con.execute("PRAGMA table_info(fault)")]
    assert column in columns, columns
    con.execute("PRAGMA ignore_check_constraints = ON")
    con.execute(f"UPDATE fault SET {column} = ? WHERE id = 'r1.0'", (value,))
    con.commit()
    con.close()


@pytest.mark.parametrize("trouble", [LOST_REQUEST, Reply(lands=False, error="bug")], ids=["unreachable", "bug"])
def test_what_cannot_be_undone_is_left_loud_and_tried_again_next_time(dead: Rig, trouble: Reply) -> None:
    dead.world.always("revert", trouble)
    told = dead.recover(patience_s=5.0)

    assert len(told[0].left) == 2
    assert dead.states() == ["STUCK", "STUCK"]
    assert dead.ledger.run("r1").headline == "NOT_REVERTED"
    dead.world.always("revert", Reply())
    _orphan(dead)
    assert dead.recover(watch=True)[0].left == ()
    assert not dead.harmed
    assert dead.states() == ["CLOSED", "CLOSED"]


def test_missing_secrets_are_told_and_nothing_is_called_clean(rig: Rig) -> None:
    plain = rig.env
    services = {**rig.world.environment().services, "x": "env:NO_SUCH_SECRET"}
    rig.env = lambda: Env("fake", msgspec.structs.replace(plain().environment, services=services))
    die_with_one(rig)
    told = rig.recover()

    assert "env:NO_SUCH_SECRET is not set" in told[0].why
    assert rig.harmed
    assert [run.id for run in rig.ledger.unfinished_runs()] == ["r1"]


def test_a_guardian_at_work_is_waited_for(dead: Rig) -> None:
    dead.ledger.take_over("r1", Owner.mine())

    async def both() -> list[object]:
        async with anyio.create_task_group() as group:

            async def finish() -> None:
                await anyio.sleep(5)
                for row in dead.ledger.faults("r1"):
                    dead.ledger.set_fault_state(row.id, 2, "CLOSED")
                dead.ledger.end_run("r1", 2, "ABORTED")

            group.start_soon(finish)
            return await _recover_in(dead, "fake")

    assert virtually(both) == []
    assert dead.world.count("revert") == 0


def test_a_guardian_that_dies_at_its_work_is_succeeded(dead: Rig) -> None:
    dead.ledger.take_over("r1", Owner.mine())

    async def both() -> list[object]:
        async with anyio.create_task_group() as group:

            async def die() -> None:
                await anyio.sleep(5)
                dead.ledger.take_over("r1", DEAD)

            group.start_soon(die)
            return await _recover_in(dead, "fake")

    told = virtually(both)
    assert told[0].left == ()
    assert not dead.harmed


def test_leases_are_kept_while_undoing_so_that_fences_stay(make: Callable[..., Rig]) -> None:
    rig = make(leases=True)
    die_with_one(rig)
    rig.owner = DEAD
    rig.world.always("lease", Reply())
    rig.recover(watch=True)

    assert not rig.harmed
    assert rig.states() == ["CLOSED"]
    assert rig.world.leases == {}
