"""A real API server that goes away and comes back, or stops and goes on: what the client says meanwhile, and after."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import anyio
import pytest

from chaos_runner.api import Doubt
from chaos_runner.clients.kubernetes import connection, lists, mirror, refusals, writes
from chaos_runner.clients.kubernetes.objects import Node, Pod
from tests.kube import plane, raw, real_ground
from tests.kube.contract.conftest import IMAGE, chosen

pytestmark = [pytest.mark.anyio, pytest.mark.real]
PODS = "/api/v1/namespaces/lab/pods"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real_ground.RealGround]:
    if plane.build.built() is None:
        reason = "the real control plane is not built: `make kube-build`"
        (pytest.fail if os.environ.get("REQUIRE_REAL") == "1" else pytest.skip)(reason)
    with real_ground.started(tmp_path_factory.mktemp("trouble")) as started:
        yield started


def pod(ground: real_ground.RealGround, name: str) -> None:
    body = {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": IMAGE}]}}
    raw.wait_until(lambda: raw.ask(ground, "POST", PODS, body).status == 201)


async def test_a_mirror_outlives_a_restart_of_the_api_server(ground: real_ground.RealGround) -> None:
    pod(ground, "before")
    async with (
        connection.connect(chosen(ground, "plain")) as cluster,
        mirror.following(cluster, Pod, "lab", lasts_s=2) as pods,
    ):
        ground.plane.end("kube-apiserver")
        with anyio.fail_after(20):
            while not pods.trouble:
                await anyio.sleep(0.05)
        assert len(pods.items) == 1  # what was last seen, and `trouble` says that it is old
        ground.plane.start_api()
        await anyio.to_thread.run_sync(pod, ground, "after")
        names = {"before", "after"}
        assert await pods.until(lambda items: {item.metadata.name for item in items.values()} == names, within_s=60)
        assert pods.trouble == ""


ZOMBIE = {"metadata": {"annotations": {"chaos-runner/run": "zombie"}}}
LATER = {"metadata": {"annotations": {"chaos-runner/run": "later"}}}


async def test_a_frozen_server_is_sent_nothing_and_nothing_lands_after_the_thaw(ground: real_ground.RealGround) -> None:
    """It cannot shake hands, and no request leaves before that."""
    name, process = ground.node(), ground.plane.processes["kube-apiserver"]
    async with connection.connect(chosen(ground, "plain")) as cluster:
        node = await lists.get(cluster, Node, None, name)
        named = {"uid": node.metadata.uid, "resource_version": node.metadata.resource_version}
        process.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(refusals.Unreachable, match="not sent"):
                await writes.merge(cluster, Node, None, name, ZOMBIE, limit_s=1.0, **named)
            assert time.monotonic() - began < 5
        finally:
            process.send_signal(signal.SIGCONT)
        await anyio.sleep(1)
        seen = await lists.get(cluster, Node, None, name, limit_s=20)
        assert "chaos-runner/run" not in (seen.metadata.annotations or {})


async def test_a_request_that_got_no_answer_is_doubt_and_what_came_of_it_can_be_read(
    ground: real_ground.RealGround,
) -> None:
    """With its store frozen the server takes the request. Whether it lands after the thaw is anybody's guess; that
    the version protects the object from one that lands still later is not.
    """
    name, process = ground.node(), ground.plane.processes["etcd"]
    async with connection.connect(chosen(ground, "plain")) as cluster:
        node = await lists.get(cluster, Node, None, name)
        named = {"uid": node.metadata.uid, "resource_version": node.metadata.resource_version}
        process.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(Doubt):
                await writes.merge(cluster, Node, None, name, ZOMBIE, limit_s=2.0, **named)
            assert time.monotonic() - began < 8
        finally:
            process.send_signal(signal.SIGCONT)
        try:
            await writes.merge(cluster, Node, None, name, LATER, limit_s=20, **named)
            expected = "later"
        except refusals.Conflict:
            expected = "zombie"
        await anyio.sleep(1)
        seen = await lists.get(cluster, Node, None, name, limit_s=20)
        assert (seen.metadata.annotations or {})["chaos-runner/run"] == expected


async def test_a_server_that_is_gone_is_unreachable_and_nothing_was_sent(ground: real_ground.RealGround) -> None:
    async with connection.connect(
        chosen(ground, "plain", url=f"https://127.0.0.1:{plane.free_ports(1)[0]}")
    ) as cluster:
        with pytest.raises(refusals.Unreachable, match="not sent"):
            await lists.get(cluster, Node, None, ground.node())
