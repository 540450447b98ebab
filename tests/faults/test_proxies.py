"""Toxics and downed proxies on both servers: what they promise, what they leave alone, what they refuse."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time

import anyio
import msgspec
import pytest

from chaos_runner.api import Absent, Doubt, Drifted, Present, Refused, Unreadable
from chaos_runner.faults._proxies import ProxySelector
from chaos_runner.faults.proxy_down import ProxyDown
from chaos_runner.faults.toxic import ToxicFault
from chaos_runner.records import Target
from chaos_runner.testing import check_fault
from tests.faults.conftest import MARK, ToxiWorld

pytestmark = pytest.mark.anyio
LATE = ToxicFault(type="latency", latency=0.4)
FAULTS = {
    "latency": ToxicFault(type="latency", latency=0.05, jitter=0.01, toxicity=0.3),
    "bandwidth": ToxicFault(type="bandwidth", rate=64_000.0, stream="upstream"),
    "slow_close": ToxicFault(type="slow_close", delay=0.2),
    "timeout": ToxicFault(type="timeout", timeout=0.0),
    "reset_peer": ToxicFault(type="reset_peer", timeout=0.1),
    "slicer": ToxicFault(type="slicer", average_size=100.0, size_variation=10.0, delay=0.0002),
    "limit_data": ToxicFault(type="limit_data", bytes=1000.0),
    "proxy_down": ProxyDown(),
}
ONE = ProxySelector(proxy="p")


@pytest.mark.parametrize("kind", FAULTS)
async def test_every_fault_of_a_proxy_keeps_the_promises_of_a_fault(kind: str, world: ToxiWorld) -> None:
    await check_fault(FAULTS[kind], ONE, world.env, world)
    assert world.toxics() == {"theirs", "new neighbour"}


@pytest.mark.parametrize("kind", sorted(set(FAULTS) - {"proxy_down"}))
async def test_units_become_the_api_s_whole_numbers_and_are_read_back(kind: str, world: ToxiWorld) -> None:
    await world.begun(FAULTS[kind])
    found = next(toxic for toxic in world.proxy()["toxics"] if toxic["name"] == MARK)
    wanted = {
        "latency": {"latency": 50, "jitter": 10},
        "bandwidth": {"rate": 64},
        "slow_close": {"delay": 200},
        "timeout": {"timeout": 0},
        "reset_peer": {"timeout": 100},
        "slicer": {"average_size": 100, "size_variation": 10, "delay": 200},
        "limit_data": {"bytes": 1000},
    }
    assert found["attributes"] == wanted[kind]


async def test_targets_are_named_or_matched_and_marks_are_none(world: ToxiWorld) -> None:
    for name in ("pay", "pay-2"):
        world.api.make(name)
    world.api.make(MARK, enabled=False)
    found = await LATE.targets(world.env, ProxySelector(proxies="*"))
    assert [one.key for one in found] == ["proxy/p", "proxy/pay", "proxy/pay-2"]
    assert [one.name for one in await LATE.targets(world.env, ProxySelector(proxies="pay*"))] == ["pay", "pay-2"]
    assert await LATE.targets(world.env, ProxySelector(proxies="x*")) == ()
    with pytest.raises(Refused, match="there is no proxy 'pai'; did you mean 'pay'"):
        await LATE.targets(world.env, ProxySelector(proxy="pai"))


async def test_a_proxy_that_was_replaced_since_the_plan_is_refused(world: ToxiWorld) -> None:
    planned = (await LATE.targets(world.env, ONE))[0]
    world.api("PATCH", "/proxies/p", {"upstream": "127.0.0.1:9"})
    with pytest.raises(Refused, match="not the one that was planned"):
        await LATE.prepare(world.env, planned, MARK)
    with pytest.raises(Refused, match="gone"):
        await LATE.rights(world.env, Target("proxy/q"))


@pytest.mark.parametrize("fault", [LATE, ProxyDown()], ids=["toxic", "proxy_down"])
async def test_a_disabled_proxy_is_refused(fault: ToxicFault | ProxyDown, world: ToxiWorld) -> None:
    world.api("PATCH", "/proxies/p", {"enabled": False})
    with pytest.raises(Refused, match="disabled"):
        await fault.prepare(world.env, world.target, MARK)


async def test_another_type_or_stream_is_another_place(world: ToxiWorld) -> None:
    await world.begun(LATE)
    for other in (ToxicFault(type="latency", latency=1.0, stream="upstream"), FAULTS["slicer"]):
        assert (await other.prepare(world.env, world.target, "cx.run-1.2.9")).before["name"] == "p"


async def test_a_reset_below_every_connection_is_refused_where_it_would_hit_the_others_too(world: ToxiWorld) -> None:
    some = ToxicFault(type="reset_peer", toxicity=0.5)
    if world.embedded:
        await some.prepare(world.env, world.target, MARK)
        return
    with pytest.raises(Refused, match="not safe on this Toxiproxy"):
        await some.prepare(world.env, world.target, MARK)


async def test_what_others_changed_is_told_and_left_alone(world: ToxiWorld) -> None:
    undo = await world.begun(LATE)
    world.api.drop("theirs")
    world.api.toxic("slow_close", name="new", delay=1)
    await LATE.revert(world.env, undo)
    seen = await LATE.observe(world.env, undo)
    assert seen == Absent(drift="by somebody else: toxic theirs removed, toxic new added")
    assert world.toxics() == {"new"}


async def test_a_changed_toxic_is_drift_and_still_removed(world: ToxiWorld) -> None:
    undo = await world.begun(LATE)
    world.api.patch(MARK, attributes={"latency": 7}, toxicity=0.5)
    seen = await LATE.observe(world.env, undo)
    assert isinstance(seen, Drifted)
    assert "latency is 7, not 400" in seen.why
    await LATE.revert(world.env, undo)
    assert MARK not in world.toxics()


@pytest.mark.parametrize("fault", [LATE, ProxyDown()], ids=["toxic", "proxy_down"])
async def test_a_proxy_that_somebody_deleted_needs_no_undo_and_is_not_made_again(
    fault: ToxicFault | ProxyDown, world: ToxiWorld
) -> None:
    undo = await world.begun(fault)
    world.api("DELETE", "/proxies/p")
    await fault.revert(world.env, undo)
    assert await fault.observe(world.env, undo) == Absent(drift="proxy/p was deleted by somebody else")
    assert world.api("GET", "/proxies").json == {}


async def test_a_downed_proxy_gets_back_what_it_was_and_nothing_more(world: ToxiWorld) -> None:
    down = ProxyDown()
    undo = await world.begun(down)
    world.api("PATCH", "/proxies/p", {"upstream": "127.0.0.1:9"})
    assert await down.observe(world.env, undo) == Present()
    await down.revert(world.env, undo)
    assert world.proxy() | {"toxics": []} == world.proxy() | {"toxics": [], "enabled": True, "upstream": "127.0.0.1:9"}
    seen = await down.observe(world.env, undo)
    assert isinstance(seen, Absent)
    assert "upstream changed" in seen.drift


async def test_a_downed_proxy_that_somebody_enabled_still_carries_our_mark_until_reverted(world: ToxiWorld) -> None:
    down = ProxyDown()
    undo = await world.begun(down)
    world.api("PATCH", "/proxies/p", {"enabled": True})
    assert isinstance(await down.observe(world.env, undo), Drifted)
    await down.revert(world.env, undo)
    assert await down.observe(world.env, undo) == Absent()


async def test_a_down_that_lands_late_is_seen_and_undone(world: ToxiWorld) -> None:
    down = ProxyDown()
    undo = await world.begun(down)
    await down.revert(world.env, undo)
    world.api("PATCH", "/proxies/p", {"enabled": False})  # the lost request lands now
    assert isinstance(await down.observe(world.env, undo), Present)
    await down.revert(world.env, undo)
    assert await down.observe(world.env, undo) == Absent()


async def test_a_toxic_that_lands_late_meets_the_fence(world: ToxiWorld) -> None:
    undo = await world.begun(LATE)
    await LATE.revert(world.env, undo)
    await LATE.fence(world.env, undo)
    body = {"name": MARK, "type": "latency", "attributes": {"latency": 400}}
    assert world.api("POST", "/proxies/p/toxics", body).status == 409


async def test_a_fence_that_comes_after_the_late_toxic_says_so(world: ToxiWorld) -> None:
    undo = await world.begun(LATE)
    with pytest.raises(Doubt, match="landed late"):
        await LATE.fence(world.env, undo)


async def test_a_server_that_cannot_be_reached_is_unreadable_never_absent(own_world: ToxiWorld) -> None:
    undo = await own_world.begun(LATE)
    os.kill(own_world.api.process.pid, signal.SIGKILL)
    own_world.api.process.wait(5)
    for fault in (LATE, ProxyDown()):
        assert isinstance(await fault.observe(own_world.env, undo), Unreadable)
        with pytest.raises(Refused):
            await fault.revert(own_world.env, undo)


async def test_a_frozen_embedded_server_costs_doubt_and_no_proxy(own_world: ToxiWorld) -> None:
    undo = await own_world.begun(LATE)
    os.kill(own_world.api.process.pid, signal.SIGSTOP)
    try:
        with anyio.fail_after(10), pytest.raises(Doubt):
            await LATE.revert(own_world.env, undo)
    finally:
        os.kill(own_world.api.process.pid, signal.SIGCONT)
    assert list(own_world.api("GET", "/proxies").json) == ["p"]  # what was sent while it was frozen has landed
    await LATE.revert(own_world.env, undo)
    assert await LATE.observe(own_world.env, undo) == Absent()
    assert own_world.toxics() == {"theirs"}


async def test_the_embedded_server_undoes_by_itself_what_nobody_renews(embedded_world: ToxiWorld) -> None:
    undo, down = await embedded_world.begun(LATE), ProxyDown()
    other = await down.prepare(embedded_world.env, embedded_world.target, "cx.run-1.2.4102444800")
    assert await down.lease(embedded_world.env, other, 0.5)
    await down.inject(embedded_world.env, other)
    with anyio.fail_after(5):
        while not isinstance(await LATE.observe(embedded_world.env, undo), Absent):
            await anyio.sleep(0.05)
        while not isinstance(await down.observe(embedded_world.env, other), Absent):
            await anyio.sleep(0.05)
    assert embedded_world.toxics() == {"theirs"}


async def test_without_a_lease_the_embedded_server_takes_no_harm(embedded_world: ToxiWorld) -> None:
    undo = await LATE.prepare(embedded_world.env, embedded_world.target, MARK)
    with pytest.raises(Refused, match="no live lease"):
        await LATE.inject(embedded_world.env, undo)
    with pytest.raises(
        Doubt, match="cannot be taken"
    ):  # for now nothing can land; whoever renews the lease changes that
        await LATE.fence(embedded_world.env, undo)
    await LATE.lease(embedded_world.env, undo, 30)
    await LATE.fence(embedded_world.env, undo)


async def test_an_effect_is_shown_by_traffic_and_by_nothing_else(embedded_world: ToxiWorld) -> None:
    soon = ToxicFault(type="latency", latency=0.02)
    undo = await soon.prepare(embedded_world.env, embedded_world.target, MARK)
    embedded_world.exchange()
    before = await soon.before(embedded_world.env, undo)
    await soon.lease(embedded_world.env, undo, 30)
    await soon.inject(embedded_world.env, undo)
    assert await soon.effect(embedded_world.env, undo, before) is None
    embedded_world.exchange()
    proof = await soon.effect(embedded_world.env, undo, before)
    assert proof is not None
    assert (proof.how, proof.figures["affected"]) == ("counters", 1)


@pytest.mark.real
async def test_a_server_without_counters_says_that_it_cannot_show_the_effect_of_a_toxic(stalled: ToxiWorld) -> None:
    undo = await LATE.prepare(stalled.env, stalled.target, MARK)
    with pytest.raises(Refused, match="has no counters"):
        await LATE.before(stalled.env, undo)


async def test_a_downed_proxy_is_shown_by_a_refusal_and_by_somebody_having_used_it(world: ToxiWorld) -> None:
    down = ProxyDown()
    undo = await down.prepare(world.env, world.target, MARK)
    unused = await down.before(world.env, undo)
    world.exchange()
    used = await down.before(world.env, undo)
    assert await down.effect(world.env, undo, used) is None
    await world.begun(down)
    proof = await down.effect(world.env, undo, used)
    assert proof is not None
    assert proof.how == "exchange"
    if world.embedded:
        assert await down.effect(world.env, undo, unused) is None


async def test_leftovers_are_found_without_a_ledger_and_can_be_undone(world: ToxiWorld) -> None:
    await world.begun(FAULTS["slicer"])
    found = await LATE.leftovers(world.env)
    assert [one.mark for one in found] == [MARK]
    assert found[0].params["delay"] == pytest.approx(0.0002)
    await LATE.revert(world.env, found[0])
    assert await LATE.leftovers(world.env) == ()
    assert world.toxics() == {"theirs"}


async def test_leftovers_of_one_kind_are_not_taken_for_another(world: ToxiWorld) -> None:
    await world.begun(ProxyDown())
    assert await LATE.leftovers(world.env) == ()
    (found,) = await ProxyDown().leftovers(world.env)
    await ProxyDown().revert(world.env, found)
    assert world.proxy()["enabled"]


def stall(world: ToxiWorld) -> None:
    """A client that asks for much and reads nothing."""
    line = world.rig.line()
    line.server.settimeout(0.3)
    try:
        while True:
            line.server.sendall(b"x" * 65536)
    except TimeoutError:
        pass


def hanging_delete(world: ToxiWorld) -> None:
    """Somebody else's DELETE, that the server never answers."""
    line = http.client.HTTPConnection("127.0.0.1", world.api.port, timeout=0.3)
    try:
        line.request("DELETE", f"/proxies/p/toxics/{MARK}")
        line.getresponse()
    finally:
        line.close()


