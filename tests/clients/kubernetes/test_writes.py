"""Writes: one request each, bound to the very object that was read; what is only tried says so in the body."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chaos_runner.api import Refused
from chaos_runner.clients.kubernetes import access, notices, refusals, writes
from chaos_runner.clients.kubernetes.notes import Lease, LeaseSpec
from chaos_runner.clients.kubernetes.objects import Meta, Node, Pod, Reference
from chaos_runner.clients.kubernetes.workloads import Deployment
from tests.clients.kubernetes.server import Said, client, pod, serving, status

pytestmark = pytest.mark.anyio
OK = Said(200, pod("web"))


async def test_a_delete_carries_the_uid_and_a_dry_run_is_said_in_the_body() -> None:
    with serving(OK) as api:
        async with client(api.url) as cluster:
            await writes.delete(cluster, Pod, "shop", "web", uid="u1", resource_version="7", grace_s=0, dry_run=True)
    asked = api.asked[0]
    assert (asked.method, asked.path, asked.query) == ("DELETE", "/api/v1/namespaces/shop/pods/web", {})
    assert asked.json["preconditions"] == {"uid": "u1", "resourceVersion": "7"}
    assert (asked.json["gracePeriodSeconds"], asked.json["dryRun"]) == (0, ["All"])


async def test_a_delete_that_is_meant_has_no_dry_run_and_the_pod_s_own_grace() -> None:
    with serving(OK) as api:
        async with client(api.url) as cluster:
            await writes.delete(cluster, Pod, "shop", "web", uid="u1")
    assert set(api.asked[0].json) == {"apiVersion", "kind", "preconditions"}


async def test_an_eviction_carries_the_uid() -> None:
    with serving(Said(201, {"kind": "Status", "status": "Success", "code": 201})) as api:
        async with client(api.url) as cluster:
            await writes.evict(cluster, "shop", "web", uid="u1", dry_run=True)
    asked = api.asked[0]
    assert (asked.path, asked.query) == ("/api/v1/namespaces/shop/pods/web/eviction", {})
    assert asked.json["metadata"] == {"name": "web", "namespace": "shop"}
    assert asked.json["deleteOptions"] == {"preconditions": {"uid": "u1"}, "dryRun": ["All"]}


UNBOUND: dict[str, Any] = {
    "delete": lambda cluster: writes.delete(cluster, Pod, "shop", "web", uid=""),
    "evict": lambda cluster: writes.evict(cluster, "shop", "web", uid=""),
    "merge": lambda cluster: writes.merge(cluster, Node, None, "n1", {}, uid="", resource_version="7"),
    "merge, whatever it is now": lambda cluster: writes.merge(
        cluster, Node, None, "n1", {}, uid="u", resource_version=""
    ),
    "scale": lambda cluster: writes.scale(cluster, Deployment, "shop", "web", 1, uid="", resource_version="7"),
    "scale below zero": lambda cluster: writes.scale(cluster, Deployment, "a", "b", -1, uid="u", resource_version="7"),
    "edit": lambda cluster: writes.edit(cluster, Node, None, "n1", [], uid=""),
}


@pytest.mark.parametrize("write", UNBOUND.values(), ids=UNBOUND)
async def test_nothing_is_written_without_saying_to_which_object(write: Any) -> None:
    with serving(OK) as api:
        async with client(api.url) as cluster:
            with pytest.raises(Refused):
                await write(cluster)
    assert not api.asked


async def test_a_merge_patch_is_bound_to_what_was_read() -> None:
    with serving(
        Said(200, {"metadata": {"name": "n1", "annotations": {"a": "b"}}, "spec": {"unschedulable": True}})
    ) as api:
        async with client(api.url) as cluster:
            patch = {"metadata": {"annotations": {"a": "b"}}, "spec": {"unschedulable": True}}
            node = await writes.merge(cluster, Node, None, "n1", patch, uid="u1", resource_version="7")
    assert node.spec.unschedulable
    asked = api.asked[0]
    assert (asked.method, asked.path) == ("PATCH", "/api/v1/nodes/n1")
    assert asked.headers["Content-Type"] == "application/merge-patch+json"
    assert asked.json["metadata"] == {"annotations": {"a": "b"}, "uid": "u1", "resourceVersion": "7"}


async def test_a_json_patch_begins_with_a_test_of_the_uid() -> None:
    with serving(Said(200, {"metadata": {"name": "n1"}})) as api:
        async with client(api.url) as cluster:
            operation = {"op": "remove", "path": "/spec/unschedulable"}
            await writes.edit(cluster, Node, None, "n1", [operation], uid="u1")
    asked = api.asked[0]
    assert asked.headers["Content-Type"] == "application/json-patch+json"
    assert asked.json == [{"op": "test", "path": "/metadata/uid", "value": "u1"}, operation]


async def test_a_scale_is_bound_to_what_was_read() -> None:
    said = {
        "metadata": {"name": "web", "uid": "u1", "resourceVersion": "8"},
        "spec": {"replicas": 3},
        "status": {"replicas": 2},
    }
    with serving(Said(200, said)) as api:
        async with client(api.url) as cluster:
            seen = await writes.scale_of(cluster, Deployment, "shop", "web")
            await writes.scale(cluster, Deployment, "shop", "web", 0, uid="u1", resource_version="8")
    assert (seen.spec.replicas, seen.status.replicas, seen.metadata.uid) == (3, 2, "u1")
    assert api.asked[1].path == "/apis/apps/v1/namespaces/shop/deployments/web/scale"
    assert api.asked[1].json == {"spec": {"replicas": 0}, "metadata": {"uid": "u1", "resourceVersion": "8"}}


async def test_an_event_is_about_an_object_and_those_about_nodes_are_in_default() -> None:
    with serving(Said(201, {"metadata": {"name": "e"}})) as api:
        async with client(api.url) as cluster:
            node = Reference(kind="Node", name="n1", uid="u1", api_version="v1")
            await notices.tell(cluster, node, "ChaosCordoned", "for 30 s", warning=True, labels={"run": "r"})
    asked = api.asked[0]
    assert asked.path == "/api/v1/namespaces/default/events"
    assert asked.json["involvedObject"]["uid"] == "u1"
    assert (asked.json["type"], asked.json["reason"]) == ("Warning", "ChaosCordoned")
    assert asked.json["metadata"]["labels"] == {"run": "r"}


async def test_a_lease_s_times_have_microseconds_even_at_a_full_second() -> None:
    full = notices.micro(datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC))
    assert full == "2026-11-22T10:00:00.000000Z"
    lease = {
        "metadata": {"name": "l", "namespace": "shop", "uid": "u", "resourceVersion": "4"},
        "spec": {"renewTime": full},
    }
    with serving(Said(200, lease)) as api:
        async with client(api.url) as cluster:
            taken = await notices.take(cluster, "shop", "l", LeaseSpec(holder_identity="r", renew_time=full))
            await notices.renew(cluster, taken, LeaseSpec(holder_identity="r", renew_time=full))
    assert isinstance(taken, Lease)
    assert api.asked[0].json["spec"] == {"holderIdentity": "r", "renewTime": full}
    assert api.asked[1].method == "PUT"
    assert api.asked[1].json["metadata"]["resourceVersion"] == "4"


async def test_a_lease_that_somebody_else_renewed_is_a_conflict() -> None:
    lease = Lease(metadata=Meta(name="l", namespace="shop", uid="u", resource_version="4"))
    with serving(status(409, "Conflict")) as api:
        async with client(api.url) as cluster:
            with pytest.raises(refusals.Conflict):
                await notices.renew(cluster, lease, LeaseSpec(holder_identity="r"))
    assert len(api.asked) == 1


async def test_a_right_is_asked_for_with_what_it_is_about_and_nothing_else() -> None:
    with serving(Said(201, {"status": {"allowed": True, "reason": "RBAC: allowed by x"}})) as api:
        async with client(api.url) as cluster:
            said = await access.may(cluster, "create", Pod.at, namespace="shop", subresource="eviction")
    assert (said.allowed, said.why) == (True, "RBAC: allowed by x")
    attributes = api.asked[0].json["spec"]["resourceAttributes"]
    assert attributes == {
        "verb": "create",
        "version": "v1",
        "resource": "pods",
        "subresource": "eviction",
        "namespace": "shop",
    }


async def test_a_right_that_is_denied_comes_without_a_reason() -> None:
    with serving(Said(201, {"status": {"allowed": False}})) as api:
        async with client(api.url) as cluster:
            assert not (await access.may(cluster, "delete", Pod.at)).allowed
