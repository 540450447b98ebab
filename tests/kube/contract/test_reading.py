"""Reading: pages, selectors, names that do not exist, and what a user may not read."""

from __future__ import annotations

from typing import ClassVar

import pytest

from chaos_runner.api import Doubt, Refused
from chaos_runner.clients.kubernetes import access, connection, environments, lists, refusals
from chaos_runner.clients.kubernetes.connection import Cluster
from chaos_runner.clients.kubernetes.notes import Event
from chaos_runner.clients.kubernetes.objects import Meta, Node, Place, Pod, Value
from chaos_runner.clients.kubernetes.workloads import Deployment
from tests.kube import raw
from tests.kube.contract.conftest import Make, chosen
from tests.kube.ground import Ground

pytestmark = pytest.mark.anyio


def names(found: lists.Found[Pod]) -> list[str]:
    return [item.metadata.name for item in found.items]


async def test_a_list_in_pages_is_the_list(cluster: Cluster, space: str, pod: Make) -> None:
    for name in "cadeb":
        pod(f"p-{name}", pending=True)
    found = await lists.every(cluster, Pod, space, page=2)
    assert names(found) == ["p-a", "p-b", "p-c", "p-d", "p-e"]
    assert (found.pages, found.seen) == (3, 5)
    assert int(found.resource_version) > 0


async def test_a_pod_comes_with_what_we_use_of_it(cluster: Cluster, ground: Ground, space: str, pod: Make) -> None:
    made = pod("web", app="web")
    seen = await lists.get(cluster, Pod, space, "web")
    assert seen.metadata.uid == made["metadata"]["uid"]
    assert seen.metadata.labels == {"app": "web"}
    assert (seen.spec.node_name, seen.ready, seen.terminating) == (ground.node(), True, False)
    assert seen.controller is None


SELECTORS = {
    "app=web": "ab",
    "app==web": "ab",
    "app!=web": "cd",  # also those without the label
    "app in (web,db)": "abc",
    "app notin (web)": "cd",
    "app": "abc",
    "!app": "d",
    "app=web,tier=front": "a",
}


@pytest.mark.parametrize(("selector", "expected"), SELECTORS.items())
async def test_labels_select(cluster: Cluster, space: str, pod: Make, selector: str, expected: str) -> None:
    pod("a", pending=True, app="web", tier="front")
    pod("b", pending=True, app="web")
    pod("c", pending=True, app="db")
    pod("d", pending=True)
    assert names(await lists.every(cluster, Pod, space, labels=selector)) == list(expected)


async def test_fields_select(cluster: Cluster, ground: Ground, space: str, pod: Make) -> None:
    pod("a")
    pod("b", pending=True)
    for fields, expected in {
        f"spec.nodeName={ground.node()}": ["a"],
        "status.phase=Running": ["a"],
        "metadata.name=b": ["b"],
        f"metadata.name!=b,metadata.namespace={space}": ["a"],
    }.items():
        assert names(await lists.every(cluster, Pod, space, fields=fields)) == expected, fields


@pytest.mark.parametrize(
    "bad", [{"labels": "a==b=c"}, {"labels": "==b"}, {"fields": "metadata.uid=1"}, {"fields": "foo"}]
)
async def test_a_selector_that_means_nothing_is_refused(cluster: Cluster, space: str, bad: dict[str, str]) -> None:
    with pytest.raises(refusals.Invalid):
        await lists.every(cluster, Pod, space, **bad)


async def test_a_namespace_that_does_not_exist_is_an_error(cluster: Cluster) -> None:
    with pytest.raises(refusals.NotFound, match="there is no namespace 'shpo'"):
        await lists.every(cluster, Pod, "shpo")


async def test_an_empty_namespace_is_an_empty_list(cluster: Cluster, space: str) -> None:
    assert (await lists.every(cluster, Pod, space)).items == ()


async def test_what_is_not_there_is_not_found(cluster: Cluster, space: str) -> None:
    with pytest.raises(refusals.NotFound, match='pods "none" not found'):
        await lists.get(cluster, Pod, space, "none")
    with pytest.raises(refusals.NotFound, match='nodes "none" not found'):
        await lists.get(cluster, Node, None, "none")
    with pytest.raises(refusals.NotFound, match=r'deployments.apps "none" not found'):
        await lists.get(cluster, Deployment, space, "none")


class Frob(Value, frozen=True, kw_only=True):
    at: ClassVar[Place] = Place("", "v1", "frobs")
    metadata: Meta