@pytest.mark.real
async def test_what_others_changed_survives_a_proxy_that_had_to_be_made_again(stalled: ToxiWorld) -> None:
    undo = await stalled.begun(LATE)
    stalled.api.patch("theirs", attributes={"latency": 3})
    stalled.api.toxic("slow_close", name="new", delay=1)
    stall(stalled)
    await LATE.revert(stalled.env, undo)
    seen = await LATE.observe(stalled.env, undo)
    assert seen == Absent(drift="by somebody else: toxic new added, toxic theirs changed")
    assert {one["name"]: one["attributes"] for one in stalled.proxy()["toxics"]} == {
        "theirs": {"latency": 3, "jitter": 0},
        "new": {"delay": 1},
    }


@pytest.mark.real
async def test_a_trace_that_landed_late_overwrites_nothing(stalled: ToxiWorld) -> None:
    undo = await stalled.begun(LATE)
    trace = {"name": MARK, "listen": "127.0.0.1:0", "upstream": json.dumps(undo.before), "enabled": False}
    assert stalled.api("POST", "/proxies", trace).status == 201  # sent to a frozen server; its proxy was never deleted
    stalled.api.drop("theirs")
    await LATE.revert(stalled.env, undo)
    assert await LATE.observe(stalled.env, undo) == Absent(drift="by somebody else: toxic theirs removed")
    assert list(stalled.api("GET", "/proxies").json) == ["p"]


