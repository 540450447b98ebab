"""Faults of single requests: on the embedded proxy they keep every promise, on the real one they are refused."""

from __future__ import annotations

import re

import pytest

from chaos_runner.api import Drifted, Present, Refused, Undo
from chaos_runner.faults._http import HttpFault, Match
from chaos_runner.faults._proxies import ProxySelector
from chaos_runner.faults.http_delay import HttpDelayFault
from chaos_runner.faults.http_error import HttpErrorFault
from chaos_runner.faults.http_malformed import HttpMalformedFault
from chaos_runner.faults.http_truncate import HttpTruncateFault
from chaos_runner.faults.toxic import ToxicFault
from chaos_runner.orphans import fault_of
from chaos_runner.store import FaultRow
from chaos_runner.testing import check_fault
from tests.faults.conftest import MARK, ToxiWorld

pytestmark = pytest.mark.anyio
ASKED = b"GET /orders HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\norders"
FAULTS: dict[str, HttpFault] = {
    "http_error": HttpErrorFault(
        status=429,
        headers={"Retry-After": "30"},
        body="slow down",
        share=0.3,
        match=Match(methods=("GET",), path="/orders*", headers={"X-Tenant": "blue"}),
        exclude=("/healthz",),
        max_affected=1000,
    ),
    "http_delay": HttpDelayFault(delay=0.05, jitter=0.01),
    "http_truncate": HttpTruncateFault(bytes=3.0),
    "http_malformed": HttpMalformedFault(),
}
ALWAYS = {**FAULTS, "http_error": HttpErrorFault(status=429)}


def answered(world: ToxiWorld) -> bytes:
    """What comes back for one request, the service behind the proxy answering if it is asked."""
    line = world.rig.line()
    line.client.sendall(ASKED)
    line.server.settimeout(0.3)
    try:
        if line.server.recv(1000) == ASKED:
            line.server.sendall(ANSWER)
    except TimeoutError:
        pass
    return line.client.recv(1000)


@pytest.mark.parametrize("kind", FAULTS)
async def test_every_fault_of_requests_keeps_the_promises_of_a_fault(kind: str, embedded_world: ToxiWorld) -> None:
    await check_fault(FAULTS[kind], ProxySelector(proxy="p"), embedded_world.env, embedded_world)
    assert embedded_world.toxics() == {"theirs", "new neighbour"}


@pytest.mark.parametrize("kind", FAULTS)
async def test_what_was_sent_is_what_is_read_back(kind: str, embedded_world: ToxiWorld) -> None:
    undo = await embedded_world.begun(FAULTS[kind])  # type: ignore[arg-type]

    assert await FAULTS[kind].observe(embedded_world.env, undo) == Present()
    changed = {"share": 0.9}
    embedded_world.api.patch(MARK, attributes=changed)
    assert isinstance(await FAULTS[kind].observe(embedded_world.env, undo), Drifted)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("http_error", r"1 of 1 requests through proxy/p were answered 429"),
        ("http_delay", r"1 of 1 requests through proxy/p were delayed, by \+\d+ ms in the mean"),
        ("http_truncate", r"1 of 1 requests through proxy/p got at most 3 bytes of their answer's body"),
        ("http_malformed", r"1 of 1 requests through proxy/p were answered with what is no HTTP"),
    ],
)
async def test_the_effect_is_counted_in_requests_and_only_once_one_was_hit(
    kind: str, says: str, embedded_world: ToxiWorld
) -> None:
    fault = ALWAYS[kind]
    undo = await fault.prepare(embedded_world.env, embedded_world.target, MARK)
    assert answered(embedded_world) == ANSWER
    before = await fault.before(embedded_world.env, undo)
    await fault.lease(embedded_world.env, undo, 30)
    await fault.inject(embedded_world.env, undo)
    assert await fault.effect(embedded_world.env, undo, before) is None
    answered(embedded_world)

    proof = await fault.effect(embedded_world.env, undo, before)
    assert proof is not None
    assert proof.figures["hits"] == 1
    assert re.fullmatch(says, proof.evidence), proof.evidence


async def test_a_request_that_was_not_meant_proves_nothing(embedded_world: ToxiWorld) -> None:
    fault = HttpErrorFault(match=Match(path="/other"))
    undo = await fault.prepare(embedded_world.env, embedded_world.target, MARK)
    before = await fault.before(embedded_world.env, undo)
    await fault.lease(embedded_world.env, undo, 30)
    await fault.inject(embedded_world.env, undo)

    assert answered(embedded_world) == ANSWER
    assert await fault.effect(embedded_world.env, undo, before) is None


@pytest.mark.real
@pytest.mark.parametrize("kind", FAULTS)
async def test_a_toxiproxy_that_knows_no_requests_is_refused_with_what_to_do(kind: str, stalled: ToxiWorld) -> None:
    with pytest.raises(Refused, match=f"{kind} needs the embedded proxy"):
        await FAULTS[kind].prepare(stalled.env, stalled.target, MARK)


async def test_one_fault_of_a_kind_at_a_time_and_another_kind_beside_it(embedded_world: ToxiWorld) -> None:
    await embedded_world.begun(FAULTS["http_error"])  # type: ignore[arg-type]

    with pytest.raises(Refused, match="already carries"):
        await HttpErrorFault().prepare(embedded_world.env, embedded_world.target, "cx.run-1.2.4102444800")
    await FAULTS["http_delay"].prepare(embedded_world.env, embedded_world.target, "cx.run-1.2.4102444800")
    await ToxicFault(type="latency", latency=1.0).prepare(
        embedded_world.env, embedded_world.target, "cx.run-1.2.4102444800"
    )


@pytest.mark.parametrize("kind", FAULTS)
async def test_leftovers_are_found_by_their_own_kind_and_can_be_undone_from_what_was_found(
    kind: str, embedded_world: ToxiWorld
) -> None:
    await embedded_world.begun(FAULTS[kind])  # type: ignore[arg-type]
    found: dict[str, tuple[Undo, ...]] = {}
    for name, fault in FAULTS.items():
        found[name] = await fault.leftovers(embedded_world.env)

    assert {name for name, undos in found.items() if undos} == {kind}
    (undo,) = found[kind]
    row = FaultRow(
        id="x.0", run="run-1", n=0, epoch=1, step=0, kind=kind, version=1, target=undo.target, aspect="a",
        undo={"kind": kind, "version": 1, "mark": undo.mark, "target": {"key": "proxy/p", "uid": undo.target.uid},
              "params": undo.params, "before": undo.before},
    )  # fmt: skip
    await fault_of(row).revert(embedded_world.env, undo)
    assert MARK not in embedded_world.toxics()
    assert await ToxicFault(type="latency", latency=1.0).leftovers(embedded_world.env) == ()
