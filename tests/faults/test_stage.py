"""Faults of requests on a real Toxiproxy that may have an HTTP stage: every promise, and what others do to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import threading
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import anyio
import msgspec
import pytest

from chaos_runner.api import Absent, Doubt, Drifted, Env, Refused, Undo
from chaos_runner.clients import stages, toxiproxy
from chaos_runner.environment import Environment, Toxiproxy
from chaos_runner.faults._http import Match
from chaos_runner.faults._proxies import ProxySelector
from chaos_runner.faults.http_delay import HttpDelayFault
from chaos_runner.faults.http_error import HttpErrorFault
from chaos_runner.faults.proxy_down import ProxyDown
from chaos_runner.faults.toxic import ToxicFault
from chaos_runner.records import Target
from chaos_runner.testing import check_fault
from tests.faults.conftest import MARK, ToxiWorld
from tests.faults.test_http import ANSWER, ASKED, FAULTS, answered
from tests.proxy import toxi
from tests.real.stagebench import ended

pytestmark = [pytest.mark.anyio, pytest.mark.real]
ERROR = HttpErrorFault(status=503)
SOON_S = 5.0
CROWD, TURNS = 4, 80


class Staged(ToxiWorld):
    """A real server whose operator allows a stage. The stages that were started end with it."""

    def __init__(self, api: toxi.Api) -> None:
        super().__init__(api)
        url = f"http://127.0.0.1:{api.port}"
        self.env = Env("test", Environment(toxiproxy=Toxiproxy(url=url, http_stage="127.0.0.1")))
        self.undos: list[Undo] = []

    async def prepared(self, fault: HttpErrorFault = ERROR, mark: str = MARK) -> Undo:
        self.undos.append(await fault.prepare(self.env, self.target, mark))
        self.rig.listener.accept()[0].close()  # the stage has looked whether it reaches it
        return self.undos[-1]

    async def staged(self, fault: HttpErrorFault = ERROR, lease_s: float = 30) -> Undo:
        undo = await self.prepared(fault)
        await fault.lease(self.env, undo, lease_s)
        await self.inject(undo, fault)
        return undo

    async def inject(self, undo: Undo, fault: HttpErrorFault = ERROR) -> None:
        await fault.inject(self.env, undo)
        self.rig.listener.accept()[0].close()  # the trial came through

    def upstream(self) -> str:
        upstream: str = self.proxy()["upstream"]
        return upstream

    def lead(self, upstream: str) -> None:
        assert self.api("PATCH", "/proxies/p", {"upstream": upstream}).status == 200

    def marks(self) -> set[str]:
        names = {name for name in self.api("GET", "/proxies").json if name != "p"} | self.toxics()
        return {name for name in names if name.startswith("cx.")}

    async def until_led(self, upstream: str, limit_s: float = SOON_S) -> None:
        with anyio.fail_after(limit_s):
            while self.upstream() != upstream:
                await anyio.sleep(0.02)

    async def aclose(self) -> None:
        for undo in self.undos:
            kill(undo)
        await self.env.aclose()
        self.rig.close()
        self.api.process.kill()
        self.api.process.wait(5)


def kill(undo: Undo, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(undo.before["stage"]["pid"], number)


@pytest.fixture
async def world(tmp_path: Path, real_path: Path) -> AsyncIterator[Staged]:
    world = Staged(toxi.start_real(tmp_path / "log"))
    yield world
    await world.aclose()


@pytest.mark.parametrize("kind", FAULTS)
async def test_with_a_stage_it_keeps_the_promises_of_a_fault(kind: str, world: Staged) -> None:
    world.undos.append(await check_fault(FAULTS[kind], ProxySelector(proxy="p"), world.env, world))

    assert world.toxics() == {"theirs", "new neighbour"}
    assert world.marks() == set()


async def test_leading_the_proxy_to_the_stage_is_the_one_deed(world: Staged) -> None:
    undo = await world.prepared()
    await ERROR.lease(world.env, undo, 30)
    assert answered(world) == ANSWER
    await world.inject(undo)
    assert b"503" in answered(world)
    assert world.upstream() == undo.before["stage"]["listen"]
    await ERROR.revert(world.env, undo)
    assert answered(world) == ANSWER
    assert world.upstream() == world.rig.upstream


async def test_its_effect_is_counted_in_requests_by_the_stage(world: Staged) -> None:
    undo = await world.prepared()
    before = await ERROR.before(world.env, undo)
    await ERROR.lease(world.env, undo, 30)
    await world.inject(undo)
    assert await ERROR.effect(world.env, undo, before) is None
    answered(world)
    proof = await ERROR.effect(world.env, undo, before)

    assert proof is not None
    assert proof.evidence == "1 of 1 requests through proxy/p were answered 503, by its HTTP stage"
    assert before["exchanges_per_s"] < 2  # measured then: nobody counted before, and nobody asks now


async def test_what_others_set_meanwhile_is_told_and_stays(world: Staged) -> None:
    undo = await world.staged()
    world.lead("127.0.0.1:9")

    assert isinstance(await ERROR.observe(world.env, undo), Drifted)
    await ERROR.revert(world.env, undo)
    seen = await ERROR.observe(world.env, undo)
    assert seen == Absent(drift=f"by somebody else: upstream changed from {world.rig.upstream} to 127.0.0.1:9")
    assert world.upstream() == "127.0.0.1:9"
    assert world.marks() == set()


async def test_what_others_set_just_before_is_a_refusal_and_stays(world: Staged) -> None:
    undo = await world.prepared()
    await ERROR.lease(world.env, undo, 30)
    world.lead("127.0.0.1:9")

    with pytest.raises(Refused, match="was changed meanwhile"):
        await ERROR.inject(world.env, undo)
    assert world.upstream() == "127.0.0.1:9"
    assert world.marks() == set()


async def test_a_proxy_that_others_disabled_stays_disabled(world: Staged) -> None:
    undo = await world.staged()
    assert world.api("PATCH", "/proxies/p", {"enabled": False}).status == 200

    assert isinstance(await ERROR.observe(world.env, undo), Drifted)
    await ERROR.revert(world.env, undo)
    assert await ERROR.observe(world.env, undo) == Absent(drift="by somebody else: disabled")
    assert (world.upstream(), world.proxy()["enabled"]) == (world.rig.upstream, False)


async def test_a_stage_that_the_server_does_not_reach_is_a_refusal_before_anything_is_led(world: Staged) -> None:
    undo = await world.prepared()
    await ERROR.lease(world.env, undo, 30)
    nowhere = f"127.0.0.1:{toxi.free_port()}"
    before = undo.before | {"stage": undo.before["stage"] | {"listen": nowhere}}

    with pytest.raises(Refused, match=f"could not be shown that the Toxiproxy reaches an HTTP stage at {nowhere}"):
        await ERROR.inject(world.env, msgspec.structs.replace(undo, before=before))
    assert answered(world) == ANSWER
    assert world.marks() == set()


async def test_a_lease_that_lapses_leads_the_proxy_back(world: Staged) -> None:
    await world.staged(lease_s=1)

    await world.until_led(world.rig.upstream)
    assert answered(world) == ANSWER


async def test_a_request_that_lands_late_finds_a_stage_that_passes_everything_and_leads_back(world: Staged) -> None:
    undo = await world.staged()
    await ERROR.revert(world.env, undo)
    await ERROR.fence(world.env, undo)
    world.lead(undo.before["stage"]["listen"])

    assert answered(world) in {ANSWER, b""}  # unless it was just being led back, which drops connections
    await world.until_led(world.rig.upstream)
    assert answered(world) == ANSWER


async def test_renewing_the_lease_of_a_dead_stage_leads_the_proxy_back(world: Staged) -> None:
    undo = await world.staged()
    kill(undo)

    with pytest.raises(Doubt, match="does not answer"):
        await ERROR.lease(world.env, undo, 5)
    assert world.upstream() == world.rig.upstream
    assert isinstance(await ERROR.observe(world.env, undo), Drifted)
    await ERROR.revert(world.env, undo)
    assert await ERROR.observe(world.env, undo) == Absent()


async def test_a_stage_that_was_never_leased_ends_with_who_started_it(world: Staged) -> None:
    undo = await world.prepared()
    await world.env.aclose()

    assert ended(undo.before["stage"]["pid"], SOON_S)


async def test_a_stage_ends_with_its_lease(world: Staged) -> None:
    undo = await world.staged()
    await ERROR.revert(world.env, undo)
    await ERROR.release(world.env, undo)

    assert ended(undo.before["stage"]["pid"], SOON_S)


async def test_a_stage_that_is_told_to_end_leads_back_first(world: Staged) -> None:
    undo = await world.staged()
    kill(undo, signal.SIGTERM)

    await world.until_led(world.rig.upstream)
    assert answered(world) == ANSWER


async def test_a_stage_has_a_proxy_to_itself(world: Staged) -> None:
    undo = await world.staged()

    for fault in (HttpDelayFault(delay=0.05), ERROR, ProxyDown(), ToxicFault(type="latency", latency=1.0)):
        with pytest.raises(Refused, match="is led through an HTTP stage, which has a proxy to itself"):
            await fault.prepare(world.env, world.target, "cx.run-1.2.4102444800")
        with pytest.raises(Refused, match="is held by run run-1: its HTTP stage"):
            await fault.prepare(world.env, world.target, "cx.run-2.1.4102444800")
    await ERROR.revert(world.env, undo)
    await ToxicFault(type="latency", latency=1.0).prepare(world.env, world.target, "cx.run-2.1.4102444800")


async def test_nobody_s_toxic_is_on_a_proxy_that_gets_a_stage(world: Staged) -> None:
    await world.begun(ToxicFault(type="latency", latency=0.01))

    with pytest.raises(Refused, match="has a proxy to itself"):
        await world.prepared(mark="cx.run-1.2.4102444800")


async def test_without_a_ledger_and_without_the_stage_the_way_back_lies_on_the_server(world: Staged) -> None:
    kill(await world.staged())
    found = {kind: await fault.leftovers(world.env) for kind, fault in FAULTS.items()}

    assert {kind for kind, undos in found.items() if undos} == {"http_error"}
    assert await ProxyDown().leftovers(world.env) == ()
    assert await ToxicFault(type="latency", latency=1.0).leftovers(world.env) == ()
    (undo,) = found["http_error"]
    await ERROR.revert(world.env, undo)
    assert await ERROR.observe(world.env, undo) == Absent()
    assert answered(world) == ANSWER
    assert world.marks() == set()


@pytest.mark.parametrize("end", ["stage", "trial"])
async def test_what_lands_late_of_a_stage_is_found_and_taken_away(end: str, world: Staged) -> None:
    undo = await world.staged()
    await ERROR.revert(world.env, undo)
    world.api.make(f"{MARK}.{end}", "late", enabled=False)

    assert isinstance(await ERROR.observe(world.env, undo), Drifted)
    await ERROR.revert(world.env, undo)
    assert await ERROR.observe(world.env, undo) == Absent()
    assert world.marks() == set()


async def test_a_claim_whose_stage_led_nowhere_yet_is_found(world: Staged) -> None:
    world.api.toxic("noop", "upstream", name=MARK, toxicity=0.5)
    (undo,) = await ERROR.leftovers(world.env)

    assert not await ERROR.leased(world.env, undo)
    assert isinstance(await ERROR.observe(world.env, undo), Drifted)
    await ERROR.revert(world.env, undo)
    assert await ERROR.observe(world.env, undo) == Absent()
    assert world.toxics() == {"theirs"}


async def test_a_trace_that_names_another_machine_s_stage_is_not_spoken_to(world: Staged) -> None:
    undo = await world.staged()
    elsewhere = undo.before | {"stage": undo.before["stage"] | {"control": "http://10.0.0.1:80"}}
    foreign = msgspec.structs.replace(undo, before=elsewhere)

    assert not await ERROR.leased(world.env, foreign)
    await ERROR.revert(world.env, foreign)
    assert world.upstream() == world.rig.upstream


async def test_a_server_that_hangs_gets_its_proxy_made_again_where_it_led(world: Staged) -> None:
    fault = HttpErrorFault(match=Match(path="/other"))
    undo = await world.staged(fault)
    world.api.toxic("latency", name="slow", latency=50)
    line = world.rig.line()
    line.client.sendall(ASKED)
    assert toxi.read(line.server, len(ASKED)) == ASKED
    line.server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    line.server.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        while True:
            line.server.sendall(b"x" * 65536)
    deaf = http.client.HTTPConnection(toxi.LOOP, world.api.port, timeout=1)
    deaf.request("DELETE", "/proxies/p/toxics/slow")
    with pytest.raises(TimeoutError):
        deaf.getresponse()
    deaf.close()

    await fault.revert(world.env, undo)
    assert isinstance(await fault.observe(world.env, undo), Absent)
    assert world.marks() == set()
    assert answered(world) == ANSWER


async def test_where_it_is_allowed_the_plan_says_what_it_means_and_where_not_that_it_is_refused(world: Staged) -> None:
    rights = await ERROR.rights(world.env, world.target)
    assert rights.allowed
    assert "HTTP stage" in rights.note
    assert "connections are dropped" in rights.note
    plain = Env("test", Environment(toxiproxy=Toxiproxy(url=f"http://127.0.0.1:{world.api.port}")))
    refused = await ERROR.rights(plain, world.target)
    assert not refused.allowed
    assert "http_stage" in refused.why
    await plain.aclose()


async def test_the_embedded_proxy_needs_no_stage(embedded_world: ToxiWorld) -> None:
    url = f"http://127.0.0.1:{embedded_world.api.port}"
    env = Env("test", Environment(toxiproxy=Toxiproxy(url=url, http_stage="127.0.0.1")))
    undo = await ERROR.prepare(env, embedded_world.target, MARK)

    assert "stage" not in undo.before
    assert (await ERROR.rights(env, embedded_world.target)).note == ""
    await env.aclose()


async def test_a_stage_that_cannot_listen_is_a_refusal(world: Staged) -> None:
    url = f"http://127.0.0.1:{world.api.port}"
    env = Env("test", Environment(toxiproxy=Toxiproxy(url=url, http_stage="192.0.2.1")))

    with pytest.raises(Refused, match=r"an HTTP stage could not be started: 192\.0\.2\.1: .*cannot assign"):
        await ERROR.prepare(env, world.target, MARK)
    await env.aclose()


def test_several_that_lead_back_at_once_leave_the_proxy_enabled(real_proxy: toxi.Api) -> None:
    """As a guardian and a stage whose lease lapses may; the real server would stop it for good."""
    url, turn, doubts = f"http://{toxi.LOOP}:{real_proxy.port}", threading.Barrier(CROWD + 1), []

    async def back() -> None:
        async with toxiproxy.connect(url) as client:
            for _ in range(TURNS):
                turn.wait(20)
                try:
                    await client.move_proxy("p", "127.0.0.1:9", enabled=True)
                except Doubt as why:
                    doubts.append(str(why))
                turn.wait(20)

    real_proxy.make("p")
    crowd = [threading.Thread(target=anyio.run, args=(back,)) for _ in range(CROWD)]
    for one in crowd:
        one.start()
    for _ in range(TURNS):
        real_proxy("PATCH", "/proxies/p", {"upstream": "127.0.0.1:10", "enabled": True})
        turn.wait(20)
        turn.wait(20)
        assert real_proxy("GET", "/proxies/p").json["enabled"]
    for one in crowd:
        one.join()
    real_proxy.clear()
    assert doubts == []


async def test_a_service_that_is_not_reached_from_here_is_a_refusal(world: Staged) -> None:
    nowhere = f"127.0.0.1:{toxi.free_port()}"
    world.lead(nowhere)

    with pytest.raises(Refused, match=f"{nowhere} is not reached from this machine"):
        await ERROR.prepare(world.env, Target("proxy/p", nowhere), MARK)
    assert world.marks() == set()


class PortTaken(BaseHTTPRequestHandler):
    """A Toxiproxy whose port was taken in the moment of a change: an error, and the proxy is down."""

    proxy: ClassVar[dict[str, Any]] = {}
    busy: ClassVar[int] = 0

    def do_GET(self) -> None:
        self.said(200, self.proxy)

    def do_PATCH(self) -> None:
        wish = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.proxy.update(wish)
        if "upstream" in wish or type(self).busy:
            type(self).busy -= "upstream" not in wish
            self.proxy["enabled"] = False
            self.said(500, {"error": "listen tcp: bind: address already in use", "status": 500})
        else:
            self.said(200, self.proxy)

    def said(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        return


@pytest.mark.parametrize("busy", [0, 1])
async def test_a_proxy_that_does_not_come_up_again_is_started_again_or_told(busy: int) -> None:
    PortTaken.proxy = {"name": "p", "listen": "127.0.0.1:1", "upstream": "127.0.0.1:2", "enabled": True}
    PortTaken.busy = busy
    with ThreadingHTTPServer((toxi.LOOP, 0), PortTaken) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        async with toxiproxy.connect(f"http://{toxi.LOOP}:{server.server_port}") as client:
            if busy:
                with pytest.raises(Doubt, match="address already in use"):
                    await stages.move(client, "p", "127.0.0.1:3", enabled=True)
            else:
                await stages.move(client, "p", "127.0.0.1:3", enabled=True)
        server.shutdown()
    assert PortTaken.proxy["enabled"] is not bool(busy)