@pytest.mark.real
async def test_an_undo_of_a_downed_proxy_that_died_half_way_up_the_ladder_is_seen_and_finished(
    stalled: ToxiWorld,
) -> None:
    down = ProxyDown()
    undo = await stalled.begun(down)
    trace = {"name": MARK, "listen": "127.0.0.1:0", "upstream": json.dumps(undo.before), "enabled": False}
    assert stalled.api("POST", "/proxies", trace).status == 201
    stalled.api("DELETE", "/proxies/p")
    assert isinstance(await down.observe(stalled.env, undo), Drifted)
    await down.revert(stalled.env, undo)
    assert await down.observe(stalled.env, undo) == Absent()
    assert stalled.proxy()["enabled"]
    assert list(stalled.api("GET", "/proxies").json) == ["p"]


@pytest.mark.real
async def test_a_stalled_client_never_blocks_a_revert(stalled: ToxiWorld) -> None:
    undo = await stalled.begun(LATE)
    was = stalled.proxy()
    stall(stalled)
    began = time.monotonic()
    await LATE.revert(stalled.env, undo)
    assert time.monotonic() - began < 8
    assert await LATE.observe(stalled.env, undo) == Absent()
    assert stalled.proxy() == was | {"toxics": [one for one in was["toxics"] if one["name"] == "theirs"]}
    assert list(stalled.api("GET", "/proxies").json) == ["p"]
    stalled.exchange()


