"""How long a container that ignores SIGTERM stays: as long as the grace says, whoever set it."""

from __future__ import annotations

import itertools
import time
from typing import Any

import anyio
import pytest

from chaos_runner.clients.kubernetes import connection, writes
from chaos_runner.clients.kubernetes.objects import Pod
from tests.kube import raw
from tests.kube.containers import census
from tests.kube.contract.conftest import chosen
from tests.kube.real_nodes import RealNodes

pytestmark = [pytest.mark.anyio, pytest.mark.real]
PODS = "/api/v1/namespaces/lab/pods"
GRACE_S = 8
STUBBORN = "trap '' TERM; while true; do sleep 1; done"
LATE_S = 60  # a kubelet on a busy machine
_numbers = itertools.count(1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def stubborn(containers: RealNodes) -> dict[str, Any]:
    """A running pod that ignores SIGTERM."""
    account = "/api/v1/namespaces/lab/serviceaccounts/default"
    raw.wait_until(lambda: raw.ask(containers, "GET", account).status == 200)
    name = f"stubborn-{next(_numbers)}"
    image = {"image": "localhost/busybox:1", "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", STUBBORN]}
    spec = {"containers": [{"name": "c", **image}], "terminationGracePeriodSeconds": GRACE_S}
    raw.done(containers, "POST", PODS, {"metadata": {"name": name}, "spec": spec})
    raw.wait_until(lambda: raw.done(containers, "GET", f"{PODS}/{name}")["status"]["phase"] == "Running", LATE_S)
    return dict(raw.done(containers, "GET", f"{PODS}/{name}")["metadata"])


async def deleted(ground: RealNodes, pod: dict[str, Any], grace_s: int | None) -> float:
    """Deletes it; when the API server has forgotten it, by how many seconds."""
    async with connection.connect(chosen(ground, "plain")) as cluster:
        began = time.monotonic()
        await writes.delete(cluster, Pod, "lab", pod["name"], uid=pod["uid"], grace_s=grace_s, limit_s=20)
    path = f"{PODS}/{pod['name']}"
    await anyio.to_thread.run_sync(raw.wait_until, lambda: raw.ask(ground, "GET", path).status == 404, LATE_S)
    return time.monotonic() - began


@pytest.mark.parametrize(("grace_s", "least_s"), [(None, GRACE_S), (2, 2)])
async def test_a_container_that_ignores_its_end_has_its_whole_grace_and_then_is_gone(
    containers: RealNodes, stubborn: dict[str, Any], grace_s: int | None, least_s: int
) -> None:
    assert census.of_pod(stubborn["uid"])
    took = await deleted(containers, stubborn, grace_s)
    assert took > least_s - 0.5
    raw.wait_until(lambda: not census.of_pod(stubborn["uid"]), LATE_S)


async def test_without_grace_the_pod_is_forgotten_at_once_and_its_container_ends_after_that(
    containers: RealNodes, stubborn: dict[str, Any]
) -> None:
    running = census.of_pod(stubborn["uid"])
    assert running
    assert await deleted(containers, stubborn, 0) < GRACE_S
    raw.wait_until(lambda: not census.of_pod(stubborn["uid"]), LATE_S)
