"""Whole runs of real processes against a small cluster: plan, guardian, fault, replacement, undo, and its end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
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
def runner(tmp_path: Path, place: Place) -> Runner:
    place.memory.workload("deployments", "shop", "payments", 3)
    for name in ("n1", "n2"):
        place.memory.node(name)
    return Runner(tmp_path, place)


async def until(holds: Callable[[], bool], within_s: float) -> None:
    with anyio.fail_after(within_s):
        while not holds():
            await anyio.sleep(0.05)


def dismiss(said: str) -> None:
    """Ends the run's guardian, which watches for a minute more what may land late."""
    found = re.search(r"Guardian ready \(pid (\d+)\)", said)
    assert found is not None, said
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(found[1]), signal.SIGKILL)


def cordoned(place: Place) -> bool:
    return bool(place.memory.all("nodes", "")["n1"]["spec"].get("unschedulable"))


def clean(place: Place) -> bool:
    node = place.memory.all("nodes", "")["n1"]
    return bool(node["spec"] == {} and node["metadata"]["annotations"] == {})


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


async def test_a_drain_evicts_every_pod_sees_each_replaced_and_uncordons(runner: Runner, place: Place) -> None:
    runner.write("node_drain", "{node: n1}", "{pods_in_total: 3}")
    code, said = await runner.call("run", "e.yaml", "--no-report")

    assert code == 0, said
    assert clean(place)
    assert {one["spec"]["nodeName"] for one in place.memory.all("pods").values()} == {"n2"}
    paths = [change.rpartition("/")[2] for change in place.changes()]
    assert paths == ["n1", "eviction", "eviction", "eviction", "n1"]


async def test_a_killed_runner_s_node_takes_pods_again_and_the_pods_are_left_to_their_owner(
    runner: Runner, place: Place
) -> None:
    runner.write("node_drain", "{node: n1}", "{pods_in_total: 3}", hold="60s")
    with runner.start("run", "e.yaml", "--no-report") as process:
        try:
            await until(lambda: len(place.changes()) == 4, 60)
            os.kill(process.pid, signal.SIGKILL)
            await until(lambda: not cordoned(place), 15)  # what is left is a fence, for a minute
        finally:
            process.kill()
            said, _ = process.communicate()
            dismiss(said)


async def test_a_server_that_is_gone_in_the_middle_and_back_is_undone(runner: Runner, place: Place) -> None:
    runner.write("node_cordon", "{node: n1}")
    with runner.start("run", "e.yaml", "--no-report") as process:
        try:
            await until(lambda: cordoned(place), 60)
            await anyio.sleep(2)
            place.door.close()
            await anyio.sleep(14)
            assert cordoned(place)
            place.door.open()
            said, _ = await anyio.to_thread.run_sync(lambda: process.communicate(timeout=90))
        finally:
            process.kill()
    assert clean(place)
    assert "NOT_REVERTED" not in said
    assert process.returncode in {0, 3}, said


async def test_a_server_that_stays_away_is_told_with_what_is_left_and_the_command(runner: Runner, place: Place) -> None:
    runner.write("node_cordon", "{node: n1}")
    with runner.start("run", "e.yaml", "--no-report") as process:
        try:
            await until(lambda: cordoned(place), 60)
            place.door.close()
            said, _ = await anyio.to_thread.run_sync(lambda: process.communicate(timeout=150))
        finally:
            process.kill()
    assert process.returncode == 5, said
    assert "node/n1" in said
    assert "chaos-runner recover" in said
    place.door.open()
    try:
        await until(lambda: not cordoned(place), 60)  # its guardian goes on trying
    finally:
        dismiss(said)