class Elsewhere(Frob, frozen=True, kw_only=True):
    at: ClassVar[Place] = Place("none.example", "v1", "frobs")


async def test_a_kind_that_is_not_served_is_not_the_same_as_an_object_that_is_gone(
    cluster: Cluster, space: str
) -> None:
    with pytest.raises(refusals.NoSuchKind):
        await lists.get(cluster, Frob, space, "a")
    with pytest.raises(Doubt, match="404 page not found"):
        await lists.get(cluster, Elsewhere, space, "a")


async def test_a_list_whose_moment_was_compacted_away_begins_anew(cluster: Cluster, ground: Ground, space: str) -> None:
    path = f"/api/v1/namespaces/{space}/events"

    def happen(name: str) -> None:
        about = {"kind": "Namespace", "name": space, "namespace": space, "apiVersion": "v1"}
        body = {"metadata": {"name": name}, "involvedObject": about, "reason": "Test", "message": "x"}
        raw.done(ground, "POST", path, body)

    for name in ("a", "b", "c"):
        happen(name)
    told: list[str] = []

    def compact_after_the_first(event: Event) -> bool:
        if not told:
            happen("d")
            ground.compact()
        told.append(event.metadata.name)
        return event.metadata.name in {"a", "b", "c", "d"}

    found = await lists.every(cluster, Event, space, keep=compact_after_the_first, page=1)
    assert [event.metadata.name for event in found.items] == ["a", "b", "c", "d"]
    assert told.count("a") == 2  # it did begin anew


# --- who may -----------------------------------------------------------------------------------------------------


async def test_a_user_reads_what_his_role_allows_and_nothing_else(ground: Ground, space: str, pod: Make) -> None:
    pod("web", pending=True)
    async with connection.connect(chosen(ground, "reader")) as reader:
        assert (await lists.every(reader, Pod, "lab")).items == ()
        with pytest.raises(
            refusals.Forbidden, match=f'User "reader" cannot list resource "pods".* namespace "{space}"'
        ):
            await lists.every(reader, Pod, space)
        with pytest.raises(refusals.Forbidden, match="at the cluster scope"):
            await lists.every(reader, Pod, None)
        with pytest.raises(refusals.Forbidden):  # comes before "not found"
            await lists.get(reader, Pod, space, "none")


async def test_an_unknown_token_is_unauthorized_and_none_is_forbidden(ground: Ground) -> None:
    async with connection.connect(chosen(ground, "plain", token="wrong")) as stranger:
        with pytest.raises(refusals.Unauthorized):
            await lists.get(stranger, Node, None, "none")
    async with connection.connect(chosen(ground, "plain", token="")) as nobody:
        with pytest.raises(refusals.Forbidden, match="system:anonymous"):
            await lists.get(nobody, Node, None, "none")


ASKED = {
    ("plain", "delete", "pods", "", "lab"): True,
    ("plain", "create", "pods", "eviction", "lab"): True,
    ("reader", "list", "pods", "", "lab"): True,
    ("reader", "delete", "pods", "", "lab"): False,
    ("reader", "create", "pods", "eviction", "lab"): False,
    ("reader", "list", "pods", "", "default"): False,
    ("reader", "list", "pods", "", None): False,
    ("nobody", "list", "pods", "", "lab"): False,
    ("admin", "delete", "nodes", "", None): True,
}


@pytest.mark.parametrize(("asked", "allowed"), ASKED.items(), ids=str)
async def test_rights_can_be_asked_for(
    ground: Ground, asked: tuple[str, str, str, str, str | None], allowed: bool
) -> None:
    user, verb, plural, subresource, namespace = asked
    async with connection.connect(chosen(ground, user)) as cluster:
        said = await access.may(cluster, verb, Place("", "v1", plural), namespace=namespace, subresource=subresource)
    assert said.allowed is allowed
    if said.allowed and user != "admin":
        assert said.why.startswith("RBAC: allowed by ")


async def test_only_the_cluster_with_the_right_uid_is_taken(ground: Ground) -> None:
    async with connection.connect(chosen(ground, "nobody")) as cluster:
        await environments.check(cluster, "stg", ground.uid)
        with pytest.raises(refusals.WrongCluster, match=f"its uid is {ground.uid}, not another"):
            await environments.check(cluster, "stg", "another")
        with pytest.raises(Refused):
            await environments.check(cluster, "stg", "")