@pytest.mark.real
async def test_a_stalled_client_blocks_neither_downing_a_proxy_nor_bringing_it_up(stalled: ToxiWorld) -> None:
    stall(stalled)
    down = ProxyDown()
    undo = await stalled.begun(down)
    await down.revert(stalled.env, undo)
    assert await down.observe(stalled.env, undo) == Absent()
    stalled.exchange()


@pytest.mark.real
async def test_a_stalled_client_does_not_block_a_fence(stalled: ToxiWorld) -> None:
    undo = await LATE.prepare(stalled.env, stalled.target, MARK)
    stall(stalled)
    await LATE.fence(stalled.env, undo)
    await LATE.unfence(stalled.env, undo)
    assert stalled.toxics() == {"theirs"}


@pytest.mark.real
@pytest.mark.parametrize("made_again", [False, True], ids=["before making it again", "before removing the trace"])
async def test_an_undo_that_dies_half_way_up_the_ladder_is_seen_and_finished(
    made_again: bool, stalled: ToxiWorld
) -> None:
    undo = await stalled.begun(LATE)
    trace = {"name": MARK, "listen": "127.0.0.1:0", "upstream": json.dumps(undo.before), "enabled": False}
    assert stalled.api("POST", "/proxies", trace).status == 201
    stalled.api("DELETE", "/proxies/p")
    if made_again:
        again = {key: undo.before[key] for key in ("name", "listen", "upstream")} | {"enabled": False}
        assert stalled.api("POST", "/proxies", again).status == 201
    assert isinstance(await LATE.observe(stalled.env, undo), Drifted)
    (found,) = await LATE.leftovers(stalled.env)  # also when the ledger is lost
    await LATE.revert(stalled.env, found)
    assert await LATE.observe(stalled.env, undo) == Absent()
    assert stalled.proxy()["enabled"]
    assert stalled.toxics() == {"theirs"}
    assert list(stalled.api("GET", "/proxies").json) == ["p"]


