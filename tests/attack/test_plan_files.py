"""A plan file is a person's to edit: whatever it says, it can widen no limit, lose no fault and break no undo."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chaos_runner import planning
from chaos_runner.environment import Ceilings
from chaos_runner.plan import Plan, Refusal
from chaos_runner.testing import FakeWorld
from tests.engine.kit import KINDS, PROBES, experiment, virtually

ROOMY = Ceilings(at_once=50, in_total=50)


def renewed(world: FakeWorld, filed: Plan, **today: Any) -> Plan:
    env = world.env()
    env.environment = msgspec.structs.replace(env.environment, **({"ceilings": ROOMY} | today))
    return virtually(lambda: planning.renew(filed, env, KINDS, PROBES))


def made(world: FakeWorld) -> Plan:
    env = world.env()
    env.environment = msgspec.structs.replace(env.environment, ceilings=ROOMY)
    fresh = virtually(lambda: planning.resolve(experiment(), env, KINDS, PROBES, seed=1))
    return msgspec.json.decode(msgspec.json.encode(fresh), type=Plan)


def edited(filed: Plan, **changes: Any) -> Plan:
    first = msgspec.structs.replace(filed.faults[0], **changes)
    return msgspec.structs.replace(filed, faults=(first, *filed.faults[1:]))


def test_an_untouched_plan_is_renewed_as_it_was() -> None:
    world = FakeWorld("one")
    filed = made(world)

    assert renewed(world, filed).faults == filed.faults


EDITS: dict[str, dict[str, Any]] = {
    "shorter than the experiment says": {"hold_s": 0.0},
    "backwards": {"hold_s": -1.0},
    "longer": {"hold_s": 11.0},
    "another kind": {"kind": "fake_kill"},
    "no kind at all": {"kind": "nope"},
    "other parameters": {"params": {"nonsense": 1}},
    "never to be undone": {"reversible": False},
    "another place": {"aspect": "elsewhere"},
    "another step": {"step": 7},
    "another version": {"version": 99},
}


@pytest.mark.parametrize("changes", EDITS.values(), ids=EDITS)
def test_an_edited_fault_is_refused(changes: dict[str, Any]) -> None:
    world = FakeWorld("one")
    with pytest.raises(Refusal, match=r"^not started: the plan is not what its experiment comes to"):
        renewed(world, edited(made(world), **changes))


def test_a_plan_that_lost_its_faults_is_refused_rather_than_held() -> None:
    world = FakeWorld("one")
    with pytest.raises(Refusal, match="not what its experiment comes to"):
        renewed(world, msgspec.structs.replace(made(world), faults=()))


@pytest.mark.parametrize("key", ["one", "fake/../one", "fake/two", "FAKE/one", ""])
def test_a_victim_by_another_name_is_refused(key: str) -> None:
    world = FakeWorld("one")
    filed = made(world)
    target = msgspec.structs.replace(filed.faults[0].target, key=key)
    with pytest.raises(Refusal, match="is no target of"):
        renewed(world, edited(filed, target=target))


def test_the_layers_are_those_of_the_target_whatever_the_file_says() -> None:
    world = FakeWorld("one", leases=False)
    filed = msgspec.structs.replace(made(world), layers=("runner", "guardian", "lease"))

    assert renewed(world, filed).layers == ("runner", "guardian")


def test_the_ceilings_of_today_hold_for_an_old_plan() -> None:
    world = FakeWorld("one")
    with pytest.raises(Refusal, match="exceeds the ceiling"):
        renewed(world, made(world), ceilings=Ceilings(max_duration=1.0))


@pytest.mark.parametrize("name", ["one", "o*", "*/one", "*"])
def test_what_is_protected_today_is_not_touched_and_may_be_a_pattern(name: str) -> None:
    world = FakeWorld("one")
    filed = made(world)
    with pytest.raises(Refusal, match="is protected"):
        renewed(world, filed, protected=(name,))


def test_a_plan_for_a_probe_that_is_not_installed_is_refused() -> None:
    world = FakeWorld("one")
    filed = made(world)
    check = msgspec.structs.replace(next(iter(filed.experiment.steady_state.values())), probe="gone")
    alien = msgspec.structs.replace(filed.experiment, steady_state={"shop": check})
    with pytest.raises(Refusal, match=r"not known here: 'gone'"):
        renewed(world, msgspec.structs.replace(filed, experiment=alien))
