"""A fault's own limit: never one more than so many are hit, and where nobody can count, nothing is planned."""

from __future__ import annotations

import time

import pytest

from chaos_runner import planning, registry
from chaos_runner.api import Drifted, Present, Refused, Undo, Unreadable
from chaos_runner.clients.toxics import NotFound
from chaos_runner.expect import clause
from chaos_runner.faults._proxies import ProxySelector
from chaos_runner.faults.http_error import HttpErrorFault
from chaos_runner.faults.toxic import ToxicFault
from chaos_runner.model import BlastRadius, Check, Experiment, FaultStep
from chaos_runner.plan import Plan, Refusal
from chaos_runner.testing import check_fault
from tests.faults.conftest import MARK, ToxiWorld
from tests.proxy import toxi

pytestmark = pytest.mark.anyio
LIMIT = f"/chaos-runner/v1/limits/p/{MARK}"
LATE_S = 1.0
LATE = ToxicFault(type="latency", latency=LATE_S, max_affected=2)


async def begun(world: ToxiWorld, fault: ToxicFault = LATE) -> Undo:
    undo = await fault.prepare(world.env, world.target, MARK)
    await fault.lease(world.env, undo, 30)
    await fault.inject(world.env, undo)
    return undo


def late(lines: list[toxi.Line]) -> int:
    """On how many of these connections an answer comes late."""
    for line in lines:
        line.server.sendall(b"x")
    time.sleep(LATE_S / 2)
    slow = [line for line in lines if toxi.quiet(line.client, 0)]
    assert all(line.client.recv(1) == b"x" for line in lines)
    return len(slow)


def experiment(**fields: object) -> Experiment:
    step = FaultStep(fault=str(fields.pop("fault")), target={"proxy": "p"}, for_=15.0, with_=dict(fields))
    return Experiment(
        kind="experiment/v1",
        name="capped",
        hypothesis="few are hit",
        steady_state={
            "it": Check(probe="http", with_={"url": "http://127.0.0.1:9"}, expect=(clause("status == 200"),))
        },
        blast_radius=BlastRadius(max_duration=60.0),
        method=(step,),
    )


async def planned(world: ToxiWorld, **fields: object) -> Plan:
    return await planning.resolve(experiment(**fields), world.env, registry.faults, registry.probes, 1)


@pytest.mark.parametrize("fault", [LATE, HttpErrorFault(max_affected=3)], ids=["toxic", "http_error"])
async def test_a_limited_fault_keeps_the_promises_of_a_fault(
    fault: ToxicFault | HttpErrorFault, embedded_world: ToxiWorld
) -> None:
    await check_fault(fault, ProxySelector(proxy="p"), embedded_world.env, embedded_world)
    assert embedded_world.toxics() == {"theirs", "new neighbour"}


async def test_no_more_connections_are_hit_than_allowed_open_ones_and_new_ones_together(
    embedded_world: ToxiWorld,
) -> None:
    open_before = [embedded_world.rig.line() for _ in range(5)]
    undo = await begun(embedded_world)
    since = [embedded_world.rig.line() for _ in range(5)]

    assert [late(open_before), late(since), late(open_before + since)] == [2, 0, 2]
    assert await LATE.observe(embedded_world.env, undo) == Present()


async def test_the_proof_says_how_many_of_how_many_allowed(embedded_world: ToxiWorld) -> None:
    undo = await LATE.prepare(embedded_world.env, embedded_world.target, MARK)
    before = await LATE.before(embedded_world.env, undo)
    await begun(embedded_world)
    late([embedded_world.rig.line() for _ in range(5)])

    proof = await LATE.effect(embedded_world.env, undo, before)
    assert proof is not None
    assert proof.figures["affected"] == 2
    assert proof.evidence.startswith("2 of 5 streams through proxy/p were affected")
    assert proof.evidence.endswith(", of at most 2 allowed")


async def test_a_limit_that_somebody_changed_is_drift(embedded_world: ToxiWorld) -> None:
    undo = await begun(embedded_world)
    embedded_world.api("PUT", LIMIT, {"max_affected": 100})

    seen = await LATE.observe(embedded_world.env, undo)
    assert isinstance(seen, Drifted)
    assert "max_affected is 100" in seen.why


async def test_the_limit_goes_with_its_toxic(embedded_world: ToxiWorld) -> None:
    undo = await begun(embedded_world)
    await LATE.revert(embedded_world.env, undo)

    assert embedded_world.api("GET", LIMIT).status == 404
    assert late([embedded_world.rig.line() for _ in range(3)]) == 0


async def test_a_toxic_whose_limit_is_refused_is_not_sent(embedded_world: ToxiWorld) -> None:
    undo = await LATE.prepare(embedded_world.env, embedded_world.target, MARK)
    await LATE.lease(embedded_world.env, undo, 30)
    embedded_world.api("DELETE", "/proxies/p")

    with pytest.raises(NotFound):
        await LATE.inject(embedded_world.env, undo)


@pytest.mark.real
@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"fault": "toxic", "type": "latency", "latency": 0.4, "max_affected": 5}, "max_affected needs the embedded"),
        ({"fault": "http_error", "max_affected": 5}, "http_error needs the embedded proxy"),
        ({"fault": "toxic", "type": "reset_peer", "toxicity": 0.5}, "not safe on this Toxiproxy"),
    ],
    ids=["toxic", "http_error", "reset_peer"],
)
async def test_what_a_server_cannot_do_is_refused_in_the_plan(
    asked: dict[str, object], says: str, stalled: ToxiWorld
) -> None:
    with pytest.raises(Refusal, match=f"^not started: proxy/p: .*{says}"):
        await planned(stalled, **asked)
    assert stalled.toxics() == {"theirs"}


async def test_the_plan_says_how_many_may_be_hit(embedded_world: ToxiWorld) -> None:
    made = await planned(embedded_world, fault="toxic", type="latency", latency=0.4, max_affected=5)

    assert "max_affected: 5" in made.faults[0].said
    assert embedded_world.toxics() == {"theirs"}


@pytest.mark.real
async def test_the_promise_is_asked_again_before_the_deed(stalled: ToxiWorld) -> None:
    with pytest.raises(Refused, match="max_affected needs the embedded proxy"):
        await LATE.prepare(stalled.env, stalled.target, MARK)


async def test_a_limit_that_cannot_be_read_is_not_taken_for_granted(own_world: ToxiWorld) -> None:
    undo = await begun(own_world)
    own_world.api.process.kill()
    own_world.api.process.wait(5)

    assert isinstance(await LATE.observe(own_world.env, undo), Unreadable)
