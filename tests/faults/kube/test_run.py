"""Whole runs of real processes against a small cluster: plan, guardian, fault, replacement, undo, and its end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from tests.clients.kubernetes.server import UID
from tests.faults.kube.cluster import Place

pytestmark = pytest.mark.anyio
EXPERIMENT = """\
kind: experiment/v1
name: e
hypothesis: it stays up
steady_state:
  up: {{probe: tcp, with: {{address: "127.0.0.1:{port}"}}, expect: [success >= 50%], interval: 500ms}}
baseline: 10s
blast_radius: {{at_once: 9, in_total: 9, keep_available: {keep}}}
method:
  - {{fault: {fault}, target: {target}, with: {fields}, for: {hold}}}
recovery: {{within: 30s}}
"""
CONFIG = """\
kind: config/v1
environments:
  lab:
    cluster: {{kubeconfig: "file:{path}", uid: {uid}}}
    ceilings: {{at_once: 9, in_total: 9}}
"""


class Runner:
    """A folder with one experiment, and the command line in it."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.folder = folder
        self.port = place.api.port
        settings = place.environment.cluster
        assert settings is not None
        path = settings.kubeconfig.removeprefix("file:")
        (folder / "chaos-runner.yaml").write_text(CONFIG.format(path=path, uid=UID))

    def write(self, fault: str, target: str, fields: str = "{}", keep: str = "{}", hold: str = "10s") -> None:
        text = EXPERIMENT.format(port=self.port, fault=fault, target=target, fields=fields, keep=keep, hold=hold)
        (self.folder / "e.yaml").write_text(text)

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "chaos_runner", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, stdout=pipe, stderr=subprocess.STDOUT, text=True)

    async def call(self, *words: str) -> tuple[int, str]:
        process = self.start(*words)
        said, _ = await anyio.to_thread.run_sync(lambda: process.communicate(timeout=120))
        return process.returncode, said


@pytest.fixture
def runner(tmp_path: Path, place: Place) -> Iterator[Runner]:
    place.memory.workload("deployments", "shop", "payments", 3)
    return Runner(tmp_path, place)


async def test_a_run_kills_one_pod_sees_it_replaced_and_holds(runner: Runner, place: Place) -> None:
    runner.write("pod_kill", "{pods: shop, selector: app=payments, pick: 1}", keep="{deployment/shop/payments: 2}")
    code, said = await runner.call("plan", "e.yaml")
    assert code == 0, said
    assert "keep_available 2, 3 of its pods ready now: at most 1 at once" in said
    assert place.changes() == []

    code, said = await runner.call("run", "e.yaml", "--no-report")
    assert code == 0, said
    assert "HELD" in said
    (change,) = place.changes()
    assert change.startswith("DELETE /api/v1/namespaces/shop/pods/payments-5d8-")
    assert len(place.memory.all("pods")) == 3


async def test_a_run_whose_pod_nobody_replaces_has_deviated(runner: Runner, place: Place) -> None:
    place.memory.replaces = False
    runner.write("pod_kill", "{pods: shop, selector: app=payments}", "{replaced_within: 9s}")
    code, said = await runner.call("run", "e.yaml", "--no-report")

    assert code == 1, said
    assert "nothing took its place within 9s" in said
