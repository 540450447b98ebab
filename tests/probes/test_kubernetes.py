"""Figures of a cluster: from objects to the values of one sample; what is not there is unknown, never zero or well."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chaos_runner.api import Env, Refused, Unknown
from chaos_runner.clients.kubernetes.notes import Event
from chaos_runner.clients.kubernetes.objects import (
    AnnotatedMeta,
    Condition,
    ContainerStatus,
    Meta,
    Node,
    NodeSpec,
    NodeStatus,
    Pod,
    PodStatus,
)
from chaos_runner.clients.kubernetes.services import Endpoint, EndpointConditions, EndpointSlice
from chaos_runner.clients.kubernetes.workloads import Deployment, WorkloadSpec, WorkloadStatus
from chaos_runner.environment import Environment
from chaos_runner.probes import _watched
from chaos_runner.probes._watched import Kept
from chaos_runner.probes.kubernetes import METRICS, KubernetesProbe


def deployment(wanted: int = 3, paused: bool = False, seen: int = 2, **status: int) -> Deployment:
    full = {"replicas": 3, "ready_replicas": 3, "updated_replicas": 3} | status
    return Deployment(
        metadata=AnnotatedMeta(name="d", generation=2),
        spec=WorkloadSpec(replicas=wanted, paused=paused),
        status=WorkloadStatus(observed_generation=seen, **full),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("one", "done"),
    [
        (deployment(), True),
        (deployment(wanted=4), False),
        (deployment(ready_replicas=2), False),
        (deployment(updated_replicas=1), False),
        (deployment(replicas=4), False),
        (deployment(seen=1), False),
        (deployment(paused=True), False),
    ],
)
def test_a_rollout_is_done_when_all_are_ready_new_and_alone(one: Deployment, done: bool) -> None:
    assert _watched.values("deployment", [one], Kept())["rolled_out"] is done


@pytest.mark.parametrize("sort", ["deployment", "statefulset", "node", "service"])
def test_what_is_not_there_is_unknown(sort: str) -> None:
    with pytest.raises(Unknown):
        _watched.values(sort, [], Kept())


def pod(uid: str, restarts: int, ready: bool = True) -> Pod:
    conditions = (Condition(type="Ready", status=str(ready)),)
    statuses = (ContainerStatus(name="c", restart_count=restarts),)
    status = PodStatus(phase="Running", conditions=conditions, container_statuses=statuses)
    return Pod(metadata=Meta(uid=uid), status=status)


def test_restarts_count_from_the_first_sample_and_outlive_their_pod() -> None:
    kept = Kept()
    steps = [
        ([pod("a", 5)], 0),
        ([pod("a", 7)], 2),
        ([pod("a", 7), pod("b", 1)], 3),
        ([pod("b", 2)], 4),
        ([], 4),
    ]
    assert [_watched.values("pods", items, kept)["restarts"] for items, _ in steps] == [count for _, count in steps]


def test_pods_are_ready_only_when_they_say_so() -> None:
    values = _watched.values("pods", [pod("a", 0), pod("b", 0, ready=False)], Kept())
    assert (values["ready"], values["pods"]) == (1, 2)


def node(*held: str, cordoned: bool = False) -> Node:
    conditions = tuple(Condition(type=name, status="True") for name in held)
    return Node(
        metadata=AnnotatedMeta(), spec=NodeSpec(unschedulable=cordoned), status=NodeStatus(conditions=conditions)
    )


def test_conditions_of_nodes_are_counted_and_one_that_nobody_has_is_zero() -> None:
    values = _watched.values("node", [node("Ready"), node("Ready", cordoned=True), node("MemoryPressure")], Kept())
    assert (values["ready"], values["nodes"], values["schedulable"]) == (2, 3, 1)
    assert values["condition.MemoryPressure"] == 1
    assert values["condition.DiskPressure"] == 0
    with pytest.raises(KeyError):
        values["redy"]


def test_endpoints_are_those_that_take_traffic() -> None:
    places = [Endpoint(conditions=EndpointConditions(ready=ready)) for ready in (True, False, None)]
    slices = [EndpointSlice(metadata=Meta(), endpoints=tuple(places)), EndpointSlice(metadata=Meta())]
    assert _watched.values("service", slices, Kept()) == {"endpoints": 2}


def test_warnings_are_new_ones_of_others() -> None:
    kept = Kept()

    def event(uid: str, count: int, **labels: str) -> Event:
        return Event(metadata=Meta(uid=uid, labels=labels), type="Warning", count=count)

    assert _watched.values("events", [event("a", 3)], kept) == {"warnings": 0}
    ours = event("b", 1, **{"chaos-runner/run": "r"})
    assert _watched.values("events", [event("a", 4), ours, event("c", 2)], kept) == {"warnings": 3}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "exactly one of"),
        ({"deployment": "a/b", "service": "a/b"}, "exactly one of"),
        ({"pods": "shop"}, "belong together"),
        ({"node": "n1", "selector": "a=b"}, "belong together"),
    ],
)
def test_it_looks_at_exactly_one_thing(fields: dict[str, Any], said: str) -> None:
    assert said in " ".join(why for _, why in KubernetesProbe(**fields).problems())


def test_what_a_file_says_can_be_read_again_from_a_plan() -> None:
    for given in ({"deployment": "shop/web"}, {"pods": "shop", "selector": "a=b"}, {"nodes": "a=b"}):
        probe = msgspec.convert(given, KubernetesProbe)
        assert msgspec.convert(msgspec.to_builtins(probe), KubernetesProbe) == probe


def test_each_sort_has_figures_for_its_metrics() -> None:
    assert set(METRICS) == set(_watched._FIGURES)


def test_an_environment_without_a_cluster_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="no `cluster:`"):
        KubernetesProbe(deployment="a/b").reads(Env("here", Environment()))


@pytest.mark.anyio
async def test_what_nobody_follows_is_unknown() -> None:
    env = Env("here", Environment())
    with pytest.raises(Unknown, match="nothing was heard"):
        await KubernetesProbe(deployment="a/b").read(env)
    await env.aclose()


@pytest.mark.anyio
async def test_a_cluster_that_cannot_be_reached_is_unknown_with_its_reason() -> None:
    import anyio

    env, probe = Env("here", Environment()), KubernetesProbe(deployment="a/b")
    async with probe.following(env):
        await anyio.sleep(0.2)
        with pytest.raises(Unknown, match="has no `cluster:`"):
            await probe.read(env)
    await env.aclose()


@pytest.mark.anyio
async def test_what_goes_wrong_while_it_follows_travels_as_itself() -> None:
    env, probe = Env("here", Environment()), KubernetesProbe(deployment="a/b")
    with pytest.raises(Refused, match="not steady"):
        async with probe.following(env):
            raise Refused("not steady")
    await env.aclose()
