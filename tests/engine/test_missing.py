"""No green without evidence: whatever is missing, late or not what it should be never comes out as HELD."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest

from chaos_runner import records
from chaos_runner.api import Reading, Unknown
from chaos_runner.expect import clause
from chaos_runner.model import Abort, Confirmation, PauseStep, Recovery
from chaos_runner.plan import BASELINE_TIMES, Refusal
from chaos_runner.sampling import sample_of
from chaos_runner.testing import FINE, HANGS, LOST_REPLY, LOST_REQUEST, FakeProbe, slow
from tests.engine.kit import Rig, check, experiment, harm

ODD: dict[str, Any] = {
    "nan": math.nan,
    "inf": math.inf,
    "text": "1",
    "true": True,
    "nothing": None,
    "huge": 10**400,
    "list": [1],
    "empty": "",
}
GAUGE = {"shop": check("value >= 1")}


def answers(rig: Rig, odd: Callable[[], Reading | Unknown], since: float) -> None:
    good = Reading({"success": True, "value": 1.0}, latency_s=0.01)

    def reading(_name: str, t: float) -> Reading:
        said = odd() if t >= since else good
        if isinstance(said, Unknown):
            raise said
        return said

    rig.world.reading = reading


def answers_none(rig: Rig, since: float, until: float) -> None:
    def reading(_name: str, t: float) -> Reading:
        if since <= t < until:
            raise Unknown("a stutter")
        return Reading({"success": True, "value": 1.0}, latency_s=0.01)

    rig.world.reading = reading


@pytest.mark.parametrize("odd", ODD)
def test_a_value_that_is_no_number_closes_the_gate(rig: Rig, odd: str) -> None:
    answers(rig, lambda: Reading({"value": ODD[odd]}), since=0.0)
    with pytest.raises(Refusal, match="not started: shop: value >= 1 is unknown in the baseline"):
        rig.run(experiment(steady_state=GAUGE))
    assert rig.world.count("inject") == 0


@pytest.mark.parametrize("odd", ODD)
def test_a_value_that_is_no_number_in_the_window_is_not_held(rig: Rig, odd: str) -> None:
    answers(rig, lambda: Reading({"value": ODD[odd]}), since=9.0)
    outcome = rig.run(experiment(harm(for_=20.0), steady_state=GAUGE))

    assert outcome.finding == "UNKNOWN"
    assert not rig.harmed


@pytest.mark.parametrize("metric", ["success >= 90%", "p95 <= 1s"])
@pytest.mark.parametrize(
    "odd", sorted(ODD.keys() - {"true", "nothing"})
)  # true is an answer, and no latency is a failure
def test_an_event_of_the_wrong_type_is_unknown_and_never_good(metric: str, odd: str) -> None:
    reading = Reading({"success": ODD[odd]}, latency_s=ODD[odd])
    sample = sample_of("shop", (clause(metric),), FakeProbe(), 3, reading)

    assert (sample.counts[0].good, sample.counts[0].bad, sample.counts[0].unknown) == (0, 0, 1)


def test_a_clause_that_its_reading_does_not_answer_is_unknown() -> None:
    sample = sample_of("shop", (clause("value >= 1"), clause("success >= 90%")), FakeProbe(), 3, Reading({}))

    assert [(c.good, c.bad, c.unknown) for c in sample.counts] == [(0, 0, 1), (0, 0, 1)]


@pytest.mark.parametrize("trouble", ["down", "hangs", "unknown"])
def test_a_target_that_is_down_in_the_baseline_is_a_refusal(rig: Rig, trouble: str) -> None:
    if trouble == "hangs":
        rig.world.always("read", HANGS)
    elif trouble == "down":
        rig.world.always("read", LOST_REQUEST)
    else:
        answers(rig, lambda: Unknown("no answer"), since=0.0)
    with pytest.raises(Refusal, match="not started"):
        rig.run(experiment(steady_state=GAUGE))
    assert rig.world.count("prepare") == 0


def test_a_bad_baseline_is_a_refusal_that_names_the_clause(rig: Rig) -> None:
    rig.well(0.0)
    with pytest.raises(Refusal, match="value >= 1"):
        rig.run(experiment(steady_state=GAUGE))


def test_a_baseline_with_a_gap_goes_on_until_enough_of_it_was_measured(rig: Rig) -> None:
    rig.well()
    answers_none(rig, 2.0, 4.0)
    outcome = rig.run(experiment(steady_state=GAUGE, baseline=10.0))
    (began,) = [entry.t for entry in rig.ledger.records(rig.run_id) if isinstance(entry.record, records.BaselineHeld)]

    assert outcome.finding == "HELD"
    assert 15 < began <= 10 * BASELINE_TIMES + 3


def test_a_baseline_does_not_go_on_for_more_than_twice_its_length(rig: Rig) -> None:
    answers_none(rig, 2.0, 6.0)
    with pytest.raises(Refusal, match="measured in 16 of 20 ticks, 18 are needed"):
        rig.run(experiment(steady_state=GAUGE, baseline=10.0))
    assert rig.world.count("inject") == 0


def test_what_was_bad_before_the_gap_still_closes_the_gate(rig: Rig) -> None:
    good, bad = (Reading({"success": True, "value": value}) for value in (1.0, 0.0))

    def reading(_name: str, t: float) -> Reading:
        if 6.0 <= t < 9.0:
            raise Unknown("a stutter")
        return bad if t < 6.0 else good

    rig.world.reading = reading
    with pytest.raises(Refusal, match="does not hold in the baseline"):
        rig.run(experiment(steady_state=GAUGE, baseline=20.0))


def test_a_probe_that_hangs_in_the_window_is_not_held(rig: Rig) -> None:
    rig.well()
    rig.at(9.0, lambda: rig.world.always("read", HANGS))
    outcome = rig.run(experiment(harm(for_=30.0), steady_state=GAUGE))

    assert (outcome.finding, outcome.stopped_by) == ("UNKNOWN", "blind")
    assert not rig.harmed


def test_rare_reads_that_time_out_are_not_held(rig: Rig) -> None:
    rig.well()
    rig.at(44.0, lambda: rig.world.always("read", HANGS))
    rare = {"shop": check("value >= 1", interval=12.0)}
    outcome = rig.run(experiment(harm(for_=30.0), steady_state=rare, baseline=40.0, recovery=Recovery(within=120.0)))

    assert outcome.finding == "UNKNOWN"


def test_a_probe_slower_than_its_interval_is_not_held_on_few_readings(rig: Rig) -> None:
    rig.well()
    rig.at(8.0, lambda: rig.world.always("read", slow(6.0)))
    outcome = rig.run(experiment(harm(for_=20.0), steady_state=GAUGE))

    assert outcome.finding == "UNKNOWN"


def test_one_check_without_samples_is_enough_to_know_nothing(rig: Rig) -> None:
    rig.world.reading = lambda name, t: (
        Unknown("gone") if name == "other" and 12 < t < 19 else Reading({"success": True, "value": 1.0})
    )
    checks = {"shop": check("success >= 90%", rate=20.0), "other": check("success >= 90%", name="other", rate=20.0)}
    outcome = rig.run(experiment(harm(for_=12.0), steady_state=checks))

    assert outcome.finding == "UNKNOWN"


def test_an_effect_that_was_not_shown_is_unknown(make: Callable[..., Rig]) -> None:
    rig = make(traffic=False)
    rig.well()
    outcome = rig.run(experiment())

    assert outcome.finding == "UNKNOWN"
    assert "the effect was not shown" in outcome.why
    assert "FaultUnconfirmed" in rig.names()


@pytest.mark.parametrize("reply", [LOST_REPLY, HANGS], ids=["lost", "hangs"])
def test_an_effect_that_cannot_be_read_is_unknown(rig: Rig, reply: Any) -> None:
    rig.well()
    rig.world.always("effect", reply)

    assert rig.run(experiment()).finding == "UNKNOWN"


def test_a_fault_that_measures_nothing_of_itself_needs_a_confirmation(rig: Rig) -> None:
    rig.well()
    assert rig.run(experiment(harm(fault="fake_plain"))).finding == "UNKNOWN"

    rig.run_id = "r2"
    confirmed = harm(fault="fake_plain", confirm=(Confirmation(text="read-back"),))
    assert rig.run(experiment(confirmed)).finding == "HELD"


def test_a_confirmation_that_did_not_come_true_is_unknown(rig: Rig) -> None:
    rig.well()
    risen = Confirmation(text="shop value rises >= 1", check="gauge", metric="value", direction="rises", by=1.0)
    checks = {"shop": check("success >= 90%", rate=20.0), "gauge": check("value >= 1")}
    outcome = rig.run(experiment(harm(confirm=(risen,)), steady_state=checks))

    assert outcome.finding == "UNKNOWN"
    assert "went from 1 to 1" in outcome.why


def test_a_confirmation_by_a_check_that_moved_holds(rig: Rig) -> None:
    rig.world.reading = lambda _name, _t: Reading({"success": True, "value": 9.0 if rig.harmed else 1.0})
    risen = Confirmation(text="gauge value rises >= 5", check="gauge", metric="value", direction="rises", by=5.0)
    checks = {"shop": check("success >= 90%", rate=20.0), "gauge": check("value >= 1")}

    assert rig.run(experiment(harm(confirm=(risen,)), steady_state=checks)).finding == "HELD"


@pytest.mark.parametrize("t", [9.5, 12.5, 14.9])
def test_a_fault_that_vanishes_in_its_window_is_unknown(rig: Rig, t: float) -> None:
    rig.well()
    rig.at(t, rig.world.harm.clear)
    outcome = rig.run(experiment())

    assert outcome.finding == "UNKNOWN"
    assert "not there all the time" in outcome.why
    assert "FaultAbsent" in rig.names()


def test_a_target_that_was_silent_for_longer_than_a_lease_lives_gives_no_held(make: Callable[..., Rig]) -> None:
    rig = make(leases=True)
    rig.well()

    def thaw() -> None:
        for operation in ("lease", "observe", "effect"):
            rig.world.always(operation, FINE)

    def freeze() -> None:
        for operation in ("lease", "observe", "effect"):
            rig.world.always(operation, HANGS)

    rig.at(10.0, freeze)
    rig.at(17.5, thaw)
    outcome = rig.run(experiment(harm(for_=15.0)))

    assert outcome.finding == "UNKNOWN"
    assert "did not answer for" in outcome.why


def test_a_lease_is_renewed_while_reads_of_the_target_are_slow(make: Callable[..., Rig]) -> None:
    rig = make(leases=True)
    rig.well()
    rig.world.always("effect", slow(2.3))
    rig.world.always("observe", slow(2.3))
    rig.run(experiment(harm(for_=25.0)))

    assert "FaultAbsent" not in rig.names()
    renewals = [t for t, operation, _key in rig.world.asked if operation == "lease"]
    assert max(b - a for a, b in itertools.pairwise(renewals)) <= 2.5


def test_a_lease_that_cannot_be_renewed_takes_the_fault_away_and_the_finding_with_it(make: Callable[..., Rig]) -> None:
    rig = make(leases=True)
    rig.well()
    rig.at(9.0, lambda: rig.world.always("lease", LOST_REQUEST))
    outcome = rig.run(experiment(harm(for_=20.0)))

    assert outcome.finding == "UNKNOWN"
    assert not rig.harmed


def test_without_the_lease_that_its_target_knows_a_fault_is_not_sent(make: Callable[..., Rig]) -> None:
    rig = make(leases=True)
    rig.well()
    rig.world.will("lease", HANGS)
    outcome = rig.run(experiment())

    assert rig.world.count("inject") == 0
    assert "no lease" in outcome.why


def test_a_system_that_does_not_recover_has_deviated_and_the_run_ends(rig: Rig) -> None:
    rig.world.reading = lambda _name, t: Reading({"success": t < 14.0})
    outcome = rig.run(experiment(harm(), harm(place="other"), abort=Abort(violated_for=30.0)))

    assert outcome.finding == "DEVIATED"
    assert "not recovered within 20s" in outcome.why
    assert rig.world.count("inject") == 1


def test_a_recovery_that_cannot_be_seen_is_unknown(rig: Rig) -> None:
    rig.world.reading = lambda _name, t: Reading({"success": True}) if t < 17 else Unknown("gone")
    outcome = rig.run(experiment(harm(), harm(place="other")))

    assert outcome.finding == "UNKNOWN"
    assert rig.world.count("inject") == 1


def test_a_control_without_faults_is_judged_and_touches_nothing(rig: Rig) -> None:
    rig.well()
    rig.guard = None
    outcome = rig.run(experiment(PauseStep(pause=10.0)))

    assert outcome.finding == "HELD"
    assert rig.world.count("inject") == rig.world.count("prepare") == 0
