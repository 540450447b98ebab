"""Every fault of a cluster with its undo, the same in both: harm, proof, changes by others, replacement."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from chaos_runner.api import Absent, Drifted, Env, Present, Refused
from chaos_runner.environment import Cluster, Environment
from chaos_runner.faults._nodes import NodeSelector
from chaos_runner.faults._pods import PodSelector
from chaos_runner.faults.node_cordon import NodeCordon
from chaos_runner.faults.node_drain import NodeDrain
from chaos_runner.faults.pod_evict import PodEvict
from chaos_runner.faults.pod_kill import PodKill
from chaos_runner.faults.scale import Scale, WorkloadSelector
from chaos_runner.testing import check_fault
from tests.kube import raw
from tests.kube.contract.conftest import IMAGE
from tests.kube.ground import Ground

pytestmark = pytest.mark.anyio
MARK = "cx.run-1.1.4102444800"
WEB = {"app": "web"}


@pytest.fixture
async def env(ground: Ground, tmp_path: Path) -> AsyncIterator[Env]:
    """Connections as whoever is not exempt from anything."""
    import base64

    server: dict[str, str] = {"server": ground.url}
    if ground.ca:
        server["certificate-authority-data"] = base64.b64encode(ground.ca).decode()
    config = {
        "clusters": [{"name": "c", "cluster": server}],
        "users": [{"name": "u", "user": {"token": ground.tokens["plain"]}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    env = Env("lab", Environment(cluster=Cluster(kubeconfig=f"file:{path}", uid=ground.uid)))
    yield env
    await env.aclose()


def pods(ground: Ground, space: str) -> list[dict[str, Any]]:
    found = raw.done(ground, "GET", f"/api/v1/namespaces/{space}/pods")["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def all_ready(ground: Ground, space: str, count: int) -> None:
    """Waits for so many pods, and for each to be ready."""
    raw.wait_until(lambda: len(pods(ground, space)) == count)
    for pod in pods(ground, space):
        ground.ready(space, pod["metadata"]["name"])


@pytest.fixture
def web(ground: Ground, space: str) -> str:
    """A Deployment of two ready pods, in a namespace of its own."""
    made = {"containers": [{"name": "c", "image": IMAGE}], "nodeName": ground.node()}
    template = {"metadata": {"labels": WEB}, "spec": {**made, "terminationGracePeriodSeconds": 1}}
    spec = {"replicas": 2, "selector": {"matchLabels": WEB}, "template": template}
    raw.done(
        ground, "POST", f"/apis/apps/v1/namespaces/{space}/deployments", {"metadata": {"name": "web"}, "spec": spec}
    )
    all_ready(ground, space, 2)
    return space


class Seen:
    """One object, without what its controllers and its own versions do."""

    def __init__(self, ground: Ground, path: str) -> None:
        self.ground = ground
        self.path = path

    def one(self) -> dict[str, Any]:
        return dict(raw.done(self.ground, "GET", self.path))

    async def state(self) -> Any:
        one = self.one()
        notes = {
            k: v for k, v in one["metadata"].get("annotations", {}).items() if k.startswith(("chaos-runner", "th"))
        }
        return notes, {k: v for k, v in one["spec"].items() if k != "taints"}

    async def disturb(self) -> None:
        self.annotate(theirs="stays")

    def annotate(self, **notes: str | None) -> None:
        self.patch({"metadata": {"annotations": notes}})

    def patch(self, patch: dict[str, Any]) -> None:
        raw.done(self.ground, "PATCH", self.path, patch, kind="application/merge-patch+json")


@pytest.fixture
def node(ground: Ground) -> Seen:
    return Seen(ground, f"/api/v1/nodes/{ground.node()}")


def one_of(ground: Ground) -> NodeSelector:
    return NodeSelector(node=ground.node())


async def test_a_cordon_keeps_the_promises_of_a_fault(ground: Ground, env: Env, node: Seen) -> None:
    await check_fault(NodeCordon(), one_of(ground), env, node)
    node.annotate(theirs=None)


async def test_a_scale_keeps_the_promises_of_a_fault(ground: Ground, env: Env, web: str) -> None:
    deployment = Seen(ground, f"/apis/apps/v1/namespaces/{web}/deployments/web")
    undo = await check_fault(Scale(to=1), WorkloadSelector(deployment=f"{web}/web"), env, deployment)
    assert undo.before == {"was": 2, "now": 1}


async def test_a_scale_changes_how_many_pods_there_are_and_its_undo_brings_them_back(
    ground: Ground, env: Env, web: str
) -> None:
    fault = Scale(to=1)
    (target,) = await fault.targets(env, WorkloadSelector(deployment=f"{web}/web"))
    undo = await fault.prepare(env, target, MARK)
    await fault.inject(env, undo)
    with anyio.fail_after(20):
        while await fault.effect(env, undo, {}) is None:
            await anyio.sleep(0.1)
    assert len(pods(ground, web)) == 1
    await fault.revert(env, undo)
    all_ready(ground, web, 2)
    assert await fault.observe(env, undo) == Absent()


@pytest.mark.parametrize("fault", [PodKill(), PodEvict()], ids=lambda one: one.kind)
async def test_a_pod_goes_and_what_took_its_place_is_found(ground: Ground, env: Env, web: str, fault: Any) -> None:
    first, second = await fault.targets(env, PodSelector(pods=web, selector="app=web"))
    assert (await fault.rights(env, first)).allowed
    undo = await fault.prepare(env, first, MARK)
    await fault.inject(env, undo)

    assert isinstance(await fault.observe(env, undo), Present)
    assert await fault.effect(env, undo, {}) is not None
    with pytest.raises(Refused):
        await fault.prepare(env, first, MARK)
    all_ready(ground, web, 2)
    with anyio.fail_after(20):
        while not (told := await fault.replaced(env, undo)):
            await anyio.sleep(0.1)
    assert told not in {first.key, second.key}
    events = raw.done(ground, "GET", f"/api/v1/namespaces/{web}/events")["items"]
    assert [MARK in event["message"] for event in events if event["reason"].startswith("ChaosPod")] == [True]


async def test_what_must_stay_and_what_a_budget_allows_are_read_from_the_cluster(
    ground: Ground, env: Env, web: str, budget: Callable[..., str]
) -> None:
    budget("web", "web", expected=2, minAvailable=2)
    selector, keep = PodSelector(pods=web, selector="app=web"), {f"deployment/{web}/web": 2}

    bounds = await PodEvict().bounded(env, selector, keep)
    assert [limit.most for limit in bounds.limits] == [0, 0]
    assert "at most 0 at once" in await PodKill().no_room(env, bounds.targets[0], keep)
    assert await PodKill().no_room(env, bounds.targets[0], {f"deployment/{web}/web": 1}) == ""
    with pytest.raises(Refused, match="disruption budget web"):
        await PodEvict().prepare(env, bounds.targets[0], MARK)
    assert len(pods(ground, web)) == 2


async def test_a_drain_knows_the_pods_of_the_node(ground: Ground, env: Env, web: str) -> None:
    try:
        bounds = await NodeDrain(pods_in_total=200, bare_pods="leave").bounded(env, one_of(ground), {})
    except Refused as why:  # what other tests left on a node without a kubelet never becomes ready
        assert "is not Running and Ready" in str(why)
        assert f"pod/{web}/" not in str(why)
        return
    keys = {part.target.key for part in bounds.parts[f"node/{ground.node()}"]}
    assert {f"pod/{web}/{pod['metadata']['name']}" for pod in pods(ground, web)} <= keys


async def test_a_cordon_that_a_person_keeps_stays_and_one_that_another_took_back_is_left(
    ground: Ground, env: Env, node: Seen
) -> None:
    fault = NodeCordon()
    (target,) = await fault.targets(env, one_of(ground))
    for change, cordoned in (
        ({"metadata": {"annotations": {"chaos-runner/unschedulable": None}}}, True),
        ({"spec": {"unschedulable": None}}, False),
    ):
        undo = await fault.prepare(env, target, MARK)
        await fault.inject(env, undo)
        assert await fault.observe(env, undo) == Present()
        node.patch(change)
        await fault.revert(env, undo)
        assert isinstance(await fault.observe(env, undo), Absent)
        assert bool(node.one()["spec"].get("unschedulable")) == cordoned
        assert "chaos-runner/unschedulable" not in node.one()["metadata"].get("annotations", {})
        node.patch({"spec": {"unschedulable": None}})


async def test_a_number_that_another_manager_wrote_again_is_theirs(ground: Ground, env: Env, web: str) -> None:
    if ground.kind == "pocket":
        pytest.skip("the pocket cluster keeps no managedFields")
    fault, path = Scale(to=1), f"/apis/apps/v1/namespaces/{web}/deployments/web"
    (target,) = await fault.targets(env, WorkloadSelector(deployment=f"{web}/web"))
    undo = await fault.prepare(env, target, MARK)
    await fault.inject(env, undo)
    assert await fault.observe(env, undo) == Present()
    for replicas in (2, 1):
        raw.merge(ground, path, {"spec": {"replicas": replicas}})

    assert isinstance(await fault.observe(env, undo), Drifted)
    await fault.revert(env, undo)
    assert raw.done(ground, "GET", path)["spec"]["replicas"] == 1
    assert isinstance(await fault.observe(env, undo), Absent)
