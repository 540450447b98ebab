"""The order of a run is its safety argument."""

from __future__ import annotations

import itertools

import pytest

from chaos_runner.model import PauseStep
from chaos_runner.plan import Refusal
from chaos_runner.records import AbortTripped, FaultInjected, FaultReverted, IntentCommitted, RunEnded, UndoBegan
from chaos_runner.testing import REFUSED
from tests.engine.kit import Rig, experiment, harm, travels


def test_a_run_that_held_leaves_nothing_and_says_so(rig: Rig) -> None:
    rig.well()
    outcome = rig.run(experiment())

    assert (outcome.finding, outcome.stopped_by, outcome.cleanup) == ("HELD", "nothing", "CLEAN")
    assert not rig.harmed
    assert rig.states() == ["CLOSED"]
    assert rig.ledger.run("r1").state == "ENDED"
    assert not rig.guard.rows


def test_the_run_is_durable_before_anything_is_asked_of_a_target(rig: Rig) -> None:
    rig.run(experiment())

    assert rig.index("begin_run RunStarted") < rig.index("append GuardianReady") < rig.index("append BaselineHeld")
    assert rig.index("append BaselineHeld") < rig.index("prepare fake/one")


def test_intent_is_on_disk_and_the_guardian_armed_before_the_fault_is_sent(rig: Rig) -> None:
    rig.run(experiment())

    assert rig.index("prepare fake/one") < rig.index("commit_intent IntentCommitted") < rig.index("armed r1.0")
    assert rig.index("armed r1.0") < rig.index("inject fake/one") < rig.index("set_fault_state FaultInjected")
    assert rig.world.count("inject") == 1


def test_nothing_is_written_or_shown_between_the_decision_and_the_first_revert_request(rig: Rig) -> None:
    rig.on_show = lambda status: rig.log.append(f"shown {status.tick}")
    rig.run(experiment())

    stop = rig.records(AbortTripped)[0]
    asked = rig.log[: rig.index("revert fake/one")]
    after_last_tick = asked[asked.index(f"shown {int(stop.decided_t) - 1}") :]
    assert f"shown {int(stop.decided_t)}" not in asked
    assert not [line for line in after_last_tick if line.startswith(("append", "set_", "add_", "end_"))]
    assert stop.decided_t == rig.records(UndoBegan)[0].sent_t
    assert rig.index("revert fake/one") < rig.index("append AbortTripped")


def test_an_undo_counts_only_after_a_later_read(rig: Rig) -> None:
    rig.run(experiment())

    after = rig.log[rig.index("revert fake/one") :]
    assert after.index("observe fake/one") < after.index("set_fault_state FaultReverted")


def test_the_records_tell_the_life_of_a_fault_in_order(rig: Rig) -> None:
    rig.run(experiment())

    lives = [IntentCommitted, FaultInjected, UndoBegan, FaultReverted, RunEnded]
    places = [next(n for n, record in enumerate(rig.records()) if isinstance(record, kind)) for kind in lives]
    assert places == sorted(places)
    assert rig.names()[-1] == "RunEnded"


def test_the_guardian_hears_every_tick_and_a_goodbye(rig: Rig) -> None:
    rig.run(experiment())

    assert max(later - earlier for earlier, later in itertools.pairwise(rig.guard.beats)) <= 1.0
    assert rig.log[-1] == "bye"


def test_without_a_guardian_that_is_ready_nothing_starts(rig: Rig) -> None:
    rig.guard.unwilling = "it cannot read http://proxy"
    with pytest.raises(Refusal, match="not started: it cannot read"):
        rig.run(experiment())

    assert rig.world.count("prepare") == rig.world.count("inject") == 0
    assert rig.ledger.run("r1").headline == "NOT_STARTED"
    assert rig.names()[-2:] == ["NotStarted", "RunEnded"]


def test_a_guardian_that_does_not_take_the_row_forbids_the_fault(rig: Rig) -> None:
    rig.guard.deaf = True
    outcome = rig.run(experiment())

    assert outcome.finding == "UNKNOWN"
    assert rig.world.count("inject") == 0
    assert rig.states() == ["CLOSED"]


def test_a_refused_fault_is_read_back_closed_and_teaches_nothing(rig: Rig) -> None:
    rig.world.will("inject", REFUSED)
    outcome = rig.run(experiment())

    assert (outcome.finding, outcome.stopped_by, outcome.cleanup) == ("UNKNOWN", "nothing", "CLEAN")
    assert "not injected: fake/one: as scripted" in outcome.why
    assert rig.states() == ["CLOSED"]
    assert "FaultRefused" in rig.names()
    assert rig.world.count("revert") == 0


def test_a_target_that_cannot_be_prepared_is_not_touched(rig: Rig) -> None:
    rig.world.will("prepare", REFUSED)
    outcome = rig.run(experiment())

    assert outcome.finding == "UNKNOWN"
    assert rig.states() == []
    assert rig.world.count("inject") == 0


def test_steps_follow_each_other_only_over_a_recovered_system(rig: Rig) -> None:
    rig.well()
    outcome = rig.run(experiment(harm(), PauseStep(pause=4.0), harm(place="other")))

    assert outcome.finding == "HELD"
    assert rig.states() == ["CLOSED", "CLOSED"]
    reverted = [entry.t for entry in rig.entries if isinstance(entry.record, FaultReverted)]
    injected = [entry.t for entry in rig.entries if isinstance(entry.record, FaultInjected)]
    assert injected[1] >= reverted[0] + 4.0
    assert rig.names().count("RecoveryMeasured") == 2


def test_the_first_doubt_of_a_step_undoes_the_others_too(rig: Rig) -> None:
    rig.world.targets = [*rig.world.targets, type(rig.world.targets[0])(key="fake/two")]
    rig.well()
    rig.world.will("inject", REFUSED)
    from chaos_runner.model import ParallelStep

    outcome = rig.run(experiment(ParallelStep(parallel=(harm("one"), harm("two")))))

    assert outcome.finding == "UNKNOWN"
    assert rig.world.count("inject") == 1


def test_the_store_that_cannot_begin_a_run_is_a_refusal_with_nothing_done(rig: Rig) -> None:
    rig.store.full_from = 1
    with travels(Exception):
        rig.run(experiment())

    assert rig.world.count("read") == rig.world.count("inject") == 0
    assert "bye" not in rig.log
