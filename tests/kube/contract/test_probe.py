"""The probe of a cluster follows what happens, in both clusters, with one list and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from chaos_runner.api import Env, Unknown
from chaos_runner.probes import _watched
from chaos_runner.probes.kubernetes import KubernetesProbe
from tests.kube import raw
from tests.kube.contract.test_faults import all_ready, env, web  # noqa: F401 - fixtures
from tests.kube.ground import Ground

pytestmark = pytest.mark.anyio


async def until(probe: KubernetesProbe, env: Env, holds: Callable[[Any], bool], within_s: float = 20) -> Any:  # noqa: F811
    with anyio.fail_after(within_s):
        while True:
            try:
                values = (await probe.read(env)).values
            except Unknown:
                values = None
            if values is not None and holds(values):
                return values
            await anyio.sleep(0.1)


async def test_ready_pods_are_followed_without_listing_again(ground: Ground, env: Env, web: str) -> None:  # noqa: F811
    workload, pods = KubernetesProbe(deployment=f"{web}/web"), KubernetesProbe(pods=web, selector="app=web")
    async with workload.following(env), pods.following(env):
        if ground.kind == "pocket":
            await until(workload, env, lambda it: it["ready"] == 2 and it["rolled_out"])
        await until(pods, env, lambda it: it["ready"] == 2)
        path = f"/apis/apps/v1/namespaces/{web}/deployments/web"
        raw.merge(ground, path, {"spec": {"replicas": 1}})
        await until(workload, env, lambda it: it["wanted"] == 1)
        assert (await until(pods, env, lambda it: it["ready"] == 1))["restarts"] == 0
        for one in (workload, pods):
            mirror = (await _watched.kept(env, one.subject())).mirror
            assert mirror is not None
            assert mirror.lists == 1
    with pytest.raises(Unknown):
        await pods.read(env)


async def test_nodes_and_their_cordons_are_followed(ground: Ground, env: Env) -> None:  # noqa: F811
    probe, path = KubernetesProbe(node=ground.node()), f"/api/v1/nodes/{ground.node()}"
    async with probe.following(env):
        assert (await probe.read(env)).values["nodes"] == 1, "the first list has come"
        await until(probe, env, lambda it: it["nodes"] == 1 and it["schedulable"] == it["ready"])
        raw.merge(ground, path, {"spec": {"unschedulable": True}})
        try:
            await until(probe, env, lambda it: it["schedulable"] == 0)
        finally:
            raw.merge(ground, path, {"spec": {"unschedulable": None}})


async def test_a_namespace_that_is_not_there_is_unknown_and_says_so(ground: Ground, env: Env) -> None:  # noqa: F811
    probe = KubernetesProbe(pods="nowhere", selector="app=web")
    async with probe.following(env):
        with anyio.fail_after(20):
            while True:
                await anyio.sleep(0.1)
                with pytest.raises(Unknown) as why:
                    await probe.read(env)
                if "no namespace 'nowhere'" in str(why.value):
                    return
