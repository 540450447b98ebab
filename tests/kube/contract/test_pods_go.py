"""Deleting and evicting: only this very pod, only as the budgets allow, and nothing on a dry run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from chaos_runner.clients.kubernetes import lists, refusals, writes
from chaos_runner.clients.kubernetes.connection import Cluster
from chaos_runner.clients.kubernetes.objects import Pod
from chaos_runner.clients.kubernetes.workloads import DisruptionBudget
from tests.kube.contract.conftest import Make

pytestmark = pytest.mark.anyio
OTHER = "00000000-0000-0000-0000-000000000000"
Budget = Callable[..., str]


def uid(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["uid"])


async def untouched(cluster: Cluster, space: str, name: str) -> bool:
    return not (await lists.get(cluster, Pod, space, name)).terminating


# --- delete ------------------------------------------------------------------------------------------------------


async def test_a_deleted_pod_is_terminating_for_its_grace(cluster: Cluster, space: str, pod: Make) -> None:
    made = pod("web")
    await writes.delete(cluster, Pod, space, "web", uid=uid(made), grace_s=30)
    seen = await lists.get(cluster, Pod, space, "web")
    assert seen.terminating
    assert not seen.ready
    await writes.delete(cluster, Pod, space, "web", uid=uid(made), grace_s=30)  # again is fine


async def test_without_grace_a_pod_is_gone_at_once(cluster: Cluster, space: str, pod: Make) -> None:
    made = pod("web")
    await writes.delete(cluster, Pod, space, "web", uid=uid(made), grace_s=0)
    with pytest.raises(refusals.NotFound):
        await lists.get(cluster, Pod, space, "web")
    with pytest.raises(refusals.NotFound, match='pods "web" not found'):
        await writes.delete(cluster, Pod, space, "web", uid=uid(made))


async def test_a_pod_of_the_same_name_is_not_the_same_pod(cluster: Cluster, space: str, pod: Make) -> None:
    first = pod("web")
    await writes.delete(cluster, Pod, space, "web", uid=uid(first), grace_s=0)
    pod("web")
    with pytest.raises(refusals.Conflict, match="the UID in the precondition"):
        await writes.delete(cluster, Pod, space, "web", uid=uid(first))
    with pytest.raises(refusals.Conflict, match="the UID in the precondition"):
        await writes.evict(cluster, space, "web", uid=uid(first))
    assert await untouched(cluster, space, "web")


async def test_a_pod_that_changed_since_it_was_read_is_left_alone(cluster: Cluster, space: str, pod: Make) -> None:
    made = pod("web")
    with pytest.raises(refusals.Conflict, match=r"the ResourceVersion in the precondition"):
        await writes.delete(cluster, Pod, space, "web", uid=uid(made), resource_version="1")
    with pytest.raises(refusals.Conflict):
        await writes.evict(cluster, space, "web", uid=uid(made), resource_version="1")
    assert await untouched(cluster, space, "web")


async def test_a_dry_run_deletes_nothing(cluster: Cluster, space: str, pod: Make) -> None:
    made = pod("web")
    await writes.delete(cluster, Pod, space, "web", uid=uid(made), dry_run=True)
    await writes.delete(cluster, Pod, space, "web", uid=uid(made), grace_s=0, dry_run=True)
    with pytest.raises(refusals.Conflict):
        await writes.delete(cluster, Pod, space, "web", uid=OTHER, dry_run=True)
    assert await untouched(cluster, space, "web")


# --- evict -------------------------------------------------------------------------------------------------------


async def test_an_evicted_pod_goes(cluster: Cluster, space: str, pod: Make) -> None:
    made = pod("web")
    await writes.evict(cluster, space, "web", uid=uid(made))
    assert not await untouched(cluster, space, "web")


async def test_a_dry_eviction_touches_neither_pod_nor_budget(
    cluster: Cluster, space: str, pod: Make, budget: Budget
) -> None:
    made = [pod(f"web-{n}", app="web") for n in range(2)]
    budget("web", "web", expected=2, minAvailable=1)
    await writes.evict(cluster, space, "web-0", uid=uid(made[0]), dry_run=True)
    assert await untouched(cluster, space, "web-0")
    assert (await lists.get(cluster, DisruptionBudget, space, "web")).status.disruptions_allowed == 1


async def test_a_pod_that_is_not_there_cannot_be_evicted(cluster: Cluster, space: str) -> None:
    with pytest.raises(refusals.NotFound):
        await writes.evict(cluster, space, "none", uid=OTHER)


async def test_a_budget_that_is_used_up_refuses_and_says_why(
    cluster: Cluster, space: str, pod: Make, budget: Budget
) -> None:
    made = [pod(f"web-{n}", app="web") for n in range(3)]
    budget("web", "web", expected=3, minAvailable=3)
    for dry in (False, True):
        with pytest.raises(refusals.Budget, match="needs 3 healthy pods and has 3 currently") as caught:
            await writes.evict(cluster, space, "web-0", uid=uid(made[0]), dry_run=dry)
        assert caught.value.retry_after_s == 0
    with pytest.raises(refusals.Budget):  # asked before the uid is looked at
        await writes.evict(cluster, space, "web-0", uid=OTHER)
    assert await untouched(cluster, space, "web-0")


async def test_a_stale_uid_burns_a_budget_that_had_room(
    cluster: Cluster, space: str, pod: Make, budget: Budget
) -> None:
    """Why `pod_evict` reads the pod right before it evicts."""
    for n in range(2):
        pod(f"web-{n}", app="web")
    budget("web", "web", expected=2, minAvailable=1)
    with pytest.raises(refusals.Conflict):
        await writes.evict(cluster, space, "web-0", uid=OTHER)
    burnt = (await lists.get(cluster, DisruptionBudget, space, "web")).status
    assert burnt.disruptions_allowed == 0
    assert list(burnt.disrupted_pods or ()) == ["web-0"]
    assert await untouched(cluster, space, "web-0")


async def test_of_three_at_once_a_budget_for_one_lets_one_go(
    cluster: Cluster, space: str, pod: Make, budget: Budget
) -> None:
    made = [pod(f"web-{n}", app="web") for n in range(3)]
    budget("web", "web", expected=3, minAvailable=2)
    said: list[str] = []

    async def evict(n: int) -> None:
        try:
            await writes.evict(cluster, space, f"web-{n}", uid=uid(made[n]))
            said.append("gone")
        except refusals.Budget:
            said.append("budget")

    async with anyio.create_task_group() as group:
        for n in range(3):
            group.start_soon(evict, n)
    assert sorted(said) == ["budget", "budget", "gone"]


async def test_two_budgets_over_one_pod_are_a_refusal_of_their_own(
    cluster: Cluster, space: str, pod: Make, budget: Budget
) -> None:
    made = pod("web", app="web")
    budget("one", "web", expected=1, minAvailable=0)
    budget("two", "web", expected=1, minAvailable=0)
    with pytest.raises(refusals.TwoBudgets, match="more than one PodDisruptionBudget"):
        await writes.evict(cluster, space, "web", uid=uid(made))
    assert await untouched(cluster, space, "web")


async def test_a_share_of_bare_pods_cannot_be_counted_and_refuses_for_ever(
    cluster: Cluster, space: str, pod: Make, budget: Budget
) -> None:
    made = pod("web", app="web")
    budget("web", "web", expected=0, maxUnavailable=1)
    with pytest.raises(refusals.Budget):
        await writes.evict(cluster, space, "web", uid=uid(made))


async def test_a_pending_pod_is_in_nobody_s_budget(cluster: Cluster, space: str, pod: Make, budget: Budget) -> None:
    pod("web-0", app="web")
    made = pod("web-1", pending=True, app="web")
    budget("web", "web", expected=1, minAvailable=1)
    await writes.evict(cluster, space, "web-1", uid=uid(made))
