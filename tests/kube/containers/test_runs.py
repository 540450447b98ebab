"""Whole runs that kill real containers and drain a real node: what the run measured, and what became of the pods."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.kube import raw
from tests.kube.containers import census
from tests.kube.containers.conftest import Folder, Workload
from tests.kube.real_nodes import RealNodes

pytestmark = pytest.mark.real
RUN_S = 300
DRAIN = "{pods_in_total: 8, replaced_within: 60s}"


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "chaos_runner", "run", "e.yaml", "--events", "events.jsonl", *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(folder: Path, *words: str) -> tuple[int, str]:
    with start(folder, *words) as process:
        try:
            said, _ = process.communicate(timeout=RUN_S)
        finally:
            process.kill()
    return process.returncode, said


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The records of this kind."""
    rows = [json.loads(line)["record"] for line in (folder / "events.jsonl").read_text().splitlines()]
    return [row for row in rows if row["type"] == kind]


def node_of(ground: RealNodes, name: str) -> dict[str, Any]:
    return dict(raw.done(ground, "GET", f"/api/v1/nodes/{name}"))


def test_a_killed_pod_s_containers_end_and_the_run_measures_how_long_its_replacement_took(
    folder: Folder, web: Workload
) -> None:
    before = web.ready()
    running = {uid: census.of_pod(uid) for uid in before}
    assert all(any("httpd" in census.command(pid) for pid in pids) for pids in running.values()), running

    folder.write("pod_kill", f"{{pods: {web.namespace}, selector: app=web, pick: 1}}", "{replaced_within: 60s}")
    code, said = run(folder.path)
    assert code == 0, said
    (spent,) = events(folder.path, "FaultSpent")
    after = web.ready()
    ((killed, lost),) = [(uid, pod) for uid, pod in before.items() if uid not in after]
    (new,) = [pod for uid, pod in after.items() if uid not in before]
    (gone,) = events(folder.path, "FaultConfirmed")
    assert f"pod/{web.namespace}/{lost['metadata']['name']} (uid {killed})" in gone["evidence"]
    assert spent["replaced"] == f"pod/{web.namespace}/{new['metadata']['name']}"
    assert 0 < spent["seconds"] < 60

    assert census.of_pod(killed) == frozenset()
    assert not running[killed] & frozenset(census.pids())
    assert {uid: census.of_pod(uid) for uid in before if uid != killed} == {
        uid: pids for uid, pids in running.items() if uid != killed
    }
    assert census.of_pod(new["metadata"]["uid"])
    (page,) = [path for path in (folder.path / "reports").glob("*.html") if path.name != "index.html"]
    assert re.search(rf"{re.escape(new['metadata']['name'])} took its place after", page.read_text())


def test_a_drained_node_s_pods_run_elsewhere_and_it_takes_pods_again(
    folder: Folder, web: Workload, containers: RealNodes
) -> None:
    drained = next(iter(web.ready().values()))["spec"]["nodeName"]
    here = {uid for uid, pod in web.ready().items() if pod["spec"]["nodeName"] == drained}
    folder.write("node_drain", f"{{node: {drained}}}", DRAIN)
    code, said = run(folder.path)
    assert code == 0, said

    after = web.ready()
    assert len(after) == 4
    assert not here & set(after)
    assert {pod["spec"]["nodeName"] for pod in after.values()} == {one.name for one in containers.nodes} - {drained}
    assert not any(census.of_pod(uid) for uid in here)
    spent = events(folder.path, "FaultSpent")
    assert len(spent) == len(here)
    assert all(one["replaced"] and 0 < one["seconds"] < 60 for one in spent)
    node = node_of(containers, drained)
    assert "unschedulable" not in node["spec"]
    assert not [key for key in node["metadata"].get("annotations", {}) if key.startswith("chaos-runner")]


def test_a_killed_runner_s_node_is_uncordoned_by_the_guardian_and_its_kubelet_goes_on(
    folder: Folder, web: Workload, containers: RealNodes
) -> None:
    drained = next(iter(web.ready().values()))["spec"]["nodeName"]
    kubelets = {one.processes["kubelet"].pid for one in containers.nodes}
    folder.write("node_drain", f"{{node: {drained}}}", DRAIN, hold="120s")
    with start(folder.path, "--no-report") as process:
        try:
            raw.wait_until(lambda: _emptied(web, drained), 120)
            assert node_of(containers, drained)["spec"]["unschedulable"] is True
            process.kill()
            raw.wait_until(lambda: "unschedulable" not in node_of(containers, drained)["spec"], 60)
        finally:
            process.kill()
            said, _ = process.communicate()
            _dismiss(said)
    raw.wait_until(lambda: len(web.ready()) == 4, 90, web.trouble)
    assert {one.processes["kubelet"].pid for one in containers.nodes if one.processes["kubelet"].poll() is None} == (
        kubelets
    )


def _emptied(web: Workload, name: str) -> bool:
    return not [pod for pod in web.pods() if pod["spec"].get("nodeName") == name]


def _dismiss(said: str) -> None:
    """Ends the run's guardian, which watches for a minute more what may land late."""
    found = re.search(r"Guardian ready \(pid (\d+)\)", said)
    assert found is not None, said
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(found[1]), signal.SIGKILL)
