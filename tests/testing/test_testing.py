"""The fakes keep the promises of what they stand for, and the conformance check tells who does not."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from chaos_runner import api, expect
from chaos_runner.api import Absent, Doubt, Present, Reading, Refused, Undo, Unknown, Unreadable
from chaos_runner.testing import (
    HANGS,
    LANDS_AND_HANGS,
    LOST_REPLY,
    LOST_REQUEST,
    REFUSED,
    FakeFault,
    FakeKill,
    FakeProbe,
    FakeSelector,
    FakeWorld,
    PlainFault,
    Reply,
    check_fault,
    late,
    slow,
)
from chaos_runner.testing.conformance import BrokenLaw

pytestmark = pytest.mark.anyio
MARK = "cx.run-1.1.9"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return "trio", {"clock": MockClock(autojump_threshold=0)}


async def prepared(world: FakeWorld, fault: PlainFault | None = None) -> Undo:
    return await (fault or FakeFault()).prepare(world.env(), world.targets[0], MARK)


@pytest.mark.parametrize("fault", [PlainFault(), FakeFault(), FakeKill()])
@pytest.mark.parametrize("leases", [True, False])
async def test_the_fakes_keep_the_promises_of_a_fault(fault: PlainFault, leases: bool) -> None:
    world = FakeWorld("a", "b", leases=leases)
    await check_fault(fault, FakeSelector(name="a"), world.env(), world)


def test_the_fakes_have_the_abilities_that_they_say() -> None:
    abilities = (api.Confirms, api.Fences, api.Leases, api.Scans)
    assert all(isinstance(FakeFault(), ability) for ability in abilities)
    assert not any(isinstance(PlainFault(), ability) for ability in abilities)
    assert isinstance(FakeKill(), api.Replaces)


@pytest.mark.parametrize(
    ("reply", "error", "landed"),
    [
        (LOST_REPLY, Doubt, True),
        (LOST_REQUEST, Doubt, False),
        (REFUSED, Refused, False),
        (HANGS, TimeoutError, False),
        (LANDS_AND_HANGS, TimeoutError, True),
        (Reply(error="bug"), RuntimeError, True),
    ],
)
async def test_a_scripted_answer_says_one_thing_and_does_another(
    reply: Reply, error: type[Exception], landed: bool
) -> None:
    world = FakeWorld()
    world.will("inject", reply)
    undo = await prepared(world)
    with pytest.raises(error), anyio.fail_after(100):
        await FakeFault().inject(world.env(), undo)
    assert world.broken == landed


async def test_a_late_request_lands_by_itself_unless_it_is_fenced() -> None:
    for fenced in (False, True):
        world = FakeWorld()
        world.will("inject", late(30))
        undo = await prepared(world)
        with pytest.raises(Doubt):
            await FakeFault().inject(world.env(), undo)
        if fenced:
            await FakeFault().fence(world.env(), undo)
        await anyio.sleep(29)
        assert not world.broken
        await anyio.sleep(2)
        assert world.broken == (not fenced)


async def test_a_revert_fails_as_often_as_scripted() -> None:
    world = FakeWorld()
    undo = await prepared(world)
    await FakeFault().inject(world.env(), undo)
    world.will("revert", *[LOST_REQUEST] * 3)
    for _ in range(3):
        with pytest.raises(Doubt):
            await FakeFault().revert(world.env(), undo)
    await FakeFault().revert(world.env(), undo)
    assert not world.broken
    assert world.count("revert") == 4


async def test_what_is_always_so_stays_so() -> None:
    world = FakeWorld()
    world.always("observe", LOST_REQUEST)
    undo = await prepared(world)
    for _ in range(3):
        assert isinstance(await FakeFault().observe(world.env(), undo), Unreadable)


async def test_a_lease_that_nobody_renews_heals() -> None:
    world = FakeWorld(leases=True)
    undo = await prepared(world)
    await FakeFault().lease(world.env(), undo, 5)
    await FakeFault().inject(world.env(), undo)
    await anyio.sleep(4)
    await FakeFault().lease(world.env(), undo, 5)
    await anyio.sleep(4)
    assert await FakeFault().observe(world.env(), undo) == Present()
    await anyio.sleep(2)
    assert await FakeFault().observe(world.env(), undo) == Absent()


async def test_a_kill_is_replaced_after_a_while() -> None:
    world, kill = FakeWorld(), FakeKill(replaced_after=5.0)
    undo = await prepared(world, kill)
    await kill.inject(world.env(), undo)
    assert world.broken
    assert await kill.replaced(world.env(), undo) == ""
    await anyio.sleep(6)
    assert await kill.replaced(world.env(), undo)
    assert not world.broken


async def test_a_probe_sees_the_harm_and_is_scripted_like_the_rest() -> None:
    world, probe = FakeWorld(), FakeProbe()
    assert (await probe.read(world.env())).values["success"] is True
    await FakeFault().inject(world.env(), await prepared(world))
    assert (await probe.read(world.env())).latency_s == 2.0
    world.will("read", slow(3), LOST_REQUEST)
    began = anyio.current_time()
    await probe.read(world.env())
    assert anyio.current_time() - began == 3
    with pytest.raises(Unknown):
        await probe.read(world.env())


async def test_a_stream_gives_every_whole_tick_once_in_virtual_time() -> None:
    world, probe = FakeWorld(), FakeProbe(rate=20.0)
    clauses = (expect.clause("success >= 99%"), expect.clause("p95 <= 1s"))
    world.reading = lambda _name, t: Reading({"success": int(t - t0) != 1}, latency_s=0.1)
    t0 = anyio.current_time()
    async with probe.stream(world.env(), "shoppers", clauses, int(t0 * 1e9)) as stream:
        await anyio.sleep(2.5)
        samples = stream.take()
        assert [sample.tick for sample in samples] == [0, 1]
        assert [sample.counts[0].bad for sample in samples] == [0, 20]
        assert stream.take() == ()


class Sloppy(PlainFault, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Breaks one law at a time."""

    breaks: str = ""

    async def prepare(self, env: Any, target: Any, mark: str) -> Undo:
        if self.breaks == "prepare":
            FakeWorld.of(env).foreign["x"] = "touched"
        if self.breaks == "twice":
            FakeWorld.of(env).harm.pop((target.key, self.place), None)
        return await super().prepare(env, target, mark)

    async def inject(self, env: Any, undo: Undo) -> None:
        if self.breaks != "inject":
            await super().inject(env, undo)

    async def revert(self, env: Any, undo: Undo) -> None:
        if self.breaks == "greedy":
            FakeWorld.of(env).foreign.clear()
        if self.breaks == "slow":
            await anyio.sleep(60)
        if self.breaks != "revert":
            await super().revert(env, undo)

    async def observe(self, env: Any, undo: Undo) -> Any:
        return Present() if self.breaks == "observe" else await super().observe(env, undo)


@pytest.mark.parametrize(
    ("breaks", "law"),
    [
        ("prepare", "prepare changes nothing"),
        ("observe", "observe says absent before the harm"),
        ("inject", "observe says present after inject"),
        ("twice", "prepare refuses a target that is already harmed"),
        ("revert", "observe says absent after reverting once"),
        ("greedy", "revert without harm changes nothing"),
        ("slow", "revert ends within 10 s"),
    ],
)
async def test_a_fault_that_breaks_a_law_is_told_which(breaks: str, law: str) -> None:
    world = FakeWorld()
    with pytest.raises(BrokenLaw, match=law):
        await check_fault(Sloppy(breaks=breaks), FakeSelector(), world.env(), world)
