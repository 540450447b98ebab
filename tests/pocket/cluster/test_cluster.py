"""Laws of a running cluster: workloads keep their pods, the scheduler and budgets do what they say."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from chaos_runner.pocket import processes
from tests.pocket.cluster.kit import (
    DEPLOYMENTS,
    PODS,
    PORT,
    Client,
    answer,
    name,
    namespace,
    pid_of,
    ready,
    shop,
    until,
    workload,
)

pytestmark = pytest.mark.world


def test_a_deployment_has_its_pods_and_they_are_processes_at_their_own_address(cluster: Client) -> None:
    ns = namespace(cluster, "pods")
    cluster.make(DEPLOYMENTS.format(ns), shop("payments", 3))
    pods = until(lambda: found if len(found := ready(cluster, ns)) == 3 else None)

    assert len({pod["spec"]["nodeName"] for pod in pods}) == 3, "spread over the nodes"
    for pod in pods:
        assert pod["status"]["podIP"].startswith("127.77.")
        assert answer(pod["status"]["podIP"], PORT, "/readyz") == (200, {"status": "ready", "service": "payments"})
        assert processes.identify(pid_of(pod)).lives()


def test_a_killed_pod_is_replaced_at_once_and_ends_with_its_grace(cluster: Client) -> None:
    ns = namespace(cluster, "kill")
    cluster.make(DEPLOYMENTS.format(ns), shop("catalog", 2))
    victim = until(lambda: found if len(found := ready(cluster, ns)) == 2 else None)[0]
    process = processes.identify(pid_of(victim))
    os.kill(process.pid, signal.SIGSTOP)  # what is frozen cannot hear SIGTERM before it is woken
    cluster.ask("DELETE", f"{PODS.format(ns)}/{name(victim)}", {"gracePeriodSeconds": 3})

    until(lambda: len(cluster.items(PODS.format(ns))) == 3, within_s=2)
    until(lambda: not process.lives())
    until(lambda: cluster.ask("GET", f"{PODS.format(ns)}/{name(victim)}").status == 404)
    until(lambda: len(ready(cluster, ns)) == 2)


def test_a_program_that_dies_is_started_again(cluster: Client) -> None:
    ns = namespace(cluster, "crash")
    cluster.make(DEPLOYMENTS.format(ns), shop("catalog", 1))
    pod = until(lambda: ready(cluster, ns))[0]
    os.kill(pid_of(pod), signal.SIGKILL)

    def again() -> Any:
        found = ready(cluster, ns)
        return found if found and found[0]["status"]["containerStatuses"][0]["restartCount"] == 1 else None

    assert name(until(again)[0]) == name(pod)


def test_unknown_images_are_synthetic_pods_that_say_so(cluster: Client) -> None:
    ns = namespace(cluster, "synthetic-pods")
    cluster.make(DEPLOYMENTS.format(ns), workload("web", 4))
    pods = until(lambda: found if len(found := ready(cluster, ns)) == 4 else None)

    assert {pod["metadata"]["annotations"]["pocket.chaos-runner/synthetic"] for pod in pods} == {"true"}
    assert {pod["status"]["podIP"].split(".")[0] for pod in pods} == {"198"}
    events = cluster.items(f"/api/v1/namespaces/{ns}/events?fieldSelector=reason%3DSynthetic")
    assert len(events) == 4


def test_a_cordoned_node_gets_no_pods_and_is_tainted(cluster: Client) -> None:
    ns = namespace(cluster, "cordon")
    merge = "application/merge-patch+json"
    cluster.ask("PATCH", "/api/v1/nodes/pocket-1", {"spec": {"unschedulable": True}}, merge)
    try:
        until(lambda: "taints" in cluster.get("/api/v1/nodes/pocket-1")["spec"])
        cluster.make(DEPLOYMENTS.format(ns), workload("web", 6))
        pods = until(lambda: found if len(found := ready(cluster, ns)) == 6 else None)
        assert {pod["spec"]["nodeName"] for pod in pods} == {"pocket-2", "pocket-3"}
    finally:
        cluster.ask("PATCH", "/api/v1/nodes/pocket-1", {"spec": {"unschedulable": None}}, merge)
    until(lambda: "taints" not in cluster.get("/api/v1/nodes/pocket-1")["spec"])


def test_a_pod_that_fits_nowhere_waits_and_says_why(cluster: Client) -> None:
    ns = namespace(cluster, "nowhere")
    cluster.make(DEPLOYMENTS.format(ns), workload("web", 1, nodeSelector={"disk": "gold"}))

    def stuck() -> Any:
        pods = cluster.items(PODS.format(ns))
        return [one for pod in pods for one in pod["status"].get("conditions", ()) if one["status"] == "False"]

    found = until(stuck)[0]
    assert (found["type"], found["reason"]) == ("PodScheduled", "Unschedulable")
    assert found["message"].startswith("0/3 nodes are available: 3 node(s) didn't match")
    patch = {"metadata": {"labels": {"disk": "gold"}}}
    cluster.ask("PATCH", "/api/v1/nodes/pocket-2", patch, "application/merge-patch+json")
    until(lambda: ready(cluster, ns))


def test_a_roll_out_never_has_too_few_pods(cluster: Client) -> None:
    ns = namespace(cluster, "roll")
    wanted = workload("web", 4)
    wanted["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    path = DEPLOYMENTS.format(ns)
    cluster.make(path, wanted)
    until(lambda: len(ready(cluster, ns)) == 4)
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "registry.invalid/none:2"}]}}}}
    cluster.ask("PATCH", f"{path}/web", patch, "application/strategic-merge-patch+json")
    least = 99

    def rolled() -> bool:
        nonlocal least
        pods = ready(cluster, ns)
        least = min(least, len(pods))
        return {pod["spec"]["containers"][0]["image"] for pod in pods} == {"registry.invalid/none:2"} and len(pods) == 4

    until(rolled)
    assert least >= 4
    until(lambda: cluster.get(f"{path}/web")["status"].get("updatedReplicas") == 4)


def test_a_stateful_set_makes_its_pods_in_order_and_never_two_of_a_name(cluster: Client) -> None:
    ns = namespace(cluster, "stateful")
    cluster.make(f"/apis/apps/v1/namespaces/{ns}/statefulsets", workload("db", 3))
    pods = until(lambda: found if len(found := ready(cluster, ns)) == 3 else None)
    born = [pod["metadata"]["resourceVersion"] for pod in pods]
    assert sorted(map(name, pods)) == ["db-0", "db-1", "db-2"]
    assert born

    cluster.ask("DELETE", f"{PODS.format(ns)}/db-1")
    old = {name(pod): pod["metadata"]["uid"] for pod in pods}
    until(lambda: len(ready(cluster, ns)) == 3 and _uid(cluster, ns, "db-1") != old["db-1"])
    assert _uid(cluster, ns, "db-0") == old["db-0"]


def _uid(cluster: Client, ns: str, pod: str) -> str:
    reply = cluster.ask("GET", f"{PODS.format(ns)}/{pod}")
    return str(reply.value["metadata"]["uid"]) if reply.status == 200 else ""


def test_concurrent_evictions_never_exceed_the_budget(cluster: Client) -> None:
    ns = namespace(cluster, "budget")
    cluster.make(DEPLOYMENTS.format(ns), workload("web", 3))
    pods = until(lambda: found if len(found := ready(cluster, ns)) == 3 else None)
    path = f"/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets"
    spec = {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}
    cluster.make(path, {"metadata": {"name": "web"}, "spec": spec})
    until(lambda: cluster.get(f"{path}/web")["status"].get("disruptionsAllowed") == 1)
    told = [
        cluster.ask("POST", f"{PODS.format(ns)}/{name(pod)}/eviction", {"metadata": {"name": name(pod)}}).status
        for pod in pods
    ]

    assert sorted(told) == [201, 429, 429]
    until(lambda: cluster.get(f"{path}/web")["status"]["disruptionsAllowed"] == 1)
