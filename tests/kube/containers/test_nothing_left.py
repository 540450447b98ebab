"""A cluster of containers leaves the machine as it was: when it is stopped, and when who started it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kube import raw, real_nodes
from tests.kube.containers import census
from tests.kube.containers.conftest import Workload
from tests.kube.plane import build, node

ROOT = Path(__file__).parents[3]
UP_S = 300
pytestmark = [pytest.mark.real, pytest.mark.usefixtures("possible")]
STARTS = """\
import signal, sys
from pathlib import Path
from tests.kube import real_nodes
with real_nodes.started(Path(sys.argv[1]), 1) as ground:
    print(ground.nodes[0].link, flush=True)
    signal.pause()
"""


def test_a_cluster_that_ran_containers_leaves_nothing_when_it_is_stopped(tmp_path: Path) -> None:
    before = census.mounts()
    with real_nodes.started(tmp_path, 1) as ground:
        account = "/api/v1/namespaces/lab/serviceaccounts/default"
        raw.wait_until(lambda: raw.ask(ground, "GET", account).status == 200)
        workload = Workload(ground, "lab")
        workload.apply(2)
        own = census.members(tmp_path)
        inside = census.spaces_of(own)
        pods = frozenset().union(*map(census.of_pod, workload.ready()))
        assert len(pods) >= 4  # each has a sandbox, too
        assert pods <= own
        assert pods <= census.inhabitants(inside)
        names = census.names(tmp_path)
        assert len(census.traces(names)) > 1
        assert census.mounts() == before  # a node's mounts are its own

    assert census.mounts() == before
    assert census.traces(names) == []
    assert census.members(tmp_path) == frozenset()
    assert census.inhabitants(inside) == frozenset()


def test_nothing_outlives_a_starter_that_was_killed_but_empty_groups_which_the_next_one_removes(
    tmp_path: Path,
) -> None:
    before = census.mounts()
    command = [sys.executable, "-c", STARTS, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        try:
            assert starter.stdout is not None
            name = starter.stdout.readline().strip()
            assert len(census.members(tmp_path)) > 6
        finally:
            starter.kill()
    raw.wait_until(lambda: not census.members(tmp_path), 30)
    raw.wait_until(lambda: not Path("/sys/class/net", name).exists(), 30)
    node.cgroups.remove_left()
    assert census.traces([name]) == []
    assert census.mounts() == before


class Verbs:
    """`make kube-up` and `make kube-down`, with a cache of their own."""

    def __init__(self, cache: Path) -> None:
        self.running = cache / "chaos-runner/real/kube-running"
        self.running.parent.mkdir(parents=True)
        found = {"KUBE_PROGRAMS": str(build.built()), "KUBE_CONTAINERS": str(real_nodes.parts.unpacked())}
        self.environ = os.environ | found | {"XDG_CACHE_HOME": str(cache)}

    def start(self, verb: str) -> subprocess.Popen[str]:
        command = [sys.executable, "tools/kube/up.py", verb]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=ROOT, env=self.environ, stdout=pipe, stderr=subprocess.STDOUT, text=True)

    def call(self, verb: str) -> str:
        with self.start(verb) as process:
            said, _ = process.communicate(timeout=UP_S)
        assert process.returncode == 0, said
        return said


def test_up_brings_ready_nodes_that_outlive_it_and_down_leaves_nothing(tmp_path: Path) -> None:
    before, verbs = census.mounts(), Verbs(tmp_path)
    try:
        said = verbs.call("up")
        assert "node-2 at 198.19." in said
        assert len(census.members(verbs.running)) > 10
        names = census.names(verbs.running)
    finally:
        assert "stopped" in verbs.call("down")
    assert census.members(verbs.running) == frozenset()
    assert not verbs.running.exists()
    assert census.traces(names) == []
    assert census.mounts() == before


@pytest.mark.parametrize("reached", ["node-1/link", "kube-apiserver.log", "kubelet-1.log"])
def test_down_cleans_up_after_an_up_that_was_killed(tmp_path: Path, reached: str) -> None:
    before, verbs = census.mounts(), Verbs(tmp_path)
    with verbs.start("up") as starter:
        try:
            raw.wait_until(lambda: (verbs.running / reached).exists() or starter.poll() is not None, UP_S)
        finally:
            starter.kill()
            left, names = census.members(verbs.running), census.names(verbs.running)
            verbs.call("down")
    assert starter.returncode == -signal.SIGKILL
    assert left
    assert census.members(verbs.running) == frozenset()
    assert not verbs.running.exists()
    assert census.traces(names) == []
    assert census.mounts() == before
