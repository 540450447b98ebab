"""A probe that follows says unknown once the cluster is silent, whatever it saw before."""

from __future__ import annotations

import anyio
import pytest
import trio
from trio.testing import MockClock

from chaos_runner.api import Env, Unknown
from chaos_runner.clients.kubernetes.mirror import Mirror
from chaos_runner.clients.kubernetes.objects import Meta, Pod
from chaos_runner.environment import Environment
from chaos_runner.probes import _watched
from chaos_runner.probes.kubernetes import STALE_S, KubernetesProbe


def test_silence_is_unknown_and_a_word_ends_it() -> None:
    async def silent() -> None:
        env, probe = Env("here", Environment()), KubernetesProbe(pods="shop", selector="a=b")
        kept = await _watched.kept(env, probe.subject())
        mirror: Mirror[Pod] = Mirror(None, Pod, "shop", "a=b", None, 5)  # type: ignore[arg-type]
        mirror.items, mirror.lists = {"x": Pod(metadata=Meta(uid="x"))}, 1
        kept.mirror = mirror
        assert (await probe.read(env)).values["pods"] == 1
        await anyio.sleep(STALE_S - 1)
        assert (await probe.read(env)).values["pods"] == 1
        await anyio.sleep(2)
        with pytest.raises(Unknown, match="nothing was heard from the cluster for 9 s"):
            await probe.read(env)
        mirror.heard_at = anyio.current_time()
        assert (await probe.read(env)).values["pods"] == 1
        await env.aclose()

    trio.run(silent, clock=MockClock(autojump_threshold=0))
