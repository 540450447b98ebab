"""kubectl works on the pocket cluster: every version that is installed here, and the ones that KUBECTLS names."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from chaos_runner.pocket.cluster.kubeconfig import text
from tests.pocket.cluster.kit import PODS, Client, name, ready, until

LIMIT_S = 60
FOUND = [*filter(None, os.environ.get("KUBECTLS", "").split(os.pathsep)), *filter(None, [shutil.which("kubectl")])]
pytestmark = [
    pytest.mark.world,
    pytest.mark.skipif(not FOUND, reason="kubectl is not installed (Debian: kubernetes-client)"),
]

MANIFEST = """\
apiVersion: v1
kind: Namespace
metadata: {name: NS}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: main, image: "registry.invalid/none:1", ports: [{containerPort: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: NS}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: NS}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
"""


class Kubectl:
    """One kubectl, with a namespace of its own in which the manifest was applied."""

    def __init__(self, path: str, cluster: Client, folder: Path) -> None:
        self.cluster = cluster
        self.namespace = f"kubectl-{FOUND.index(path)}-{folder.name[-20:].strip('_').replace('_', '-')}".lower()
        self._path = path
        self._env = {"PATH": os.environ["PATH"], "KUBECONFIG": cluster.info.kubeconfig, "HOME": str(folder)}
        self._manifest = folder / "web.yaml"
        self._manifest.write_text(MANIFEST.replace("NS", self.namespace))

    def __call__(self, *words: str, fails: bool = False) -> str:
        argv = [self._path, "-n", self.namespace, *words]
        done = subprocess.run(argv, env=self._env, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        assert (done.returncode != 0) == fails, (words, done.stdout, done.stderr)
        return done.stdout + done.stderr if fails else done.stdout

    def apply(self, *, replicas: int = 2) -> str:
        text = self._manifest.read_text()
        self._manifest.write_text(text.replace("replicas: 2", f"replicas: {replicas}"))
        return self("apply", "-f", str(self._manifest))


@pytest.fixture(params=FOUND or [""], ids=range(len(FOUND) or 1))
def kubectl(request: pytest.FixtureRequest, cluster: Client, tmp_path: Path) -> Kubectl:
    tool = Kubectl(request.param, cluster, tmp_path)
    tool.apply()
    tool("rollout", "status", "deployment/web", "--timeout=30s")
    return tool


def test_apply_says_what_changed_and_does_only_that(kubectl: Kubectl) -> None:
    again = kubectl.apply()
    more = kubectl.apply(replicas=3)
    kubectl("rollout", "status", "deployment/web", "--timeout=30s")

    assert "deployment.apps/web unchanged" in again
    assert "service/web unchanged" in again
    assert "deployment.apps/web configured" in more
    assert kubectl("get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}") == "3"


def test_get_and_describe_show_what_is_there(kubectl: Kubectl) -> None:
    pods = kubectl("get", "pods", "-o", "wide").splitlines()
    everything = kubectl("get", "all,endpointslices,events")
    said = kubectl("describe", "pods,deployments,services")
    node = kubectl("describe", "node", "pocket-1")

    assert pods[0].split()[:5] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [line.split()[1:3] for line in pods[1:]] == [["1/1", "Running"]] * 2
    assert "replicaset.apps/web-" in everything
    assert "Scheduled" in everything
    assert "is not known here: the pod is in the books only" in said
    assert "Ready            True" in node


def test_delete_waits_until_it_is_gone_and_wait_until_it_is_back(kubectl: Kubectl) -> None:
    victim = name(ready(kubectl.cluster, kubectl.namespace)[0])
    kubectl("delete", "pod", victim, "--timeout=30s")
    kubectl("wait", "--for=condition=Ready", "pods", "-l", "app=web", "--timeout=30s")

    assert victim not in kubectl("get", "pods")
    assert len(ready(kubectl.cluster, kubectl.namespace)) == 2


def test_scale_set_image_and_undo_are_rolled_out(kubectl: Kubectl) -> None:
    kubectl("scale", "deployment/web", "--replicas=4")
    kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    assert len(ready(kubectl.cluster, kubectl.namespace)) == 4

    for words in (
        ("set", "image", "deployment/web", "main=registry.invalid/none:2"),
        ("rollout", "undo", "deploy/web"),
    ):
        kubectl(*words)
        kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    images = {pod["spec"]["containers"][0]["image"] for pod in ready(kubectl.cluster, kubectl.namespace)}
    assert images == {"registry.invalid/none:1"}
    assert len(kubectl("get", "replicasets", "-o", "name").splitlines()) == 2, "undo goes back to the one there was"


def test_drain_empties_a_node_within_the_budget_and_uncordon_opens_it(kubectl: Kubectl) -> None:
    kubectl("cordon", "pocket-2")
    try:
        out = kubectl("drain", "pocket-2", "--ignore-daemonsets", "--force", "--timeout=45s")
        assert "SchedulingDisabled" in kubectl("get", "node", "pocket-2")
        assert "drained" in out or "evicted" in out
        pods = kubectl.cluster.items("/api/v1/pods?fieldSelector=spec.nodeName%3Dpocket-2")
        assert pods == []
    finally:
        kubectl("uncordon", "pocket-2")
    until(lambda: len(ready(kubectl.cluster, kubectl.namespace)) == 2)


def test_a_patch_a_label_a_taint_and_their_end(kubectl: Kubectl) -> None:
    kubectl("patch", "deployment", "web", "-p", '{"spec":{"replicas":1}}')
    kubectl("label", "node", "pocket-1", "disk=ssd")
    kubectl("taint", "node", "pocket-1", "a=b:NoSchedule")
    kubectl("taint", "node", "pocket-1", "a-")
    kubectl("label", "node", "pocket-1", "disk-")
    kubectl("delete", "namespace", kubectl.namespace, "--timeout=40s")

    assert kubectl.cluster.ask("GET", f"/api/v1/namespaces/{kubectl.namespace}").status == 404
    assert kubectl.cluster.items(PODS.format(kubectl.namespace)) == []


def test_what_create_makes_is_what_was_meant(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "more", "--image=registry.invalid/none:1")
    kubectl("create", "configmap", "words", "--from-literal=a=b")
    kubectl("create", "secret", "generic", "words", "--from-literal=a=b")
    kubectl("create", "serviceaccount", "robot")
    kubectl("create", "role", "looks", "--verb=get,list", "--resource=pods,deployments.apps")
    kubectl("create", "rolebinding", "looks", "--role=looks", f"--serviceaccount={kubectl.namespace}:robot")
    robot = f"system:serviceaccount:{kubectl.namespace}:robot"

    assert kubectl("auth", "can-i", "list", "pods", "--as", robot) == "yes\n"
    assert "no" in kubectl("auth", "can-i", "delete", "pods", "--as", robot, fails=True)
    assert kubectl("get", "secret", "words", "-o", "jsonpath={.data.a}") == "Yg=="
    assert kubectl("get", "configmap", "words", "-o", "jsonpath={.data}") == '{"a":"b"}'
    rules = '[{"apiGroups":[""],"resources":["pods"],"verbs":["get","list"]},'
    rules += '{"apiGroups":["apps"],"resources":["deployments"],"verbs":["get","list"]}]'
    assert kubectl("get", "role", "looks", "-o", "jsonpath={.rules}") == rules
    kubectl("rollout", "status", "deployment/more", "--timeout=30s")


def test_somebody_without_rights_is_told_so(kubectl: Kubectl, tmp_path: Path) -> None:
    info = kubectl.cluster.info
    path = tmp_path / "reader"
    path.write_bytes(text(info.url, info.ca, info.tokens["reader"], "reader"))
    said = kubectl("--kubeconfig", str(path), "get", "pods", fails=True)

    assert 'pods is forbidden: User "reader" cannot list resource "pods" in API group ""' in said
