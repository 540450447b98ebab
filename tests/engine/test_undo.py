"""What was sent is undone: when replies are lost, when undoing fails, and whatever happens to the other faults."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chaos_runner.model import ParallelStep
from chaos_runner.records import FaultInjected, FaultReverted, FaultStuck, UndoFailed
from chaos_runner.testing import HANGS, LANDS_AND_HANGS, LOST_REPLY, LOST_REQUEST, Reply, late, slow
from tests.engine.kit import Rig, experiment, harm

DOUBTFUL = {"lost reply": LOST_REPLY, "lost request": LOST_REQUEST, "hangs": HANGS, "lands, hangs": LANDS_AND_HANGS}
BUG = Reply(lands=False, error="bug")


def two(rig: Rig, *, for_: tuple[float, float] = (10.0, 10.0), same: bool = False) -> ParallelStep:
    rig.world.targets = [*rig.world.targets, type(rig.world.targets[0])(key="fake/two")]
    other = harm("one", place="other", for_=for_[1]) if same else harm("two", for_=for_[1])
    return ParallelStep(parallel=(harm("one", for_=for_[0]), other))


@pytest.mark.parametrize("reply", DOUBTFUL)
def test_a_fault_that_may_have_landed_is_undone_fenced_and_stops_the_run(rig: Rig, reply: str) -> None:
    rig.world.will("inject", DOUBTFUL[reply])
    outcome = rig.run(experiment(harm(), harm(place="other")))

    assert (outcome.finding, outcome.stopped_by, outcome.cleanup) == ("UNKNOWN", "doubt", "WATCHING")
    assert rig.world.count("inject") == 1
    assert not rig.harmed
    assert rig.world.fences == {"cx.r1.0." + mark.rsplit(".", 1)[1] for mark in rig.world.fences}
    assert rig.states() == ["WATCHING"]
    assert rig.guard.rows.keys() == {"r1.0"}  # the guardian goes on watching
    assert rig.ledger.run("r1").state == "ENDED"


def test_a_request_that_lands_after_the_undo_finds_its_name_taken(rig: Rig) -> None:
    rig.world.will("inject", late(5.0))
    rig.well()
    rig.run(experiment())

    assert not rig.harmed
    assert rig.world.count("fence") == 1


def test_what_was_accepted_but_cannot_be_read_back_is_undone(rig: Rig) -> None:
    rig.world.will("observe", LOST_REPLY)
    outcome = rig.run(experiment())

    assert outcome.stopped_by == "doubt"
    assert not rig.harmed


def test_what_was_refused_and_is_there_all_the_same_is_undone(rig: Rig) -> None:
    rig.world.will("inject", Reply(error="refused"))
    outcome = rig.run(experiment())

    assert outcome.stopped_by == "doubt"
    assert not rig.harmed


def test_an_undo_that_fails_is_tried_again_until_it_succeeds(rig: Rig) -> None:
    rig.world.will("revert", LOST_REQUEST, LOST_REQUEST, LOST_REPLY)
    outcome = rig.run(experiment())

    assert outcome.cleanup == "CLEAN"
    assert [failed.attempt for failed in rig.records(UndoFailed)] == [1, 2, 3]


def test_a_revert_without_effect_is_noticed_by_reading_and_tried_again(rig: Rig) -> None:
    rig.world.will("revert", Reply(lands=False), Reply(lands=False))
    rig.run(experiment())

    assert rig.world.count("revert") == 3
    assert rig.states() == ["CLOSED"]


def test_what_cannot_be_undone_is_loud_left_with_the_guardian_and_ends_the_run(rig: Rig) -> None:
    rig.well()
    rig.world.always("revert", LOST_REQUEST)
    outcome = rig.run(experiment(harm(), harm(place="other")))

    assert outcome.cleanup == "LEFT"
    assert "fake on fake/one (r1.0): no reply" in outcome.why
    assert rig.states() == ["STUCK"]
    assert rig.shouts == ["not reverted: fake/one: no reply"]
    assert rig.guard.rows.keys() == {"r1.0"}
    assert rig.ledger.run("r1").headline == "NOT_REVERTED"
    assert len(rig.records(FaultStuck)) == 1
    assert rig.entries[-1].t <= 17 + 60 + 25


@pytest.mark.parametrize("trouble", [LOST_REQUEST, HANGS, BUG], ids=["lost", "hangs", "bug"])
def test_one_failing_revert_never_stops_another(rig: Rig, trouble: Reply) -> None:
    rig.well()
    step = two(rig)
    asked = rig.world.ask

    async def ask(operation: str, key: str, deed: Callable[[], None] = lambda: None) -> None:
        if operation == "revert" and key == "fake/two":
            rig.world.will("revert", trouble)
        await asked(operation, key, deed)

    rig.world.ask = ask
    try:
        rig.run(experiment(step))
    except RuntimeError:
        assert trouble is BUG
    assert rig.states() == ["CLOSED", "STUCK"]
    assert rig.world.harm.keys() == {("fake/two", "harm")}
    reverted = rig.records(FaultReverted)[0]
    assert (reverted.fault, reverted.gone_t) == ("r1.0", 17.0)


def test_two_faults_on_one_target_come_out_last_in_first_out(rig: Rig) -> None:
    rig.well()
    rig.run(experiment(two(rig, same=True)))

    assert [record.fault for record in rig.records(FaultReverted)] == ["r1.1", "r1.0"]


def test_parallel_lanes_end_each_at_its_own_time(rig: Rig) -> None:
    rig.well()
    outcome = rig.run(experiment(two(rig, for_=(5.0, 20.0))))

    gone = {record.fault: record.gone_t for record in rig.records(FaultReverted)}
    assert gone == {"r1.0": 12.0, "r1.1": 27.0}
    assert outcome.finding == "HELD"


def test_a_lane_that_ended_is_not_taken_for_a_fault_that_vanished(rig: Rig) -> None:
    rig.well()
    rig.run(experiment(two(rig, for_=(5.0, 20.0))))

    assert "FaultAbsent" not in rig.names()


def test_a_slow_undo_of_one_lane_does_not_keep_the_other_on_its_target(rig: Rig) -> None:
    rig.well()
    rig.world.will("revert", slow(18.0))
    rig.run(experiment(two(rig, for_=(5.0, 10.0))))

    gone = {record.fault: record.gone_t for record in rig.records(FaultReverted)}
    assert gone["r1.1"] == 17.0


def test_a_stop_while_a_lane_is_being_undone_undoes_the_others_at_once(rig: Rig) -> None:
    rig.well()
    rig.world.will("revert", slow(18.0))
    rig.at(14.0, lambda: rig.interrupts.ask("me"))
    outcome = rig.run(experiment(two(rig, for_=(5.0, 60.0))))

    gone = {record.fault: record.gone_t for record in rig.records(FaultReverted)}
    assert outcome.stopped_by == "person"
    assert gone["r1.1"] == 14.0
    assert rig.states() == ["CLOSED", "CLOSED"]


def test_the_guardians_death_in_the_middle_of_an_injection_still_undoes_it(rig: Rig) -> None:
    rig.well()
    rig.world.will("inject", slow(3.0))
    rig.at(8.0, lambda: setattr(rig.guard, "lives", False))
    outcome = rig.run(experiment())

    assert outcome.stopped_by == "guardian"
    assert not rig.harmed
    assert rig.states() == ["CLOSED"]


def test_an_irreversible_fault_ends_spent(rig: Rig) -> None:
    rig.well()
    rig.run(experiment(harm(fault="fake_kill")))

    assert rig.states() == ["SPENT"]
    assert len(rig.records(FaultInjected)) == 1


def test_a_fault_that_cannot_be_fenced_is_watched_all_the_same(rig: Rig) -> None:
    rig.world.will("inject", LOST_REPLY)
    rig.run(experiment(harm(fault="fake_plain")))

    assert rig.states() == ["WATCHING"]
    assert rig.world.count("fence") == 0
