"""Laws of a running cluster: workloads keep their pods, nodes and services are what they say, nothing outlives it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from chaos_runner.pocket import processes
from chaos_runner.pocket.cluster import handle
from tests.pocket.cluster.kit import Client, until

pytestmark = pytest.mark.world

PORT = 8080
DEPLOYMENTS, PODS = "/apis/apps/v1/namespaces/{}/deployments", "/api/v1/namespaces/{}/pods"


def namespace(cluster: Client, name: str) -> str:
    cluster.make("/api/v1/namespaces", {"metadata": {"name": name}})
    return name


def workload(app: str, replicas: int, image: str = "registry.invalid/none:1", **pod: Any) -> Any:
    container = {"name": "main", "image": image, "ports": [{"containerPort": PORT}]}
    template = {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container], **pod}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": app}}, "template": template}
    return {"metadata": {"name": app}, "spec": spec}


def shop(service: str, replicas: int, **pod: Any) -> Any:
    return workload(service, replicas, f"chaos-runner-shop-{service}:1", **pod)


def ready(cluster: Client, ns: str, app: str = "") -> list[Any]:
    pods = cluster.items(PODS.format(ns) + (f"?labelSelector=app%3D{app}" if app else ""))
    return [pod for pod in pods if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]]


def is_ready(obj: Any) -> bool:
    return any((one["type"], one["status"]) == ("Ready", "True") for one in obj["status"].get("conditions", ()))


def name(obj: Any) -> str:
    return str(obj["metadata"]["name"])


def pid_of(pod: Any) -> int:
    return int(pod["status"]["containerStatuses"][0]["containerID"].removeprefix("pid://"))


def answer(address: str, port: int, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


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


def test_a_service_balances_over_ready_pods_for_each_connection(cluster: Client) -> None:
    ns = namespace(cluster, "service")
    cluster.make(DEPLOYMENTS.format(ns), shop("payments", 2))
    spec = {"selector": {"app": "payments"}, "ports": [{"port": 80, "targetPort": PORT}]}
    service = cluster.make(f"/api/v1/namespaces/{ns}/services", {"metadata": {"name": "payments"}, "spec": spec})
    address = service["spec"]["clusterIP"]
    assert address.startswith("127.78.")
    pods = until(lambda: found if len(found := ready(cluster, ns)) == 2 else None)
    until(lambda: _behind(cluster, ns) == 2)
    until(lambda: all(_served(pod) for pod in pods if answer(address, 80, "/charges")[0] == 200))

    cluster.ask("DELETE", f"{PODS.format(ns)}/{name(pods[0])}", {"gracePeriodSeconds": 1})
    cluster.ask(
        "PATCH", f"{DEPLOYMENTS.format(ns)}/payments", {"spec": {"replicas": 0}}, "application/merge-patch+json"
    )
    until(lambda: _behind(cluster, ns) == 0)
    with pytest.raises(OSError):
        for _ in until(lambda: range(20)):
            answer(address, 80, "/charges")
            time.sleep(0.1)


def _behind(cluster: Client, ns: str) -> int:
    slices = cluster.items(f"/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices")
    return sum(1 for one in slices for end in one["endpoints"] if end["conditions"]["ready"])


def _served(pod: Any) -> bool:
    connection = http.client.HTTPConnection(pod["status"]["podIP"], PORT, timeout=5)
    try:
        connection.request("GET", "/metrics")
        return 'path="/charges"' in connection.getresponse().read().decode()
    finally:
        connection.close()


def test_the_shop_runs_behind_its_services(cluster: Client) -> None:
    ns = namespace(cluster, "shop")
    needs = {
        "payments": {},
        "catalog": {},
        "checkout": {"PAYMENTS_URL": "http://payments"},
        "gateway": {"CHECKOUT_URL": "http://checkout.shop.svc:80", "CATALOG_URL": "http://$(CATALOG_SERVICE_HOST):80"},
    }
    for service, env in needs.items():
        spec = {"selector": {"app": service}, "ports": [{"port": 80, "targetPort": PORT}]}
        cluster.make(f"/api/v1/namespaces/{ns}/services", {"metadata": {"name": service}, "spec": spec})
        wanted = shop(service, 1)
        rows = [{"name": name, "value": value} for name, value in {"MODE": "resilient", **env}.items()]
        wanted["spec"]["template"]["spec"]["containers"][0]["env"] = rows
        cluster.make(DEPLOYMENTS.format(ns), wanted)
    until(lambda: _behind(cluster, ns) == 4)
    address = cluster.get(f"/api/v1/namespaces/{ns}/services/gateway")["spec"]["clusterIP"]

    until(lambda: _reached(address))
    assert answer(address, 80, "/catalog")[0] == 200


def _listens(address: str) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((address, PORT)) == 0


def _reached(address: str) -> bool:
    connection = http.client.HTTPConnection(address, 80, timeout=5)
    try:
        connection.request("POST", "/checkout")
        reply = connection.getresponse()
        return reply.status == 200 and json.loads(reply.read())["status"] == "paid"
    except OSError:
        return False
    finally:
        connection.close()


def test_a_pod_is_ready_after_its_warm_up_and_not_before(cluster: Client) -> None:
    ns = namespace(cluster, "warm")
    wanted = shop("catalog", 1)
    probe = {"httpGet": {"path": "/readyz", "port": PORT}, "initialDelaySeconds": 3}
    spec = {"selector": {"app": "catalog"}, "ports": [{"port": 80, "targetPort": PORT}]}
    service = cluster.make(f"/api/v1/namespaces/{ns}/services", {"metadata": {"name": "catalog"}, "spec": spec})
    wanted["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = probe
    cluster.make(DEPLOYMENTS.format(ns), wanted)
    until(lambda: [pod for pod in cluster.items(PODS.format(ns)) if pod["status"]["phase"] == "Running"])
    began = time.monotonic()
    until(lambda: _listens(cluster.items(PODS.format(ns))[0]["status"]["podIP"]))

    assert not ready(cluster, ns)
    with pytest.raises(OSError):  # a Service sends nobody to a pod that is not ready
        answer(service["spec"]["clusterIP"], 80, "/products")
    until(lambda: ready(cluster, ns))
    assert time.monotonic() - began > 2


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


def test_a_namespace_takes_everything_in_it_along(cluster: Client) -> None:
    ns = namespace(cluster, "leaving")
    cluster.make(DEPLOYMENTS.format(ns), shop("catalog", 2))
    pods = until(lambda: found if len(found := ready(cluster, ns)) == 2 else None)
    known = [processes.identify(pid_of(pod)) for pod in pods]
    cluster.ask("DELETE", f"/api/v1/namespaces/{ns}")

    until(lambda: cluster.ask("GET", f"/api/v1/namespaces/{ns}").status == 404)
    until(lambda: not any(process.lives() for process in known))
    assert cluster.items(PODS.format(ns)) == []


def test_a_silent_node_is_unknown_and_its_pods_are_not_ready(cluster: Client) -> None:
    ns = namespace(cluster, "silent")
    cluster.make(DEPLOYMENTS.format(ns), shop("catalog", 3))
    until(lambda: len(ready(cluster, ns)) == 3)
    frozen = cluster.info.processes["pocket-3"].pid
    os.kill(frozen, signal.SIGSTOP)
    try:
        until(lambda: not is_ready(cluster.get("/api/v1/nodes/pocket-3")))
        until(lambda: len(ready(cluster, ns)) == 2)
        taints = until(lambda: cluster.get("/api/v1/nodes/pocket-3")["spec"].get("taints"))
        assert {taint["key"] for taint in taints} == {"node.kubernetes.io/unreachable"}
    finally:
        os.kill(frozen, signal.SIGCONT)
    until(lambda: is_ready(cluster.get("/api/v1/nodes/pocket-3")))
    until(lambda: len(ready(cluster, ns)) == 3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_control_plane(tmp_path: Path, number: int) -> None:
    with handle.running(tmp_path, "--nodes", "2") as info:
        cluster = Client(info)
        cluster.make(DEPLOYMENTS.format("default"), shop("catalog", 3))
        pods = until(lambda: found if len(found := ready(cluster, "default")) == 3 else None)
        everyone = [*info.everyone(), *(processes.identify(pid_of(pod)) for pod in pods)]
        os.kill(everyone[-1].pid, signal.SIGSTOP)  # a frozen pod, too
        os.kill(info.processes["pocket-1"].pid, signal.SIGSTOP)  # and a frozen node: it cannot see that stdin ends
        os.kill(info.pid, number)

        until(lambda: not any(process.lives() for process in everyone[1:]))


def test_the_pods_of_a_node_die_with_it_and_come_up_elsewhere(tmp_path: Path) -> None:
    with handle.running(tmp_path, "--silent-after", "2") as info:
        cluster = Client(info)
        patience = [
            {"key": f"node.kubernetes.io/{why}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
            for why in ("unreachable", "not-ready")
        ]
        cluster.make(DEPLOYMENTS.format("default"), shop("catalog", 3, tolerations=patience))
        pods = until(lambda: found if len(found := ready(cluster, "default")) == 3 else None)
        lost = next(pod for pod in pods if pod["spec"]["nodeName"] == "pocket-2")
        process = processes.identify(pid_of(lost))
        os.kill(info.processes["pocket-2"].pid, signal.SIGKILL)

        until(lambda: not process.lives())
        others = until(lambda: found if name(lost) not in map(name, found := ready(cluster, "default")) else None)
        assert len(others) >= 2, "only the pods of that node were lost"
        others = until(lambda: found if len(found := ready(cluster, "default")) == 3 else None)
        assert {pod["spec"]["nodeName"] for pod in others} == {"pocket-1", "pocket-3"}


def test_files_with_tokens_are_for_their_owner_only(cluster: Client) -> None:
    path = Path(cluster.info.kubeconfig)

    assert path.stat().st_mode & 0o777 == 0o600
    assert cluster.info.tokens["pocket-admin"] in path.read_text()
    assert cluster.info.tokens["pocket-admin"] not in Path(f"/proc/{cluster.info.pid}/cmdline").read_text()


def test_a_lost_answer_is_a_deed_that_was_done(cluster: Client) -> None:
    ns = namespace(cluster, "lost")
    troubles = "/chaos-runner/v1/pocket/troubles"
    cluster.ask("PUT", troubles, [{"path": f"/api/v1/namespaces/{ns}/configmaps", "answer": "lost", "times": 1}])
    with pytest.raises(OSError):
        cluster.ask("POST", f"/api/v1/namespaces/{ns}/configmaps", {"metadata": {"name": "done"}})

    assert cluster.get(f"/api/v1/namespaces/{ns}/configmaps/done")


def test_a_watch_is_dropped_on_request_and_says_what_happened_until_then(cluster: Client) -> None:
    ns = namespace(cluster, "watched")
    with cluster.connection() as connection:
        headers = {"Authorization": f"Bearer {cluster.info.tokens['pocket-admin']}"}
        connection.request("GET", f"/api/v1/namespaces/{ns}/configmaps?watch=1", headers=headers)
        reply = connection.getresponse()
        cluster.make(f"/api/v1/namespaces/{ns}/configmaps", {"metadata": {"name": "one"}})
        assert json.loads(reply.readline())["object"]["metadata"]["name"] == "one"
        assert cluster.ask("POST", "/chaos-runner/v1/pocket/drop-watches").value["dropped"] >= 1
        with pytest.raises((OSError, http.client.HTTPException)):
            assert reply.read(), "the end of a dropped watch is not a clean one"
