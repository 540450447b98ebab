"""What happens when nodes fall silent, watches are cut, answers are lost; and that nothing outlives a cluster."""

from __future__ import annotations

import http.client
import json
import os
import signal
from pathlib import Path

import pytest

from chaos_runner.pocket import processes
from chaos_runner.pocket.cluster import handle
from tests.pocket.cluster.kit import (
    DEPLOYMENTS,
    PODS,
    Client,
    is_ready,
    name,
    namespace,
    pid_of,
    ready,
    shop,
    until,
)

pytestmark = pytest.mark.world


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
