"""The http probe, one answer a sample and as a load: what counts, what is unknown, where it never goes."""

from __future__ import annotations

import socket
import time

import anyio
import pytest

from chaos_runner import api, expect
from chaos_runner.api import Env, Refused, Unknown
from chaos_runner.environment import Environment
from chaos_runner.probes import _addresses
from chaos_runner.probes.http import HttpProbe
from chaos_runner.records import Sample
from tests.clients.hostile import reply, reset, serving

pytestmark = pytest.mark.anyio
OK = reply(200, b'{"status": "up", "n": 3, "flag": true, "items": [{"price": 1.5}]}')
CLAUSES = (expect.clause("success >= 99%"), expect.clause("p95 <= 500ms"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def env(**services: str) -> Env:
    return Env("test", Environment(services=services), {"env:TOKEN": "Bearer secret"})


async def read(probe: HttpProbe) -> api.Reading:
    here = env()
    try:
        return await probe.read(here)
    finally:
        await here.aclose()


async def test_one_answer_gives_events_and_gauges() -> None:
    with serving(OK) as server:
        said = await read(HttpProbe(url=server.url, contains="up", json={"status": "up", "items[0].price": 1.5}))
    assert said.values["success"] is True
    assert said.values["status"] == 200
    assert said.latency_s == said.values["latency"]
    assert said.values["json.items[0].price"] == 1.5
    assert said.values["json.flag"] is True
    assert '"up"' in said.values["body"]


@pytest.mark.parametrize(
    "changes",
    [{"status": ("500",)}, {"contains": "down"}, {"json": {"n": 4}}, {"json": {"flag": 1}}, {"json": {"absent": None}}],
)
async def test_an_answer_that_is_not_as_wanted_is_no_success(changes: dict[str, object]) -> None:
    with serving(OK) as server:
        said = await read(HttpProbe(url=server.url, **changes))  # type: ignore[arg-type]
    assert said.values["success"] is False
    assert said.latency_s is not None


@pytest.mark.parametrize("act", [lambda _: None, reset, b"what?\r\n\r\n", reply(200, b"1234567")[:-3]])
async def test_no_whole_answer_is_a_failure_without_a_time_after_one_request(act: bytes) -> None:
    with serving(act) as server:
        said = await read(HttpProbe(url=server.url))
        assert len(server.requests) == 1
    assert said.values["success"] is False
    assert said.latency_s is None
    assert set(said.values) == {"success", "error"}


async def test_a_refused_connection_is_a_failure_of_the_service() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert (await read(HttpProbe(url=f"http://127.0.0.1:{port}"))).values["success"] is False


async def test_silence_ends_at_the_timeout() -> None:
    with serving(lambda _: server.wait()) as server:
        began = time.monotonic()
        said = await read(HttpProbe(url=server.url, timeout=0.3))
        assert time.monotonic() - began < 2
        server.over.set()
    assert (said.values["success"], said.latency_s) == (False, None)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[NaN]", b"{", b"[" * 10_000])
async def test_a_body_that_is_no_json_has_no_values_so_that_clauses_are_unknown(body: bytes) -> None:
    with serving(reply(200, body)) as server:
        said = await read(HttpProbe(url=server.url))
    assert not [name for name in said.values if name.startswith("json")]


async def test_a_body_above_the_cap_is_unknown() -> None:
    with serving(reply(200, b"x" * (1 << 21))) as server, pytest.raises(Unknown, match="above 1048576 bytes"):
        await read(HttpProbe(url=server.url))


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with serving(reply(302, b"", "text/plain", "Location: /elsewhere")) as server:
        said = await read(HttpProbe(url=server.url))
        assert len(server.requests) == 1
    assert said.values["status"] == 302


async def test_a_request_is_as_written_and_secrets_come_from_the_environment() -> None:
    probe = HttpProbe(
        service="shop",
        path="/a%20b?c=d",
        method="POST",
        headers={"Authorization": "env:TOKEN", "X": "y"},
        body="hello",
    )
    with serving(OK) as server:
        here = env(shop=f"{server.url}/base/")
        await probe.read(here)
        await here.aclose()
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /base/a%20b?c=d HTTP/1.1")
    assert b"Authorization: Bearer secret" in head
    assert body == b"hello"
    assert probe.secrets() == ("env:TOKEN",)
    assert "secret" not in probe.reads(env(shop="http://h:1"))


async def test_a_secret_that_was_not_resolved_is_unknown() -> None:
    with pytest.raises(Unknown, match="env:OTHER is not resolved"):
        await read(HttpProbe(url="http://127.0.0.1:1", headers={"A": "env:OTHER"}))


METADATA = ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]"]


@pytest.mark.parametrize("host", METADATA)
def test_metadata_addresses_are_never_asked(host: str) -> None:
    with pytest.raises(Refused, match="link-local or metadata"):
        HttpProbe(url=f"http://{host}/latest").reads(env())


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe"])
async def test_a_metadata_address_in_disguise_is_found_after_resolving(host: str) -> None:
    with pytest.raises(Unknown, match=r"link-local or metadata|cannot be resolved"):
        await read(HttpProbe(url=f"http://{host}:80"))


def test_a_service_that_is_not_there_is_named() -> None:
    with pytest.raises(Refused, match="has no service 'shop'; it has: cart"):
        HttpProbe(service="shop").reads(env(cart="http://h:1"))


@pytest.mark.parametrize("text", ["", "ftp://h:1", "h", "http://", "http://u:p@h:1", "http://h:99999", "h:x", "a b:1"])
def test_what_is_no_address_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(Refused, match=r"is not an address|has no port"):
        _addresses.parse(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("h:80", "http://h:80"),
        ("http://h", "http://h:80"),
        ("https://h/b/", "https://h:443/b"),
        ("[::1]:5", "http://[::1]:5"),
    ],
)
def test_addresses_are_written_in_three_ways(text: str, url: str) -> None:
    assert _addresses.parse(text).url == url


BAD = [
    HttpProbe(),
    HttpProbe(service="a", url="b"),
    HttpProbe(url="h:1", timeout=60.0),
    HttpProbe(url="h:1", rate=5000.0),
    HttpProbe(url="h:1", status=("2x",)),
    HttpProbe(url="h:1", headers={"a b": "c"}),
    HttpProbe(url="h:1", headers={"a": "b\r\nc: d"}),
]


@pytest.mark.parametrize("probe", BAD, ids=range(len(BAD)))
def test_what_cannot_be_meant_is_a_problem(probe: HttpProbe) -> None:
    assert list(probe.problems())
    assert not list(HttpProbe(url="h:1", status=("2xx", "404", "500-503"), rate=20.0).problems())


def test_a_load_has_events_only_and_its_clauses_lag_by_their_limits() -> None:
    single, load = HttpProbe(url="h:1"), HttpProbe(url="h:1", rate=20.0, timeout=2.0)
    assert {metric.name for metric in load.metrics()} == {"success", "pNN"}
    assert {"status", "body", "json."} < {metric.name for metric in single.metrics()}
    assert (single.streaming(), load.streaming(), load.events_per_second()) == (False, True, 20.0)
    assert [load.lag_s(clause) for clause in CLAUSES] == [2.0, 0.5]


async def collect(probe: HttpProbe, here: Env, seconds: float) -> list[Sample]:
    t0 = time.monotonic_ns() + 1_000_000_000
    async with probe.stream(here, "shoppers", CLAUSES, t0) as stream:
        samples: list[Sample] = []
        end = anyio.current_time() + 1 + seconds
        while anyio.current_time() < end:
            await anyio.sleep(0.2)
            await stream.beat()
            samples += stream.take()
        return samples + list(await stream.finish())


def total(samples: list[Sample], clause: int) -> tuple[int, int, int]:
    counts = [count for sample in samples for count in sample.counts if count.clause == clause]
    return sum(c.good for c in counts), sum(c.bad for c in counts), sum(c.unknown for c in counts)


async def test_a_load_counts_every_request_once_for_every_clause() -> None:
    with serving(reply(200, b"", "text/plain", "Connection: close")) as server:
        samples = await collect(HttpProbe(service="shop", rate=20.0), env(shop=server.url), 2.2)
        sent = len(server.requests)
    for clause in range(2):
        good, bad, unknown = total(samples, clause)
        assert good + bad - 1 <= sent <= good + bad + unknown + 1  # what a stall of the machine kept back is unknown
    seen = [(sample.tick, count.clause) for sample in samples for count in sample.counts]
    assert len(seen) == len(set(seen))
    assert {tick for tick, _clause in seen} >= {0, 1}


async def test_a_load_on_a_dead_port_is_all_bad() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    samples = await collect(HttpProbe(url=f"http://127.0.0.1:{port}", rate=10.0), env(), 1.2)
    assert total(samples, 0)[0] == total(samples, 1)[0] == 0
    assert total(samples, 0)[1] >= 10


async def test_a_load_worker_that_dies_leaves_unknown_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(OK) as server:
        t0 = time.monotonic_ns()
        probe = HttpProbe(url=server.url, rate=10.0)
        async with probe.stream(env(), "shoppers", CLAUSES, t0) as stream:
            stream._worker._process.kill()  # type: ignore[attr-defined]
            with anyio.fail_after(10):
                samples: list[Sample] = []
                while not any(sample.why for sample in samples):
                    await anyio.sleep(0.1)
                    await stream.beat()
                    samples += stream.take()
            last = next(sample for sample in samples if sample.why)
            assert "load worker" in last.why
            assert {count.clause for count in last.counts} == {0, 1}
            assert all(count.unknown and not count.bad for count in last.counts)
            assert len(samples) == len({sample.tick for sample in samples})
            await stream.finish()


@pytest.mark.parametrize("text", ["status == 200", "success <= 5%", "p95 >= 1s", "p95 <= 5"])
async def test_a_clause_that_no_load_can_decide_is_refused(text: str) -> None:
    clause = expect.clause(text)
    if text == "p95 <= 5":
        clause = expect.Clause("p95", "<=", "five", text)
    with pytest.raises(Refused, match="does not fit a load"):
        async with HttpProbe(url="http://127.0.0.1:1", rate=5.0).stream(env(), "c", (clause,), 0):
            pass
