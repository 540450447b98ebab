"""Who owns pods, who lets them go, and what happens to them when their owner goes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.pocket.cluster.kit import DEPLOYMENTS, MERGE, PODS, Client, name, namespace, ready, until, workload

pytestmark = pytest.mark.world

REPLICASETS = "/apis/apps/v1/namespaces/{}/replicasets"


def three(cluster: Client, ns: str) -> list[Any]:
    cluster.make(DEPLOYMENTS.format(namespace(cluster, ns)), workload("web", 3))
    return list(until(lambda: found if len(found := ready(cluster, ns)) == 3 else None))


def test_a_pod_that_loses_its_label_is_let_go_and_replaced(cluster: Client) -> None:
    victim = name(three(cluster, "released")[0])
    path = f"{PODS.format('released')}/{victim}"
    cluster.ask("PATCH", path, {"metadata": {"labels": {"app": "other"}}}, MERGE)

    until(lambda: len(ready(cluster, "released", "web")) == 3)
    freed = cluster.get(path)
    assert "ownerReferences" not in freed["metadata"]
    assert "deletionTimestamp" not in freed["metadata"]

    cluster.ask("PATCH", path, {"metadata": {"labels": {"app": "web"}}}, MERGE)
    until(lambda: len(ready(cluster, "released")) == 3)


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_pods_go_with_their_owner(cluster: Client, policy: str) -> None:
    ns = f"cascade-{policy.lower()}"
    three(cluster, ns)
    cluster.ask("DELETE", f"{DEPLOYMENTS.format(ns)}/web", {"propagationPolicy": policy})

    until(lambda: not cluster.items(PODS.format(ns)))
    until(lambda: not cluster.items(REPLICASETS.format(ns)))
    until(lambda: not cluster.items(DEPLOYMENTS.format(ns)))


def test_orphans_stay_and_are_adopted_again(cluster: Client) -> None:
    ns = "orphans"
    before = {pod["metadata"]["uid"] for pod in three(cluster, ns)}
    (owner,) = cluster.items(REPLICASETS.format(ns))
    cluster.ask("DELETE", f"{DEPLOYMENTS.format(ns)}/web", {"propagationPolicy": "Orphan"})
    until(lambda: not cluster.items(DEPLOYMENTS.format(ns)))
    cluster.ask("DELETE", f"{REPLICASETS.format(ns)}/{name(owner)}", {"propagationPolicy": "Orphan"})
    until(lambda: not cluster.items(REPLICASETS.format(ns)))
    left = cluster.items(PODS.format(ns))

    assert {pod["metadata"]["uid"] for pod in left} == before
    assert not any("ownerReferences" in pod["metadata"] and pod["metadata"]["ownerReferences"] for pod in left)
    again = {"metadata": {"name": name(owner)}, "spec": owner["spec"]}
    cluster.make(REPLICASETS.format(ns), again)
    until(lambda: all(pod["metadata"].get("ownerReferences") for pod in cluster.items(PODS.format(ns))))
    assert {pod["metadata"]["uid"] for pod in ready(cluster, ns)} == before


def test_a_daemon_set_has_a_pod_on_every_node_cordoned_or_not(cluster: Client) -> None:
    ns = namespace(cluster, "daemons")
    cluster.ask("PATCH", "/api/v1/nodes/pocket-3", {"spec": {"unschedulable": True}}, MERGE)
    try:
        cluster.make(f"/apis/apps/v1/namespaces/{ns}/daemonsets", workload("agent", 1))
        pods = until(lambda: found if len(found := ready(cluster, ns)) == 3 else None)
        assert {pod["spec"]["nodeName"] for pod in pods} == {"pocket-1", "pocket-2", "pocket-3"}
    finally:
        cluster.ask("PATCH", "/api/v1/nodes/pocket-3", {"spec": {"unschedulable": None}}, MERGE)


def test_a_force_deleted_stateful_pod_comes_back_as_another_one(cluster: Client) -> None:
    ns = namespace(cluster, "forced")
    cluster.make(f"/apis/apps/v1/namespaces/{ns}/statefulsets", workload("db", 2))
    pods = until(lambda: found if len(found := ready(cluster, ns)) == 2 else None)
    before = {name(pod): pod["metadata"]["uid"] for pod in pods}
    path = f"{PODS.format(ns)}/db-0"
    cluster.ask("DELETE", path, {"gracePeriodSeconds": 0})
    until(lambda: len(ready(cluster, ns)) == 2)
    late = cluster.ask("DELETE", path, {"preconditions": {"uid": before["db-0"]}})

    assert late.status == 409, "the one that was meant is gone; this one only has its name"
    assert cluster.get(path)["metadata"]["uid"] != before["db-0"]


def test_a_watch_sees_a_pod_go_step_by_step_and_its_replacement_before_its_end(cluster: Client) -> None:
    ns = "steps"
    victim = three(cluster, ns)[0]
    version = cluster.get(PODS.format(ns))["metadata"]["resourceVersion"]
    cluster.ask("DELETE", f"{PODS.format(ns)}/{name(victim)}")
    until(lambda: len(ready(cluster, ns)) == 3 and len(cluster.items(PODS.format(ns))) == 3)
    reply = cluster.ask("GET", f"{PODS.format(ns)}?watch=1&timeoutSeconds=1&resourceVersion={version}")
    seen = [_event(line) for line in reply.body.splitlines()]
    mine = [kind for kind, pod in seen if pod == name(victim)]

    assert (mine[0], mine[-1]) == ("MODIFIED", "DELETED")
    assert [kind for kind, _ in seen].index("ADDED") < [kind for kind, _ in seen].index("DELETED")


def _event(line: bytes) -> tuple[str, str]:
    value = json.loads(line)
    return value["type"], name(value["object"])
