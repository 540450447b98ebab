"""Which pods may go together: tables over values, and whole plans against a small cluster. Refusals touch nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chaos_runner import configure, planning, registry
from chaos_runner.clients.kubernetes.objects import AnnotatedMeta, Condition, Meta, Owner, Pod, PodStatus, Selector
from chaos_runner.clients.kubernetes.workloads import (
    BudgetSpec,
    BudgetStatus,
    DisruptionBudget,
    StatefulSet,
    WorkloadSpec,
)
from chaos_runner.faults import _labels, _limits
from chaos_runner.faults._pods import PodSelector
from chaos_runner.model import BlastRadius, Check, Experiment, FaultStep, Pick
from chaos_runner.plan import Plan, Refusal
from tests.engine.kit import check
from tests.faults.kube.cluster import Place

READY = PodStatus(phase="Running", conditions=(Condition(type="Ready", status="True"),))


def pod(name: str, owner: str = "StatefulSet", uid: str = "s", status: PodStatus = READY, **labels: str) -> Pod:
    owners = (Owner(kind=owner, name="db", uid=uid, controller=True),)
    return Pod(
        metadata=Meta(name=name, namespace="shop", uid=name, labels=labels, owner_references=owners), status=status
    )


def statefulset(replicas: int) -> StatefulSet:
    return StatefulSet(metadata=AnnotatedMeta(name="db", uid="s"), spec=WorkloadSpec(replicas=replicas))


@pytest.mark.parametrize(
    ("replicas", "ready", "most"),
    [(1, 1, 0), (2, 2, 0), (3, 3, 1), (4, 4, 1), (5, 5, 2), (7, 7, 3), (3, 2, 0), (5, 4, 1), (5, 3, 0), (5, 0, 0)],
)
def test_a_majority_of_a_statefulset_stays_whatever_is_missing_already(replicas: int, ready: int, most: int) -> None:
    pods = [pod(f"db-{n}") for n in range(ready or 1)]
    (limit,) = _limits.quorums(pods, {"s": statefulset(replicas)}, {"s": ready})

    assert limit.most == most
    assert len(limit.keys) == len(pods)


def test_pods_of_a_statefulset_that_is_gone_are_left_alone() -> None:
    (limit,) = _limits.quorums([pod("db-0")], {}, {})
    assert limit.most == 0


@pytest.mark.parametrize(("least", "ready", "most"), [(1, 3, 2), (3, 3, 0), (4, 3, 0), (1, 1, 0), (1, 0, 0)])
def test_what_must_stay_available_counts_ready_pods_only(least: int, ready: int, most: int) -> None:
    members = [pod(f"p{n}") for n in range(ready)] + [pod("sick", status=PodStatus(phase="Running"))]
    limit = _limits.kept("deployment/shop/db", least, members)

    assert limit.most == most
    assert "pod/shop/sick" not in limit.keys


@pytest.mark.parametrize(("seen", "allowed"), [(1, 0), (2, 3), (3, 3)])
def test_a_budget_is_believed_once_its_last_change_was_looked_at(seen: int, allowed: int) -> None:
    budget = DisruptionBudget(
        metadata=AnnotatedMeta(name="b", namespace="shop", generation=2),
        spec=BudgetSpec(selector=Selector(match_labels={})),
        status=BudgetStatus(disruptions_allowed=3, observed_generation=seen),
    )
    assert _limits.slack(budget) == allowed
    (limit,) = _limits.budgets([pod("x")], [budget], asked=True)
    assert limit.most == allowed


def expression(key: str, operator: str, *values: str) -> Selector:
    return Selector(match_expressions=({"key": key, "operator": operator, "values": list(values)},))


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        (None, {"a": "b"}, False),
        (Selector(), {}, True),
        (Selector(match_labels={"a": "b"}), {"a": "b", "c": "d"}, True),
        (Selector(match_labels={"a": "b"}), {"a": "x"}, False),
        (expression("a", "In", "b", "c"), {"a": "c"}, True),
        (expression("a", "In", "b"), {}, False),
        (expression("a", "NotIn", "b"), {}, True),
        (expression("a", "NotIn", "b"), {"a": "b"}, False),
        (expression("a", "Exists"), {"a": ""}, True),
        (expression("a", "DoesNotExist"), {"a": ""}, False),
        (expression("a", "Unheard"), {"a": "b"}, False),
    ],
)
def test_a_selector_matches_as_the_api_server_does(
    selector: Selector | None, labels: dict[str, str], matches: bool
) -> None:
    assert _labels.matches(selector, labels) == matches


def test_a_selector_is_written_as_a_list_takes_it() -> None:
    both = Selector(
        match_labels={"b": "2", "a": "1"}, match_expressions=expression("k", "In", "x", "y").match_expressions
    )
    assert _labels.written(both) == "a=1,b=2,k in (x,y)"
    assert _labels.written(expression("k", "DoesNotExist")) == "!k"
    assert _labels.written(expression("k", "Exists")) == "k"


@pytest.mark.parametrize(
    "text", ["app=x", "a==b,c!=d", "k", "!k", "zone in (a, b)", "zone notin (a),x=y", "example.com/app=x", "a="]
)
def test_what_the_api_takes_is_a_selector(text: str) -> None:
    assert _labels.problem(text) == ""


@pytest.mark.parametrize("text", [" ", "=x", "a=b,,c=d", "a===b", "a in b", "a in (b", "ä=b", "a=b c", "a b", ","])
def test_what_it_does_not_take_is_told_while_the_file_is_read(text: str) -> None:
    assert "no part of a label selector" in _labels.problem(text)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "name a namespace"),
        ({"pods": "shop"}, "would mean every pod"),
        ({"pods": "shop", "pod": "shop/a", "selector": "a=b"}, "name a namespace"),
        ({"pod": "shop/a", "selector": "a=b"}, "needs no selector"),
        ({"pods": "shop", "selector": "a=b,"}, "no part of a label selector"),
        ({"selector": "a=b"}, "name a namespace"),
    ],
)
def test_a_target_that_could_mean_more_than_was_meant_is_a_mistake(fields: dict[str, str], said: str) -> None:
    assert said in " ".join(why for _, why in PodSelector(**fields).problems())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "target", [{"pods": "", "selector": "a=b"}, {"pods": "shop", "selector": ""}, {"pod": ""}, {"pod": "shop"}]
)
def test_an_empty_name_is_no_name(target: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(target, PodSelector)


# --- whole plans ------------------------------------------------------------------------------------------------------


def experiment(*steps: FaultStep, **radius: object) -> Experiment:
    allowed = BlastRadius(**({"at_once": 20, "in_total": 20} | radius))  # type: ignore[arg-type]
    return Experiment(
        kind="experiment/v1", name="e", hypothesis="h", method=steps, blast_radius=allowed, steady_state={"up": UP}
    )


UP: Check = msgspec.structs.replace(check("success >= 50%"), probe="tcp", with_={"address": "127.0.0.1:1"})


def kill(pick: object = 1, kind: str = "pod_kill", selector: str = "app=payments", pods: str = "shop") -> FaultStep:
    picked: Pick = configure.pick(pick)
    return FaultStep(fault=kind, target={"pods": pods, "selector": selector, "pick": picked}, for_=10.0)


async def planned(place: Place, what: Experiment, seed: int = 1, **environment: Any) -> Plan:
    return await planning.resolve(what, place.env(**environment), registry.faults, registry.probes, seed)


async def refused(place: Place, what: Experiment, **environment: Any) -> str:
    with pytest.raises(Refusal) as why:
        await planned(place, what, 1, **environment)
    assert place.changes() == []
    assert place.memory.events == []
    assert str(why.value).startswith("not started: ")
    return str(why.value)


@pytest.fixture
def shop(place: Place) -> Place:
    place.memory.workload("deployments", "shop", "payments", 6)
    place.memory.workload("statefulsets", "shop", "db", 5)
    return place


@pytest.mark.anyio
async def test_victims_are_picked_by_the_seed_and_frozen_by_their_uid(shop: Place) -> None:
    made = await planned(shop, experiment(kill(2)))
    again = await planned(shop, experiment(kill(2)))

    assert [fault.target for fault in made.faults] == [fault.target for fault in again.faults]
    assert all(fault.target.uid for fault in made.faults)
    assert shop.changes() == []
    others = {(await planned(shop, experiment(kill(2)), seed)).selections[0].picked for seed in range(6)}
    assert len(others) > 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("pick", "count", "rounding"),
    [("50%", 3, "50% of 6 is 3"), ("34%", 2, "rounded down to 2"), ("99%", 5, "rounded down to 5"), (6, 6, "")],
)
async def test_shares_are_rounded_down_and_the_plan_says_so(
    shop: Place, pick: object, count: int, rounding: str
) -> None:
    made = await planned(shop, experiment(kill(pick)))
    assert len(made.faults) == count
    assert rounding in made.selections[0].rounding


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("step", "said"),
    [
        (kill(7), "matches 6, fewer than the 7 to pick"),
        (kill("10%"), "comes to zero targets: 10% of 6 is 0.6, rounded down to 0"),
        (kill(selector="app=paymnts"), "matches no target"),
        (kill(pods="shpo"), "there is no namespace 'shpo'"),
        (kill(3, selector="app=db"), "2 of the 5 that match may go, fewer than the 3 to pick: statefulset/shop/db: at"),
        (kill(2, "pod_evict"), "allows 1 now"),
    ],
)
async def test_the_dangerous_cases_are_refusals_and_touch_nothing(shop: Place, step: FaultStep, said: str) -> None:
    shop.memory.budget("shop", "web", 1, app="payments")
    assert said in await refused(shop, experiment(step))


@pytest.mark.anyio
async def test_what_must_stay_available_limits_what_is_picked(shop: Place) -> None:
    keep = {"deployment/shop/payments": 5}
    made = await planned(shop, experiment(kill(1), keep_available=keep))

    assert "deployment/shop/payments: keep_available 5, 6 of its pods ready now: at most 1 at once" in (
        made.selections[0].notes
    )
    assert "at most 1 at once" in await refused(shop, experiment(kill(2), keep_available=keep))


@pytest.mark.anyio
async def test_limits_hold_for_all_that_a_step_does_at_once(shop: Place) -> None:
    from chaos_runner.model import ParallelStep

    lanes = ParallelStep(parallel=(kill(2, selector="app=db"), kill(1, "pod_evict", selector="app=db")))
    both = msgspec.structs.replace(experiment(), method=(lanes,))
    for seed in range(3):
        with pytest.raises(Refusal, match=r"majority|same place"):
            await planned(shop, both, seed)


@pytest.mark.anyio
async def test_one_pod_by_its_name_is_limited_too(shop: Place) -> None:
    shop.memory.workload("statefulsets", "shop", "lone", 1)
    one = FaultStep(fault="pod_kill", target={"pod": "shop/lone-0"}, for_=10.0)
    assert "at most 0 at once" in await refused(shop, experiment(one))


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["shop", "sh*", "pod/shop/*"])
async def test_pods_of_a_protected_namespace_are_never_touched(shop: Place, name: str) -> None:
    assert "is protected" in await refused(shop, experiment(kill(1)), protected=(name,))


@pytest.mark.anyio
async def test_a_missing_right_is_a_refusal_that_names_it(shop: Place) -> None:
    shop.memory.denied = {("delete", "pods")}
    assert "this user may not delete pods in the namespace shop" in await refused(shop, experiment(kill(1)))


@pytest.mark.anyio
async def test_what_must_stay_needs_a_cluster_and_a_fault_that_knows_it(shop: Place) -> None:
    keep = {"deployment/shop/payments": 1}
    other = FaultStep(fault="noop", target={"name": "x"}, with_={"file": "/nowhere"}, for_=10.0)
    assert "no fault of this method acts on a cluster" in await refused(shop, experiment(other, keep_available=keep))
    assert "there is no deployment/shop/paymnts" in await refused(
        shop, experiment(kill(1), keep_available={"deployment/shop/paymnts": 1})
    )