@pytest.mark.real
async def test_a_proxy_that_cannot_be_made_again_is_doubt_and_stays_visible(stalled: ToxiWorld) -> None:
    undo = await stalled.begun(LATE)
    stall(stalled)
    with pytest.raises(TimeoutError):
        hanging_delete(stalled)  # the server cannot even be looked at any more: the snapshot is all there is
    broken = msgspec.structs.replace(undo, before=undo.before | {"listen": "192.0.2.1:1"})  # an address of nobody here
    with pytest.raises(Doubt, match="did not finish"):
        await LATE.revert(stalled.env, broken)
    assert isinstance(await LATE.observe(stalled.env, broken), Drifted)


PROBLEMS = [
    (ToxicFault(type="latency"), "needs 'latency'"),
    (ToxicFault(type="latency", latency=0.0), "nothing would be late"),
    (ToxicFault(type="latency", latency=0.0001), "less than 1ms"),
    (ToxicFault(type="latency", latency=1.0, rate=5.0), "has no 'rate'"),
    (ToxicFault(type="latency", latency=1.0, toxicity=0.0), "nothing would be hit"),
    (ToxicFault(type="bandwidth"), "needs 'rate'"),
    (ToxicFault(type="bandwidth", rate=100.0), "less than 1KB/s"),
    (ToxicFault(type="slicer"), "needs 'average_size'"),
    (ToxicFault(type="slicer", average_size=0.0), "at least 1 byte"),
    (ToxicFault(type="slicer", average_size=5.0, size_variation=5.0), "must be below"),
    (ToxicFault(type="limit_data"), "needs 'bytes'"),
    (ToxicFault(type="slow_close"), "needs 'delay'"),
]


@pytest.mark.parametrize(("fault", "words"), PROBLEMS, ids=[words for _fault, words in PROBLEMS])
def test_a_toxic_that_cannot_be_meant_is_a_problem(fault: ToxicFault, words: str) -> None:
    assert any(words in sentence for _where, sentence in fault.problems())


def test_toxics_that_are_fine_have_no_problems() -> None:
    for fault in FAULTS.values():
        if isinstance(fault, ToxicFault):
            assert list(fault.problems()) == []


def test_a_selector_names_one_proxy_or_a_pattern() -> None:
    assert list(ONE.problems()) == list(ProxySelector(proxies="*").problems()) == []
    assert list(ProxySelector().problems())
    assert list(ProxySelector(proxy="a", proxies="b").problems())
