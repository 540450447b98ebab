"""Changing: only what was read and only if nobody else was faster; events and leases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from chaos_runner.clients.kubernetes import connection, lists, notices, refusals, writes
from chaos_runner.clients.kubernetes.connection import Cluster
from chaos_runner.clients.kubernetes.notes import Event, LeaseSpec
from chaos_runner.clients.kubernetes.objects import Node, Reference
from chaos_runner.clients.kubernetes.workloads import Deployment
from tests.kube import raw
from tests.kube.contract.conftest import IMAGE, chosen
from tests.kube.ground import Ground

pytestmark = pytest.mark.anyio
OTHER = "00000000-0000-0000-0000-000000000000"
MARK = "chaos-runner/run"


@pytest.fixture
def node(ground: Ground) -> Iterator[str]:
    name = ground.node()
    path = f"/api/v1/nodes/{name}"
    yield name
    raw.merge(ground, path, {"metadata": {"annotations": {MARK: None}}, "spec": {"unschedulable": None}})
    raw.wait_until(lambda: not raw.done(ground, "GET", path)["spec"].get("taints"))
    raw.settled(ground, path)


@pytest.fixture
def deployment(ground: Ground, space: str) -> str:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": IMAGE}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    path = f"/apis/apps/v1/namespaces/{space}/deployments"
    raw.done(ground, "POST", path, {"metadata": {"name": "web"}, "spec": spec})

    def settled() -> bool:
        seen = raw.done(ground, "GET", f"{path}/web")
        return seen.get("status", {}).get("observedGeneration") == 1 and seen["status"].get("replicas") == 2

    raw.wait_until(settled)
    raw.settled(ground, f"{path}/web")
    return "web"


def bound(item: Any) -> dict[str, str]:
    return {"uid": item.metadata.uid, "resource_version": item.metadata.resource_version}


# --- merge patches -----------------------------------------------------------------------------------------------


async def test_a_node_is_cordoned_marked_and_put_back(cluster: Cluster, node: str) -> None:
    before = await lists.get(cluster, Node, None, node)
    patch = {"metadata": {"annotations": {MARK: "r-1"}}, "spec": {"unschedulable": True}}
    await writes.merge(cluster, Node, None, node, patch, **bound(before))
    cordoned = await lists.get(cluster, Node, None, node)
    assert cordoned.spec.unschedulable
    assert (cordoned.metadata.annotations or {})[MARK] == "r-1"

    for _ in range(3):  # the cluster itself adds a taint, which may come in between
        try:
            now = await lists.get(cluster, Node, None, node)
            back = {"metadata": {"annotations": {MARK: None}}, "spec": {"unschedulable": None}}
            after = await writes.merge(cluster, Node, None, node, back, **bound(now))
            break
        except refusals.Conflict:
            continue
    assert not after.spec.unschedulable
    assert MARK not in (after.metadata.annotations or {})


async def test_a_node_that_somebody_changed_meanwhile_is_left_alone(
    cluster: Cluster, ground: Ground, node: str
) -> None:
    read = await lists.get(cluster, Node, None, node)
    raw.merge(ground, f"/api/v1/nodes/{node}", {"metadata": {"annotations": {MARK: "theirs"}}})
    with pytest.raises(refusals.Conflict, match="the object has been modified"):
        await writes.merge(cluster, Node, None, node, {"spec": {"unschedulable": True}}, **bound(read))
    assert not (await lists.get(cluster, Node, None, node)).spec.unschedulable


async def test_another_node_of_that_name_is_left_alone(cluster: Cluster, node: str) -> None:
    read = await lists.get(cluster, Node, None, node)
    with pytest.raises(refusals.Conflict):
        version = read.metadata.resource_version
        await writes.merge(
            cluster, Node, None, node, {"spec": {"unschedulable": True}}, uid=OTHER, resource_version=version
        )
    assert not (await lists.get(cluster, Node, None, node)).spec.unschedulable


async def test_a_deployment_of_another_uid_or_version_is_left_alone(
    cluster: Cluster, space: str, deployment: str
) -> None:
    read = await lists.get(cluster, Deployment, space, deployment)
    patch = {"spec": {"paused": True}}
    for named in (bound(read) | {"uid": OTHER}, bound(read) | {"resource_version": "1"}):
        with pytest.raises(refusals.Conflict):
            await writes.merge(cluster, Deployment, space, deployment, patch, **named)
    assert not (await lists.get(cluster, Deployment, space, deployment)).spec.paused


# --- JSON patches ------------------------------------------------------------------------------------------------


async def test_a_json_patch_applies_whole_or_not_at_all(cluster: Cluster, node: str) -> None:
    read = await lists.get(cluster, Node, None, node)
    at = "/metadata/annotations/chaos-runner~1run"
    raw_version = {"op": "test", "path": "/metadata/resourceVersion", "value": "1"}
    for operations in (
        [{"op": "add", "path": at, "value": "x"}, raw_version],
        [{"op": "add", "path": at, "value": "x"}, {"op": "remove", "path": "/spec/none"}],
    ):
        with pytest.raises(refusals.Unmatched):
            await writes.edit(cluster, Node, None, node, operations, uid=read.metadata.uid)
    with pytest.raises(refusals.Unmatched):
        await writes.edit(cluster, Node, None, node, [{"op": "add", "path": at, "value": "x"}], uid=OTHER)
    assert MARK not in ((await lists.get(cluster, Node, None, node)).metadata.annotations or {})


async def test_a_json_patch_sets_and_removes(cluster: Cluster, ground: Ground, node: str) -> None:
    raw.merge(ground, f"/api/v1/nodes/{node}", {"metadata": {"annotations": {MARK: "r-1"}}})
    read = await lists.get(cluster, Node, None, node)
    at = "/metadata/annotations/chaos-runner~1run"
    operations = [{"op": "test", "path": at, "value": "r-1"}, {"op": "remove", "path": at}]
    after = await writes.edit(cluster, Node, None, node, operations, uid=read.metadata.uid)
    assert MARK not in (after.metadata.annotations or {})


# --- scale -------------------------------------------------------------------------------------------------------


async def test_a_scale_is_read_and_set(cluster: Cluster, space: str, deployment: str) -> None:
    seen = await writes.scale_of(cluster, Deployment, space, deployment)
    assert (seen.spec.replicas, seen.status.selector) == (2, "app=web")
    whole = await lists.get(cluster, Deployment, space, deployment)
    assert seen.metadata.uid == whole.metadata.uid
    after = await writes.scale(cluster, Deployment, space, deployment, 0, **bound(seen))
    assert after.spec.replicas == 0
    with pytest.raises(refusals.Conflict):
        await writes.scale(cluster, Deployment, space, deployment, 5, **bound(seen))
    with pytest.raises(refusals.Conflict):
        await writes.scale(cluster, Deployment, space, deployment, 5, **bound(after) | {"uid": OTHER})
    assert (await writes.scale_of(cluster, Deployment, space, deployment)).spec.replicas == 0


async def test_what_is_not_there_has_no_scale(cluster: Cluster, space: str) -> None:
    with pytest.raises(refusals.NotFound, match=r'deployments\.apps "none" not found'):
        await writes.scale_of(cluster, Deployment, space, "none")


# --- events and leases -------------------------------------------------------------------------------------------


async def test_an_event_about_a_node_is_found_in_default(cluster: Cluster, node: str) -> None:
    read = await lists.get(cluster, Node, None, node)
    about = Reference(kind="Node", name=node, uid=read.metadata.uid, api_version="v1")
    told = await notices.tell(cluster, about, "ChaosTest", "nothing happened", labels={"chaos": "test"})
    found = await lists.every(cluster, Event, "default", labels="chaos=test")
    mine = [event for event in found.items if event.metadata.uid == told.metadata.uid]
    assert [(event.reason, event.involved_object.name) for event in mine] == [("ChaosTest", node)]


async def test_a_lease_is_taken_once_and_renewed_by_whoever_read_it_last(cluster: Cluster, space: str) -> None:
    now = notices.micro(datetime.now(UTC).replace(microsecond=0))
    spec = LeaseSpec(holder_identity="r-1", lease_duration_seconds=5, acquire_time=now, renew_time=now)
    first = await notices.take(cluster, space, "chaos", spec)
    with pytest.raises(refusals.AlreadyExists):
        await notices.take(cluster, space, "chaos", spec)
    second = await notices.renew(cluster, first, LeaseSpec(holder_identity="r-1", renew_time=now))
    assert second.spec.holder_identity == "r-1"
    with pytest.raises(refusals.Conflict, match="the object has been modified"):
        await notices.renew(cluster, first, LeaseSpec(holder_identity="r-2", renew_time=now))


async def test_a_namespace_that_does_not_exist_takes_nothing(cluster: Cluster) -> None:
    with pytest.raises(refusals.NotFound, match='namespaces "shpo" not found'):
        await notices.take(cluster, "shpo", "chaos", LeaseSpec(holder_identity="r-1"))


# --- overload ----------------------------------------------------------------------------------------------------


async def test_an_overloaded_server_is_given_up_within_the_limit_and_asked_again_once_it_is_free(
    ground: Ground, space: str
) -> None:
    with ground.overload() as crowd:
        async with connection.connect(chosen(ground, "plain", url=crowd.url)) as cluster:
            with pytest.raises(refusals.Overload):
                await notices.take(cluster, space, "a", LeaseSpec(holder_identity="r"), limit_s=1.5)
            async with anyio.create_task_group() as group:
                group.start_soon(_later, crowd)
                await notices.take(cluster, space, "a", LeaseSpec(holder_identity="r"), limit_s=20)


async def _later(crowd: Any) -> None:
    await anyio.sleep(0.5)
    crowd.end()
