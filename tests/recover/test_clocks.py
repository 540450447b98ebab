"""Clocks are set, machines sleep: nothing expires early, nothing lives or is watched longer."""

from __future__ import annotations

import time

import anyio
import pytest

from chaos_runner import admission, orphans
from chaos_runner.clock import asleep_s
from chaos_runner.lifecycle import WATCH_S
from chaos_runner.plan import Refusal
from tests.engine.kit import DEAD, WALL, Crash, Rig, experiment, harm, travels
from tests.recover.kit import began

HOUR, YEAR = 3600.0, 365 * 86400.0
STEPS = [HOUR, -HOUR, YEAR, -YEAR]


@pytest.fixture
def watched(rig: Rig) -> Rig:
    """A dead run whose fault was undone by recovery and is watched; whoever did that is gone too."""
    rig.well()
    rig.at(10.5, lambda: setattr(rig.store, "dies_before", 0))
    with travels(Crash):
        rig.run(experiment())
    rig.resurrect()
    rig.recover()
    assert rig.states() == ["WATCHING"]
    rig.ledger.take_over("r1", DEAD)
    return rig


def _left(rig: Rig) -> float:
    (row,) = rig.ledger.faults("r1")
    return orphans.watch_left_s(row)


@pytest.mark.parametrize("step", STEPS)
def test_a_clock_that_was_set_ends_no_watch_early(watched: Rig, step: float) -> None:
    began(watched, 10.0, wall_ago_s=10.0 + step)

    assert _left(watched) == pytest.approx(WATCH_S - 10.0, abs=2)
    watched.recover()
    assert watched.states() == ["WATCHING"]
    assert watched.world.fences


@pytest.mark.parametrize("step", STEPS)
def test_a_clock_that_was_set_makes_no_watch_longer(watched: Rig, step: float) -> None:
    began(watched, WATCH_S + 1, wall_ago_s=WATCH_S + 1 + step)
    watched.recover()

    assert watched.states() == ["CLOSED"]
    assert watched.world.fences == set()


@pytest.mark.parametrize("ahead", [HOUR, YEAR])
def test_a_watch_of_another_boot_that_lies_in_the_future_is_a_whole_one_from_now_on(watched: Rig, ahead: float) -> None:
    began(watched, 0.0, wall_ago_s=-ahead, reboot=True)
    assert _left(watched) == WATCH_S
    watched.recover()

    assert watched.states() == ["WATCHING"]
    assert _left(watched) == pytest.approx(WATCH_S, abs=2)
    began(watched, WATCH_S + 1, wall_ago_s=-ahead + WATCH_S + 1)
    watched.ledger.take_over("r1", DEAD)
    watched.recover()
    assert watched.states() == ["CLOSED"]


def test_a_watch_of_another_boot_goes_by_the_wall_clock(watched: Rig) -> None:
    began(watched, 50.0, reboot=True)
    assert _left(watched) == pytest.approx(10.0, abs=2)
    began(watched, WATCH_S + 1, reboot=True)
    watched.recover()

    assert watched.states() == ["CLOSED"]


@pytest.mark.parametrize(
    ("ago", "says"), [(20.0, r"still watched for late requests for (39|40) s"), (61.0, "not closed yet")]
)
def test_a_run_that_is_refused_is_told_for_how_long_its_place_is_watched(watched: Rig, ago: float, says: str) -> None:
    began(watched, ago, wall_ago_s=-HOUR)

    with pytest.raises(Refusal, match=rf"not started: fake of run r1 on fake/one .*{says}"):
        admission.check(watched.engine.course.plan, watched.ledger, watched.ledger._db.path.parent)


@pytest.mark.parametrize("stamp", ["", "nonsense", " ", "x y z"])
def test_a_stamp_that_cannot_be_read_is_none(watched: Rig, stamp: str) -> None:
    from chaos_runner.store import since_s
    from chaos_runner.store.owner import Owner

    assert since_s(stamp) is None
    assert since_s(f"{Owner.mine().boot_id} {stamp}") is None


def test_passes_that_come_again_and_again_do_not_keep_a_watch_from_ending(watched: Rig) -> None:
    for ago in (20.0, 40.0):
        began(watched, ago)
        watched.recover()
        watched.ledger.take_over("r1", DEAD)
        assert _left(watched) == pytest.approx(WATCH_S - ago, abs=2)
    began(watched, WATCH_S + 1)
    watched.recover()

    assert watched.states() == ["CLOSED"]


@pytest.mark.parametrize("step", STEPS)
def test_a_clock_that_is_set_while_a_fault_is_there_changes_nothing(rig: Rig, step: float) -> None:
    rig.well()
    rig.at(8.5, lambda: setattr(rig.engine.course.setting.clock, "wall", lambda: WALL + step + anyio.current_time()))
    outcome = rig.run(experiment(harm(for_=10.0)))

    assert (outcome.finding, outcome.stopped_by) == ("HELD", "nothing")
    assert _lived(rig) == pytest.approx(10.0, abs=1.5)


@pytest.mark.parametrize("slept", [2.0, HOUR])
def test_a_machine_that_slept_undoes_as_soon_as_it_is_awake(rig: Rig, slept: float) -> None:
    rig.well()
    rig.at(8.5, lambda: setattr(rig.engine.course.setting.clock, "asleep", lambda: asleep_s() + slept))
    outcome = rig.run(experiment(harm(for_=30.0)))

    assert outcome.stopped_by == "blind"
    assert f"slept for {slept:.0f} s" in outcome.why
    assert not rig.harmed
    assert _lived(rig) < 4.0


def test_a_machine_that_slept_in_the_baseline_injects_nothing(rig: Rig) -> None:
    rig.well()
    rig.at(2.5, lambda: setattr(rig.engine.course.setting.clock, "asleep", lambda: asleep_s() + HOUR))
    with travels(Refusal, "slept for 3600 s"):
        rig.run(experiment())

    assert rig.world.count("inject") == 0


def _lived(rig: Rig) -> float:
    at = {operation: t for t, operation, _key in rig.world.asked if operation in {"inject", "revert"}}
    return at["revert"] - at["inject"]


def test_a_process_that_lives_is_the_same_whatever_the_clock_says(rig: Rig) -> None:
    """Owners are told apart by boot id and start in boot ticks: no wall clock is in them."""
    from chaos_runner.store import Owner, alive

    assert alive(Owner.mine()) is True
    assert set(Owner.__struct_fields__) == {"boot_id", "pid", "start_time", "host"}
    assert abs(Owner.mine().start_time) < time.clock_gettime(time.CLOCK_BOOTTIME) * 1000
