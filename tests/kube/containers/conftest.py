"""Two nodes of real containers, started once; and a Deployment of them in a namespace of the test's own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kube import raw, real_nodes
from tests.kube.containers import census
from tests.kube.real_nodes import RealNodes

PORT = 8080
SERVE = "mkdir -p /tmp/www; echo well > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"
READY_S = 90.0
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def possible() -> None:
    """Whoever is root has to be able to; others are told why not."""
    if why := real_nodes.missing():
        required = os.geteuid() == 0 and os.environ.get("REQUIRE_REAL") == "1"
        (pytest.fail if required else pytest.skip)(why)


@pytest.fixture(scope="module")
def containers(possible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNodes]:
    folder, before = tmp_path_factory.mktemp("containers"), census.mounts()
    with real_nodes.started(folder) as started:
        names = census.names(folder)
        yield started
    assert census.members(folder) == frozenset()
    assert census.traces(names) == []
    assert census.mounts() == before


class Workload:
    """A Deployment `web` of real containers that serve HTTP."""

    def __init__(self, ground: RealNodes, namespace: str) -> None:
        self.ground, self.namespace = ground, namespace

    def apply(self, replicas: int) -> None:
        labels = {"app": "web"}
        probe = {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1}
        image = {"image": "localhost/busybox:1", "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", SERVE]}
        pod = {"containers": [{"name": "web", **image, "readinessProbe": probe}], "terminationGracePeriodSeconds": 1}
        template = {"metadata": {"labels": labels}, "spec": pod}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments"
        raw.done(self.ground, "POST", path, {"metadata": {"name": "web"}, "spec": spec})
        raw.wait_until(lambda: len(self.ready()) == replicas, READY_S, self.trouble)

    def pods(self) -> list[dict[str, Any]]:
        return list(raw.done(self.ground, "GET", f"/api/v1/namespaces/{self.namespace}/pods")["items"])

    def ready(self) -> dict[str, dict[str, Any]]:
        """The pods that take requests and are not on their way out, by their uid."""
        return {pod["metadata"]["uid"]: pod for pod in self.pods() if _is_ready(pod)}

    def trouble(self) -> str:
        events = raw.done(self.ground, "GET", f"/api/v1/namespaces/{self.namespace}/events")["items"]
        return "; ".join(event["message"] for event in events)[-3000:]


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = {(one["type"], one["status"]) for one in pod["status"].get("conditions", ())}
    return ("Ready", "True") in conditions and "deletionTimestamp" not in pod["metadata"]


@pytest.fixture
def web(containers: RealNodes) -> Iterator[Workload]:
    """Four ready pods."""
    name = f"web-{next(_numbers)}"
    raw.done(containers, "POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    raw.wait_until(lambda: raw.ask(containers, "GET", account).status == 200)
    workload = Workload(containers, name)
    workload.apply(4)
    yield workload
    raw.done(containers, "DELETE", f"/api/v1/namespaces/{name}")
    raw.wait_until(lambda: raw.ask(containers, "GET", f"/api/v1/namespaces/{name}").status == 404, READY_S)


CONFIG = """\
kind: config/v1
environments:
  lab:
    cluster: {{kubeconfig: "file:{path}", uid: {uid}}}
    ceilings: {{at_once: 9, in_total: 9}}
"""
EXPERIMENT = """\
kind: experiment/v1
name: e
hypothesis: It stays up.
steady_state:
  replicas:
    probe: kubernetes
    with: {{deployment: {namespace}/web}}
    expect: [ready >= 4]
    during: [ready >= 1]
baseline: 10s
blast_radius: {{at_once: 9, in_total: 9, percent_of_selector: 100}}
method:
  - {{fault: {fault}, target: {target}, with: {fields}, for: {hold}}}
recovery: {{within: 60s}}
"""


class Folder:
    """A folder with one experiment on the workload."""

    def __init__(self, path: Path, web: Workload) -> None:
        self.path, self.web = path, web
        ground = web.ground
        config = CONFIG.format(path=ground.plane.kubeconfig("plain"), uid=ground.uid)
        (path / "chaos-runner.yaml").write_text(config)

    def write(self, fault: str, target: str, fields: str, hold: str = "15s") -> None:
        names = {"namespace": self.web.namespace, "fault": fault, "target": target, "fields": fields, "hold": hold}
        (self.path / "e.yaml").write_text(EXPERIMENT.format(**names))


@pytest.fixture
def folder(tmp_path: Path, web: Workload) -> Folder:
    return Folder(tmp_path, web)
