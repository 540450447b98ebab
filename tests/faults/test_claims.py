"""A mark on a proxy is the claim of its run: whose folder it is does not matter, nor which place on the proxy."""

from __future__ import annotations

import contextlib

import pytest

from chaos_runner.api import Absent, Doubt, Refused
from chaos_runner.faults import _proxies
from chaos_runner.faults.proxy_down import ProxyDown
from chaos_runner.faults.toxic import ToxicFault
from tests.faults.conftest import MARK, ToxiWorld

pytestmark = pytest.mark.anyio
LATE = ToxicFault(type="latency", latency=0.4)
SLICER = ToxicFault(type="slicer", average_size=100.0)
OTHER = "cx.run-2.1.{expiry}"


@pytest.mark.parametrize("fault", [LATE, SLICER, ProxyDown()], ids=["latency", "slicer", "proxy_down"])
@pytest.mark.parametrize(
    ("kind", "toxicity", "expiry", "words"),
    [
        (
            "latency",
            1,
            4102444800,
            r"is held by run run-2: its latency toxic \(.*\) may stay until 2100-01-01 00:00:00 UTC",
        ),
        ("noop", 1, 4102444800, "is held by run run-2: its marker that it is down"),
        ("noop", 0, 4102444800, "is fenced by run run-2 .*: a request of it may still land"),
        ("latency", 1, 946684800, "is still held by run run-2: .* expired 2000-01-01 00:00:00 UTC"),
        ("latency", 1, "9" * 40, "may stay for ever"),
    ],
    ids=["alive", "down", "fence", "expired", "no date"],
)
async def test_a_proxy_that_carries_another_run_s_mark_is_refused_whatever_the_aspect(
    fault: ToxicFault | ProxyDown, kind: str, toxicity: float, expiry: object, words: str, world: ToxiWorld
) -> None:
    world.api("PUT", "/chaos-runner/v1/leases/run-2", {"ttl": 30})
    world.api.toxic(kind, "upstream", name=OTHER.format(expiry=expiry), toxicity=toxicity)
    before = world.proxy()
    with pytest.raises(Refused, match=words) as told:
        await fault.prepare(world.env, world.target, MARK)
    assert str(told.value).endswith("chaos-runner recover in that run's folder, or chaos-runner janitor -e test")
    assert "\n" not in str(told.value)
    assert world.proxy() == before, "and nobody but its owner or a janitor takes it away"


@pytest.mark.parametrize("fault", [LATE, ProxyDown()], ids=["toxic", "proxy_down"])
async def test_two_runs_that_come_at_the_same_instant_both_doubt_and_neither_stays(
    fault: ToxicFault | ProxyDown, world: ToxiWorld
) -> None:
    undos = [await fault.prepare(world.env, world.target, f"cx.run-{n}.1.4102444800") for n in (1, 2)]
    for undo in undos:
        await fault.lease(world.env, undo, 30)
    with contextlib.suppress(Doubt):  # the first cannot know yet
        await fault.inject(world.env, undos[0])
    with pytest.raises(Doubt, match="two runs came at the same time: proxy/p is held by run run-1"):
        await fault.inject(world.env, undos[1])
    await fault.revert(world.env, undos[1])
    seen = await fault.observe(world.env, undos[1])
    assert isinstance(seen, Absent), seen  # the mark of the other run is not taken for ours
    await fault.revert(world.env, undos[0])
    assert await fault.observe(world.env, undos[0]) == Absent()
    assert world.toxics() == {"theirs"}
    assert world.proxy()["enabled"]


async def test_a_proxy_that_is_deleted_under_an_injection_is_doubt(world: ToxiWorld) -> None:
    undo = await world.begun(LATE)
    world.api("DELETE", "/proxies/p")
    with pytest.raises(Doubt, match="could not be read back"):
        await _proxies.check_alone(world.env, undo)
