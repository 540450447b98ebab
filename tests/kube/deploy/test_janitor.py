"""The janitor's account is enough to undo what a run has left in the cluster, and uses all that it is allowed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos_runner.api import Env
from chaos_runner.faults._nodes import NodeSelector
from chaos_runner.faults.node_cordon import NodeCordon
from chaos_runner.faults.scale import Scale, WorkloadSelector
from tests.kube import raw
from tests.kube.deploy import site as sites
from tests.kube.deploy.conftest import Open, kubeconfig
from tests.kube.deploy.site import SPACE, Site

pytestmark = pytest.mark.anyio
CONFIG = """\
kind: config/v1
environments:
  here: {{cluster: {{kubeconfig: "file:{path}", uid: {uid}}}}}
"""
LEFT = (
    (NodeCordon(), lambda site: NodeSelector(node=site.nodes[1])),
    (Scale(to=1), lambda site: WorkloadSelector(deployment=f"{SPACE}/payments")),
    (Scale(to=2), lambda site: WorkloadSelector(statefulset=f"{SPACE}/db")),
)


async def left_behind(site: Site, env: Env, expiry: int) -> None:
    """Three faults of a run whose pod is gone, with its ledger."""
    for n, (fault, selector) in enumerate(LEFT):
        target, *_ = await fault.targets(env, selector(site))
        await fault.inject(env, await fault.prepare(env, target, f"cx.gone-1.{n}.{expiry}"))


def paths(site: Site) -> list[str]:
    apps = f"/apis/apps/v1/namespaces/{SPACE}"
    return [f"/api/v1/nodes/{site.nodes[1]}", f"{apps}/deployments/payments", f"{apps}/statefulsets/db"]


def standing(site: Site) -> list[Any]:
    found = [raw.done(site, "GET", path)["spec"] for path in paths(site)]
    return [found[0].get("unschedulable"), found[1]["replicas"], found[2]["replicas"]]


@pytest.fixture
def tidy(site: Site) -> Iterator[None]:
    """A fence stays for a minute, and the next test does not wait for it."""
    site.settled()
    yield
    for path in paths(site):
        notes = raw.done(site, "GET", path)["metadata"].get("annotations", {})
        ours: dict[str, None] = dict.fromkeys(note for note in notes if note.startswith("chaos-runner/"))
        raw.merge(site, path, {"metadata": {"annotations": ours}})
    site.settled()


def janitor(site: Site, folder: Path) -> subprocess.CompletedProcess[str]:
    path = kubeconfig(site, "janitor", folder)
    (folder / "chaos-runner.yaml").write_text(CONFIG.format(path=path, uid=site.ground.uid))
    argv = [sys.executable, "-m", "chaos_runner", "janitor", "--config", str(folder / "chaos-runner.yaml")]
    argv += ["--state", str(folder / "state")]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)


async def test_a_janitor_with_its_own_ledger_undoes_what_a_dead_pod_has_left(
    site: Site, opened: Open, tidy: None, tmp_path: Path
) -> None:
    manifests = ("node-cordon.yaml", "scale.yaml", "janitor-roles.yaml", "node-policy.yaml")
    with site.applied(*manifests[: 3 if site.ground.kind == "pocket" else 4]):
        await left_behind(site, opened(), int(time.time()) - 3600)
        assert standing(site) == [True, 1, 2]
        done = janitor(site, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert standing(site) in ([None, 2, 3], [False, 2, 3])
    asked = site.asked("janitor")
    assert [one for one in asked if one[1] in {401, 403}] == []
    every = sites.documents("janitor-roles.yaml")
    allowed = {right for one in every for right in sites.rights(one, every)}
    assert allowed - {right for right, _ in asked} == set()


async def test_a_janitor_leaves_what_may_still_be_somebody_s_and_says_so(
    site: Site, opened: Open, tidy: None, tmp_path: Path
) -> None:
    with site.applied("node-cordon.yaml", "janitor-roles.yaml"):
        env, fault = opened(), NodeCordon()
        (target,) = await fault.targets(env, NodeSelector(node=site.nodes[1]))
        undo = await fault.prepare(env, target, f"cx.gone-1.9.{int(time.time()) + 600}")
        await fault.inject(env, undo)
        try:
            done = janitor(site, tmp_path)
            assert done.returncode == 5, done.stdout + done.stderr
            assert "may be alive" in done.stdout
            assert standing(site)[0] is True
        finally:
            await fault.revert(env, undo)
