"""The first reason to stop ends the hold within a tick, and the undo is never skipped."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar

import anyio
import pytest

from chaos_runner.api import Env, Reading, SampleStream, Undo, Unknown
from chaos_runner.model import Abort, BlastRadius, CheckAbort, ErrorBudget, ParallelStep, PauseStep, Recovery
from chaos_runner.plan import Refusal
from chaos_runner.records import AbortTripped, FaultReverted, GuardianLost, RecoveryMeasured, Sample
from chaos_runner.testing import HANGS, LOST_REPLY, FakeFault, FakeProbe, slow
from tests.engine.kit import Rig, experiment, harm

INTERRUPTED = {
    "lever": lambda rig: setattr(rig, "lever", "ops pulled the lever"),
    "person": lambda rig: rig.interrupts.ask("a person (SIGINT)"),
    "guardian": lambda rig: setattr(rig.guard, "lives", False),
}


@pytest.mark.parametrize("by", INTERRUPTED)
def test_it_stops_and_undoes_within_a_tick(rig: Rig, by: str) -> None:
    rig.well()
    rig.at(10.3, lambda: INTERRUPTED[by](rig))
    outcome = rig.run(experiment(harm(for_=60.0)))

    stop = rig.records(AbortTripped)[0]
    assert outcome.stopped_by == stop.stopped_by == by
    assert 10.3 <= stop.decided_t <= 11.3
    assert rig.records(FaultReverted)[0].gone_t <= 11.3
    assert (outcome.finding, outcome.cleanup) == ("UNKNOWN", "CLEAN")
    assert not rig.harmed
    assert [one.why for one in rig.records(GuardianLost)] == ([stop.why] if by == "guardian" else [])


def test_a_person_is_heard_at_once_and_not_at_the_next_tick(rig: Rig) -> None:
    rig.well()
    rig.at(10.3, lambda: rig.interrupts.ask("me"))
    rig.run(experiment(harm(for_=60.0)))

    assert rig.records(AbortTripped)[0].decided_t == pytest.approx(10.3)


@pytest.mark.parametrize("by", INTERRUPTED)
def test_before_the_first_fault_it_is_a_refusal(rig: Rig, by: str) -> None:
    rig.at(3.3, lambda: INTERRUPTED[by](rig))
    with pytest.raises(Refusal, match="not started"):
        rig.run(experiment())

    assert rig.world.count("prepare") == 0
    assert rig.ledger.run("r1").headline == "NOT_STARTED"


@pytest.mark.parametrize("by", INTERRUPTED)
def test_while_it_pauses_it_ends_without_a_further_fault(rig: Rig, by: str) -> None:
    rig.well()
    rig.at(21.5, lambda: INTERRUPTED[by](rig))
    outcome = rig.run(experiment(harm(), PauseStep(pause=30.0), harm(place="other")))

    assert outcome.stopped_by == by
    assert rig.world.count("inject") == 1
    assert [record.stopped_by for record in rig.records(AbortTripped)] == [by]


def test_a_lever_pulled_while_a_target_is_being_prepared_forbids_the_fault(rig: Rig) -> None:
    rig.world.will("prepare", slow(3.0))
    rig.at(8.0, lambda: INTERRUPTED["lever"](rig))
    outcome = rig.run(experiment())

    assert rig.world.count("inject") == 0
    assert outcome.stopped_by == "lever"


def test_a_lever_pulled_while_its_effect_is_measured_forbids_the_fault(rig: Rig) -> None:
    class Thorough(FakeFault, frozen=True, kw_only=True):
        kind: ClassVar[str] = "fake"

        async def before(self, env: Env, undo: Undo) -> dict[str, float]:
            await anyio.sleep(3.0)
            return await FakeFault.before(self, env, undo)

    rig.kinds["fake"] = Thorough
    rig.at(8.0, lambda: INTERRUPTED["lever"](rig))
    outcome = rig.run(experiment())

    assert outcome.stopped_by == "lever"
    assert rig.states() == []
    assert "commit_intent IntentCommitted" not in rig.log


def test_the_heart_beats_while_the_last_samples_are_waited_for_and_a_fault_is_watched(rig: Rig) -> None:
    class Late(FakeProbe, frozen=True, kw_only=True):
        kind: ClassVar[str] = "fake"

        @contextlib.asynccontextmanager
        async def stream(self, env: Env, check: str, clauses: Any, t0_ns: int) -> AsyncIterator[SampleStream]:
            async with FakeProbe.stream(self, env, check, clauses, t0_ns) as stream:
                finish = stream.finish

                async def late() -> tuple[Sample, ...]:
                    await anyio.sleep(12.0)
                    return await finish()

                stream.finish = late
                yield stream

    rig.probes["fake"] = Late
    rig.world.will("inject", LOST_REPLY)
    rig.run(experiment())

    assert max(b - a for a, b in itertools.pairwise(rig.guard.beats)) <= 1.0
    assert rig.entries[-1].t > 12.0
    assert max(sample.tick for sample in rig.samples()) > 15


def test_a_breach_is_decided_by_the_abort_rule_and_sampling_goes_on_until_the_end(rig: Rig) -> None:
    outcome = rig.run(experiment(harm(for_=60.0)))

    stop = rig.records(AbortTripped)[0]
    assert (outcome.stopped_by, outcome.finding) == ("criterion", "DEVIATED")
    assert stop.check == "shop"
    assert 10.0 <= stop.decided_t <= 12.0  # injected at 7, violated_for 3 s, two ticks
    ticks = sorted(sample.tick for sample in rig.samples())
    assert ticks == list(range(ticks[0], ticks[-1] + 1))
    assert ticks[-1] >= rig.records(FaultReverted)[0].gone_t
    assert rig.records(RecoveryMeasured)[0].recovered


def test_samples_come_in_while_a_revert_is_slow(rig: Rig) -> None:
    rig.world.will("revert", slow(8.0))
    rig.run(experiment())

    sent, gone = rig.records(AbortTripped)[0].decided_t, rig.records(FaultReverted)[0].gone_t
    assert gone - sent == pytest.approx(8.0, abs=0.01)
    assert set(range(int(sent), int(gone))) <= {sample.tick for sample in rig.samples()}
    assert max(b - a for a, b in itertools.pairwise(rig.guard.beats)) <= 1.0


def test_asking_twice_hurries_and_never_skips_the_undo(rig: Rig) -> None:
    rig.world.reading = lambda _name, t: Reading({"success": t < 9.0 or t > 900.0}, latency_s=0.1)
    rig.world.will("revert", slow(5.0))
    rig.at(10.2, lambda: rig.interrupts.ask("me"))
    rig.at(10.4, lambda: rig.interrupts.ask("me"))
    rig.at(10.6, lambda: rig.interrupts.ask("me"))
    outcome = rig.run(experiment(harm(for_=60.0)))

    assert not rig.harmed
    assert outcome.stopped_by == "person"
    assert rig.states() == ["CLOSED"]
    assert rig.entries[-1].t < 18.0  # the undo took until 15.2; recovery is not waited for


@pytest.mark.parametrize("operation", ["prepare", "inject", "observe", "effect", "lease", "revert"])
def test_the_heart_beats_whatever_a_target_keeps_waiting(make: Callable[..., Rig], operation: str) -> None:
    rig = make(leases=True)
    rig.well()
    rig.world.will(operation, HANGS)
    rig.run(experiment())

    assert max(b - a for a, b in itertools.pairwise(rig.guard.beats)) <= 1.0
    assert not rig.harmed


def test_no_fault_lives_longer_than_the_radius_allows(rig: Rig) -> None:
    rig.well()
    rig.world.targets = [*rig.world.targets, type(rig.world.targets[0])(key="fake/two")]
    rig.world.will("inject", slow(0.0), slow(5.0))  # the second injection takes long while the first is there
    step = ParallelStep(parallel=(harm("one", for_=10.0), harm("two", for_=10.0)))
    rig.run(experiment(step, blast_radius=BlastRadius(at_once=2, in_total=2, max_duration=10.0)))

    lives = {
        key: [t for t, asked, target in rig.world.asked if asked in {"inject", "revert"} and target == key]
        for key in ("fake/one", "fake/two")
    }
    assert all(revert - inject <= 11.0 for inject, revert in lives.values())


def test_a_hold_as_long_as_the_radius_allows_ends_by_itself(rig: Rig) -> None:
    rig.well()
    outcome = rig.run(experiment(harm(for_=30.0), blast_radius=BlastRadius(max_duration=30.0)))

    assert (outcome.stopped_by, outcome.finding) == ("nothing", "HELD")


def test_a_run_that_takes_far_longer_than_planned_is_stopped(rig: Rig) -> None:
    rig.well()
    rig.world.always("prepare", slow(9.0))
    steps = [harm(place=str(n), for_=3.0) for n in range(20)]
    outcome = rig.run(experiment(*steps, recovery=Recovery(within=5.0)))

    assert outcome.stopped_by == "deadline"
    assert rig.world.count("inject") < 20
    assert not rig.harmed


def test_a_blind_check_stops_the_run(rig: Rig) -> None:
    rig.world.reading = lambda _name, t: Reading({"success": True}) if t < 9 else Unknown("no answer")
    outcome = rig.run(experiment(harm(for_=60.0)))

    assert outcome.stopped_by == "blind"
    assert outcome.finding == "UNKNOWN"
    assert rig.records(AbortTripped)[0].decided_t <= 9 + 10 + 2
    assert not rig.harmed


def test_a_check_can_have_a_patience_of_its_own(rig: Rig) -> None:
    abort = Abort(violated_for=30.0, per_check=(CheckAbort(check="shop", violated_for=5.0),))
    rig.run(experiment(harm(for_=60.0), abort=abort))

    assert 12.0 <= rig.records(AbortTripped)[0].decided_t <= 14.0


def test_a_spent_error_budget_stops_the_run(rig: Rig) -> None:
    budget = ErrorBudget(check="shop", slo=0.999, over=86400.0, spend=0.05)  # 4.32 s of bad service
    rig.run(experiment(harm(for_=60.0), abort=Abort(violated_for=50.0, error_budget=budget)))

    stop = rig.records(AbortTripped)[0]
    assert stop.clause == "error_budget"
    assert 11.0 <= stop.decided_t <= 14.0
