"""Watching: what changed in which order, what is too old, and a copy that follows."""

from __future__ import annotations

import anyio
import pytest

from chaos_runner.clients.kubernetes import lists, mirror, notices, refusals, watch, writes
from chaos_runner.clients.kubernetes.connection import Cluster
from chaos_runner.clients.kubernetes.notes import Event
from chaos_runner.clients.kubernetes.objects import Pod, Reference
from tests.kube import raw
from tests.kube.contract.conftest import Make
from tests.kube.ground import Ground

pytestmark = pytest.mark.anyio


async def changes(line: watch.Watch[Pod], count: int) -> list[tuple[str, str]]:
    """So many changes that are no bookmarks."""
    found: list[tuple[str, str]] = []
    with anyio.fail_after(30):
        while len(found) < count:
            change = await line.next()
            assert change is not None
            if change.item is not None:
                found.append((change.kind, change.item.metadata.name))
    return found


async def test_a_watch_tells_everything_after_the_list(cluster: Cluster, ground: Ground, space: str, pod: Make) -> None:
    pod("before", pending=True)
    found = await lists.every(cluster, Pod, space)
    async with watch.opened(cluster, Pod, space, found.resource_version) as line:
        made = pod("web", pending=True, app="web")
        raw.merge(ground, f"/api/v1/namespaces/{space}/pods/web", {"metadata": {"labels": {"x": "y"}}})
        await writes.delete(cluster, Pod, space, "web", uid=made["metadata"]["uid"], grace_s=0)
        told: list[tuple[str, str]] = []
        while not told or told[-1][0] != "DELETED":
            told += [one for one in await changes(line, 1) if one[1] == "web"]  # a scheduler tries the other one, too
        assert told[0][0] == "ADDED"
        assert {kind for kind, _ in told[1:-1]} <= {"MODIFIED"}


async def test_what_no_longer_matches_is_told_as_deleted(
    cluster: Cluster, ground: Ground, space: str, pod: Make
) -> None:
    pod("web", pending=True, app="web")
    found = await lists.every(cluster, Pod, space, labels="app=web")
    async with watch.opened(cluster, Pod, space, found.resource_version, labels="app=web") as line:
        raw.merge(ground, f"/api/v1/namespaces/{space}/pods/web", {"metadata": {"labels": {"app": "other"}}})
        told = await changes(line, 1)
        while told[-1][0] == "MODIFIED":  # a scheduler may have said something first
            told += await changes(line, 1)
        assert told[-1] == ("DELETED", "web")


async def test_a_watch_ends_by_itself_in_time(cluster: Cluster, space: str) -> None:
    found = await lists.every(cluster, Pod, space)
    with anyio.fail_after(15):
        async with watch.opened(cluster, Pod, space, found.resource_version, lasts_s=1) as line:
            while (change := await line.next()) is not None:
                assert change.kind == "BOOKMARK"


async def test_a_watch_from_before_what_is_remembered_is_expired(cluster: Cluster, ground: Ground, space: str) -> None:
    """Of events: of pods a real server remembers more than its store does."""
    await notices.tell(cluster, Reference(kind="Pod", name="web", namespace=space), "ChaosTest", "x")
    ground.compact()
    with pytest.raises(refusals.Expired), anyio.fail_after(30):
        async with watch.opened(cluster, Event, space, "1") as line:
            await line.next()


async def test_a_mirror_holds_what_is_there(cluster: Cluster, ground: Ground, space: str, pod: Make) -> None:
    pod("a", app="web")
    async with mirror.following(cluster, Pod, space, labels="app=web", lasts_s=2) as pods:
        assert {item.metadata.name for item in pods.items.values()} == {"a"}
        made = pod("b", app="web")
        assert await pods.until(lambda items: sum(item.ready for item in items.values()) == 2, within_s=30)
        await writes.delete(cluster, Pod, space, "b", uid=made["metadata"]["uid"], grace_s=0)
        assert await pods.until(lambda items: len(items) == 1, within_s=30)
        await anyio.sleep(3)  # beyond a watch's end
        pod("c", app="web")
        assert await pods.until(lambda items: len(items) == 2, within_s=30)
        assert (pods.lists, pods.trouble) == (1, "")
