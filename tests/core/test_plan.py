"""Targets are resolved, counted, capped and frozen before anything is touched; each refusal is one sentence."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from chaos_runner import plan, planning
from chaos_runner.environment import Ceilings, Environment
from chaos_runner.model import BlastRadius, Experiment, FaultStep, ParallelStep, Pick
from chaos_runner.plan import Found, Plan, Refusal
from chaos_runner.records import Target
from chaos_runner.testing import HANGS, LOST_REPLY, REFUSED, FakeWorld
from tests.engine.kit import KINDS, PROBES, check, experiment, harm, virtually

ROOMY = Environment(ceilings=Ceilings(at_once=50, in_total=50))


ONE = Pick(number=1)


def found(*names: str, pick: Pick = ONE, step: int = 0, **fields: Any) -> Found:
    return Found(
        step=step, lane=0, asked=FaultStep(fault="fake", for_=10.0), kind="fake", version=1, aspect="harm",
        reversible=True, matched=tuple(Target(f"fake/{name}", uid=name) for name in names), pick=pick,
        selector="pods x", **fields,
    )  # fmt: skip


def radius(**fields: Any) -> Experiment:
    return experiment(blast_radius=BlastRadius(**({"at_once": 20, "in_total": 20} | fields)))


def make(one: Found, allowed: Experiment | None = None, environment: Environment = ROOMY, seed: int = 1) -> Plan:
    return plan.make(allowed or radius(), "here", environment, (one,), seed)


def refused(*arguments: Any, **more: Any) -> str:
    with pytest.raises(Refusal) as why:
        make(*arguments, **more)
    text = str(why.value)
    assert text.startswith("not started: ")
    assert "\n" not in text
    return text


def test_the_same_seed_picks_the_same_victims_and_another_one_others() -> None:
    many = found(*(f"n{n}" for n in range(20)), pick=Pick(number=3))
    picks = {seed: make(many, seed=seed).selections[0].picked for seed in range(10)}

    assert all(make(many, seed=seed).selections[0].picked == picked for seed, picked in picks.items())
    assert len(set(picks.values())) > 5


def test_the_identity_of_each_victim_is_frozen_in_the_plan() -> None:
    assert make(found("a")).faults[0].target == Target("fake/a", uid="a")


def test_zero_targets_are_a_refusal() -> None:
    assert "pods x matches no target" in refused(found())


def test_a_share_is_rounded_down_and_says_so() -> None:
    made = make(found(*"abcdefg", pick=Pick(share=0.5)))

    assert len(made.faults) == 3
    assert made.selections[0].rounding == "50% of 7 is 3.5, rounded down to 3"


def test_a_share_that_comes_to_nothing_is_a_refusal() -> None:
    assert "zero targets: 25% of 3 is 0.75, rounded down to 0" in refused(found(*"abc", pick=Pick(share=0.25)))


def test_more_than_the_share_of_a_selector_is_a_refusal() -> None:
    assert "3 of 4 is more than percent_of_selector: 50 allows (2)" in refused(
        found(*"abcd", pick=Pick(number=3)), radius(percent_of_selector=50)
    )


def test_the_operators_share_holds_too() -> None:
    ceiling = Environment(ceilings=Ceilings(at_once=50, in_total=50, percent_of_selector=25))

    assert "2 of 4 is more than percent_of_selector: 25 allows (1)" in refused(
        found(*"abcd", pick=Pick(number=2)), radius(percent_of_selector=50), ceiling
    )
    assert "zero targets: percent_of_selector: 25 of 1 is 0.25" in refused(found("a"), radius(), ceiling)


def test_a_target_by_its_name_is_no_share_of_anything() -> None:
    assert len(make(found("a", named=True), radius(percent_of_selector=50)).faults) == 1


def test_fewer_than_asked_for_is_a_refusal() -> None:
    assert "matches 2, fewer than the 3 to pick" in refused(found(*"ab", pick=Pick(number=3)))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("at_once", 2, "blast_radius allows 2 targets at once, step 0 would harm 3"),
        ("in_total", 2, "blast_radius allows 2 targets in total, the method would touch 3"),
    ],
)
def test_more_targets_than_the_cap_are_a_refusal(field: str, value: int, said: str) -> None:
    fields = {"at_once": 2, "in_total": 2} if field == "in_total" else {"at_once": 2}

    assert said in refused(found(*"abc", pick=Pick(number=3)), radius(**fields))
    assert value


@pytest.mark.parametrize("name", ["fake/a", "a"])
def test_a_protected_target_is_a_refusal(name: str) -> None:
    protecting = msgspec.structs.replace(ROOMY, protected=(name,))

    assert "fake/a is protected" in refused(found("a"), environment=protecting)


@pytest.mark.parametrize("field", ["at_once", "in_total", "max_duration"])
def test_no_experiment_exceeds_a_ceiling(field: str) -> None:
    low = Environment(ceilings=Ceilings(**({"at_once": 20, "in_total": 20, "max_duration": 120.0} | {field: 1})))

    assert f"blast_radius.{field}" in refused(found("a"), radius(), low)


def test_a_hold_longer_than_the_radius_allows_is_a_refusal() -> None:
    long = experiment(harm(for_=130.0), blast_radius=BlastRadius(max_duration=120.0))

    assert "would stay 130s; blast_radius.max_duration allows 120s" in refused(found("a"), long)


def test_two_faults_on_one_place_at_once_are_a_refusal() -> None:
    rig = FakeWorld("one")
    step = ParallelStep(parallel=(harm("one"), harm("one")))
    with pytest.raises(Refusal, match="two faults on the same place"):
        _resolve(rig, experiment(step))


@pytest.mark.parametrize("n", range(200))
def test_whatever_is_asked_never_more_than_every_limit_is_picked(n: int) -> None:
    chance = random.Random(n)
    names = [f"n{k}" for k in range(chance.randint(0, 12))]
    pick = chance.choice([Pick(number=chance.randint(1, 6)), Pick(share=chance.randint(1, 100) / 100)])
    limits = {"at_once": chance.randint(1, 6), "percent_of_selector": chance.randint(1, 100)}
    allowed = radius(in_total=limits["at_once"], **limits)
    ceilings = Ceilings(at_once=6, in_total=6, percent_of_selector=chance.randint(1, 100))
    try:
        made = make(found(*names, pick=pick), allowed, Environment(ceilings=ceilings), seed=n)
    except Refusal:
        return
    share = min(limits["percent_of_selector"], ceilings.percent_of_selector)
    assert 1 <= len(made.faults) <= min(limits["at_once"], ceilings.at_once)
    assert 100 * len(made.faults) <= share * len(names)
    assert {fault.target.key for fault in made.faults} <= {f"fake/{name}" for name in names}


def _resolve(world: FakeWorld, asked: Experiment, *, guarded: bool = True) -> Plan:
    env = world.env()
    env.environment = msgspec.structs.replace(env.environment, ceilings=ROOMY.ceilings)
    return virtually(lambda: planning.resolve(asked, env, KINDS, PROBES, seed=1, guarded=guarded))


def test_planning_only_reads() -> None:
    world = FakeWorld("one")
    _resolve(world, experiment())

    assert {operation for _t, operation, _key in world.asked} <= {"targets", "read"}
    assert not world.harm


@pytest.mark.parametrize("reply", [REFUSED, LOST_REPLY, HANGS], ids=["refused", "lost", "hangs"])
def test_targets_that_cannot_be_discovered_are_a_refusal(reply: Any) -> None:
    world = FakeWorld("one")
    world.will("targets", reply)
    with pytest.raises(Refusal, match="not started: "):
        _resolve(world, experiment())


def test_rights_that_are_missing_are_a_refusal() -> None:
    with pytest.raises(Refusal, match="fake/one: not allowed here"):
        _resolve(FakeWorld("one"), experiment(harm(allowed=False)))


def test_too_few_events_for_a_verdict_are_a_refusal() -> None:
    few = {"shop": check("success >= 99.9%", rate=1.0)}
    with pytest.raises(Refusal, match="not started"):
        _resolve(FakeWorld("one"), experiment(steady_state=few))


@pytest.mark.parametrize("leases", [True, False])
def test_the_layers_and_the_bound_are_those_of_the_target(leases: bool) -> None:
    made = _resolve(FakeWorld("one", leases=leases), experiment())

    assert made.layers == (("runner", "guardian", "lease") if leases else ("runner", "guardian"))
    assert made.bound_s == 6.0


@pytest.mark.parametrize(("leases", "bound_s"), [(True, 6.0), (False, 30.0 + planning.JANITOR_S)])
def test_where_a_guardian_ends_with_its_runner_it_is_no_layer_and_the_bound_is_the_janitor_s(
    leases: bool, bound_s: float
) -> None:
    asked = experiment(blast_radius=BlastRadius(max_duration=30.0))
    made = _resolve(FakeWorld("one", leases=leases), asked, guarded=False)

    assert made.layers == (("runner", "lease") if leases else ("runner",))
    assert made.bound_s == bound_s


def test_a_plan_survives_being_written_down() -> None:
    made = _resolve(FakeWorld("one"), experiment())

    assert msgspec.json.decode(msgspec.json.encode(made), type=Plan) == made


def test_a_plan_from_a_file_is_under_the_limits_of_today() -> None:
    world = FakeWorld("one")
    filed = _resolve(world, experiment())

    def today(**limits: Any) -> Plan:
        env = world.env()
        env.environment = msgspec.structs.replace(env.environment, **({"ceilings": ROOMY.ceilings} | limits))
        return virtually(lambda: planning.renew(filed, env, KINDS, PROBES))

    with pytest.raises(Refusal, match="exceeds the ceiling"):
        today(ceilings=Ceilings(max_duration=1.0))
    with pytest.raises(Refusal, match="protected"):
        today(protected=("fake/one",))
