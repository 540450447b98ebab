"""Drained nodes: which pods go, which stay and what forbids it; each that goes is planned, counted and written down."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chaos_runner.clients.kubernetes.objects import Condition, Meta, Owner, Pod, PodSpec, PodStatus, Volume
from chaos_runner.faults import _drained
from chaos_runner.faults._drained import BarePods, EmptyDirs
from chaos_runner.model import FaultStep, Pick
from chaos_runner.plan import Plan
from tests.faults.kube.cluster import Place
from tests.faults.kube.test_selection import experiment, planned, refused

READY = PodStatus(phase="Running", conditions=(Condition(type="Ready", status="True"),))


def pod(owner: str = "ReplicaSet", status: PodStatus = READY, *volumes: Volume, **meta: Any) -> Pod:
    owners = (Owner(kind=owner, name="o", uid="o", controller=True),) if owner else None
    named = Meta(name="p", namespace="shop", uid="p", owner_references=owners, **meta)
    return Pod(metadata=named, status=status, spec=PodSpec(volumes=volumes))


EMPTY = Volume(name="scratch", empty_dir={})


@pytest.mark.parametrize(
    ("one", "bare", "dirs", "where"),
    [
        (pod(), "refuse", "refuse", "goes"),
        (pod("Job"), "refuse", "refuse", "goes"),
        (pod("ReplicaSet", READY, Volume(name="config")), "refuse", "refuse", "goes"),
        (pod("ReplicaSet", READY, EMPTY), "refuse", "lose", "goes"),
        (pod("ReplicaSet", READY, EMPTY), "refuse", "refuse", "forbids"),
        (pod(""), "refuse", "refuse", "forbids"),
        (pod(""), "leave", "refuse", "stays"),
        (pod("DaemonSet"), "refuse", "refuse", "stays"),
        (pod("DaemonSet", PodStatus(phase="Pending"), EMPTY), "refuse", "refuse", "stays"),
        (pod("Node"), "refuse", "refuse", "stays"),
        (pod("", PodStatus(phase="Succeeded")), "refuse", "refuse", "stays"),
        (pod("Job", PodStatus(phase="Failed")), "refuse", "refuse", "stays"),
        (pod("ReplicaSet", PodStatus(phase="Pending")), "refuse", "refuse", "forbids"),
        (pod("ReplicaSet", READY, deletion_timestamp="now"), "refuse", "refuse", "forbids"),
    ],
)
def test_each_pod_of_a_node_goes_stays_or_forbids_the_drain(
    one: Pod, bare: BarePods, dirs: EmptyDirs, where: str
) -> None:
    drained = _drained.sorted_out([one], bare, dirs)
    found = {"goes": len(drained.goes), "stays": drained.stays.total(), "forbids": len(drained.forbids)}
    assert found == {"goes": 0, "stays": 0, "forbids": 0} | {where: 1}


@pytest.fixture
def shop(place: Place) -> Place:
    memory = place.memory
    for name in ("n1", "n2"):
        memory.node(name, zone="a")
    memory.workload("deployments", "shop", "web", 2)
    memory.workload("deployments", "shop", "api", 1, node="n2")
    daemon = {"kind": "DaemonSet", "name": "logs", "uid": "d", "apiVersion": "apps/v1", "controller": True}
    memory.space("ops")
    memory.pod("ops", "logs-1", owner=daemon, node="n1")
    return place


def drain(target: dict[str, Any] | None = None, **fields: Any) -> FaultStep:
    chosen = {"pick": Pick(number=1)} | (target or {"node": "n1"})
    return FaultStep(fault="node_drain", target=chosen, with_={"pods_in_total": 5} | fields, for_=10.0)


def rows(plan: Plan) -> list[tuple[str, str]]:
    return [(fault.kind, fault.target.key) for fault in plan.faults]


@pytest.mark.anyio
async def test_a_drain_is_planned_as_a_cordon_and_one_row_for_each_pod(shop: Place) -> None:
    plan = await planned(shop, experiment(drain(replaced_within=30.0)))

    assert rows(plan) == [
        ("node_drain", "node/n1"),
        ("pod_evict", "pod/shop/web-5d8-0"),
        ("pod_evict", "pod/shop/web-5d8-1"),
    ]
    assert [fault.n for fault in plan.faults] == [0, 1, 2]
    assert [fault.reversible for fault in plan.faults] == [True, False, False]
    assert all(fault.target.uid for fault in plan.faults)
    assert plan.faults[1].params["replaced_within"] == 30.0
    notes = plan.selections[0].notes
    assert "node/n1: 2 pods evicted; 1 left: of a DaemonSet, which would put it back" in notes
    assert "a drain is graceful: the sudden loss of a node is not tested by it" in notes
    assert shop.changes() == []


@pytest.mark.anyio
async def test_every_pod_counts_in_the_blast_radius(shop: Place) -> None:
    assert "allows 2 targets in total, the method would touch 3" in await refused(
        shop, experiment(drain(), at_once=2, in_total=2)
    )


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"pods_in_total": 1}, "node/n1: 2 pods would go, pods_in_total allows 1"),
        ({}, "pod/shop/alone is bare: nothing would make another one (`bare_pods: leave`"),
    ],
)
async def test_what_a_drain_would_do_unasked_is_a_refusal(shop: Place, fields: dict[str, Any], said: str) -> None:
    if not fields:
        shop.memory.pod("shop", "alone")
    assert said in await refused(shop, experiment(drain(**fields)))


@pytest.mark.anyio
async def test_a_budget_that_would_stop_it_halfway_is_a_refusal(shop: Place) -> None:
    shop.memory.budget("shop", "web", 1, app="web")
    assert "poddisruptionbudget/shop/web allows 1 now" in await refused(shop, experiment(drain()))
    shop.memory.change("poddisruptionbudgets", "shop", "web", lambda it: it["status"].update(disruptionsAllowed=2))
    await planned(shop, experiment(drain()))


@pytest.mark.anyio
async def test_what_must_stay_available_holds_for_the_pods_of_a_drain(shop: Place) -> None:
    assert "keep_available 1" in await refused(shop, experiment(drain(), keep_available={"deployment/shop/web": 1}))
    await planned(shop, experiment(drain(), keep_available={"deployment/shop/api": 1}))


@pytest.mark.anyio
async def test_pods_of_a_protected_namespace_forbid_the_drain(shop: Place) -> None:
    assert "pod/shop/web-5d8-0 is protected" in await refused(shop, experiment(drain()), protected=("shop",))
    await planned(shop, experiment(drain()), protected=("ops",))


@pytest.mark.anyio
async def test_of_several_nodes_those_that_cannot_be_drained_are_left_out(shop: Place) -> None:
    shop.memory.pod("shop", "alone", node="n2")
    for seed in range(3):
        plan = await planned(shop, experiment(drain({"nodes": "zone=a"})), seed)
        assert plan.faults[0].target.key == "node/n1"
    assert any("left out: node/n2: pod/shop/alone is bare" in note for note in plan.selections[0].notes)


@pytest.mark.anyio
async def test_a_filed_plan_of_a_drain_hits_the_same_pods_or_nothing(shop: Place) -> None:
    from chaos_runner import planning, registry
    from chaos_runner.plan import Refusal

    filed = msgspec.json.decode(msgspec.json.encode(await planned(shop, experiment(drain()))), type=Plan)
    again = await planning.renew(filed, shop.env(), registry.faults, registry.probes)
    assert rows(again) == rows(filed)

    shop.memory.remove("pods", shop.memory.objects["pods", "shop", "web-5d8-0"])
    with pytest.raises(Refusal):
        await planning.renew(filed, shop.env(), registry.faults, registry.probes)
