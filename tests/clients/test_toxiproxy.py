"""The Toxiproxy client against servers that misbehave: what is a definite no, what is doubt, and never twice."""

from __future__ import annotations

import socket
import time

import anyio
import pytest

from chaos_runner.api import Doubt, Env, Refused
from chaos_runner.clients import toxics, toxiproxy
from chaos_runner.clients.toxics import Toxic
from chaos_runner.environment import Environment, Toxiproxy
from tests.clients import hostile
from tests.clients.hostile import reply, serving

pytestmark = pytest.mark.anyio
LATE = Toxic("cx.r.1.9", "latency", attributes={"latency": 5, "jitter": 0})
ECHO = b'{"attributes":{"latency":5,"jitter":0},"name":"cx.r.1.9","type":"latency","stream":"downstream","toxicity":1}'


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def add(url: str, toxic: Toxic = LATE) -> Toxic:
    async with toxiproxy.connect(url) as client:
        return await client.add_toxic("p", toxic)


DOUBTS = {
    "closed without an answer": lambda _: None,
    "reset": hostile.reset,
    "garbage": b"what?\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "half a body": reply(200, ECHO)[:-10],
    "a redirect": reply(302, b"", "text/plain", "Location: /elsewhere"),
    "a page": reply(200, b"<html>", "text/html"),
    "another shape": reply(200, b'{"attributes": 7}'),
    "nothing": reply(200),
    "another toxic": reply(200, ECHO.replace(b'latency":5', b'latency":6')),
    "another name": reply(200, ECHO.replace(b"cx.r", b"cx.q")),
    "a deep document": reply(200, b"[" * 100_000),
    "a gateway's 404": reply(404, b"<h1>Not Found</h1>", "text/html"),
    "a gateway's 409": reply(409, b"conflict", "text/plain"),
    "an error of another status": reply(404, b'{"error":"proxy not found","status":500}'),
    **{str(status): reply(status, b'{"error":"no","status":%d}' % status) for status in (408, 425, 429, 500, 502, 503)},
}


@pytest.mark.parametrize("act", DOUBTS.values(), ids=DOUBTS)
async def test_whatever_is_no_clear_answer_is_doubt_after_exactly_one_request(act: bytes) -> None:
    with serving(act) as server:
        with pytest.raises(Doubt):
            await add(server.url)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, b'{"error":"proxy not found","status":404}\n', toxics.NotFound),
        (409, b'{"error":"toxic already exists","status":409}\n', toxics.Conflict),
        (400, b'{"error":"invalid toxic type","status":400}\n', Refused),
        (401, b"", Refused),
        (403, b"User agent not allowed\n", Refused),
    ],
)
async def test_the_server_s_own_no_is_definite(status: int, body: bytes, error: type[Exception]) -> None:
    with serving(reply(status, body, "text/plain")) as server:
        with pytest.raises(error):
            await add(server.url)
        assert len(server.requests) == 1


async def test_a_closed_port_is_a_definite_no() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(toxics.Unreachable, match="not sent"):
        await add(f"http://127.0.0.1:{port}")


async def test_a_server_that_takes_the_request_and_is_silent_is_hung_within_its_limit() -> None:
    with serving(lambda _: server.wait()) as server:
        async with toxiproxy.connect(server.url) as client:
            began = time.monotonic()
            with pytest.raises(toxics.Hung):
                await client.remove_toxic("p", "t", limit_s=0.4)
        assert time.monotonic() - began < 2
        server.over.set()
        assert len(server.requests) == 1


async def test_a_server_that_drips_its_answer_does_not_outlast_the_limit() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not server.over.wait(0.05):
            connection.sendall(b"x")

    with serving(drip) as server:
        async with toxiproxy.connect(server.url) as client:
            began = time.monotonic()
            with pytest.raises(toxics.Hung):
                await client.remove_toxic("p", "t", limit_s=0.5)
        assert time.monotonic() - began < 2


async def test_an_endless_body_is_cut_off() -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while not server.over.is_set():
            connection.sendall(b"x" * 65536)

    with serving(flood) as server, pytest.raises(Doubt, match="above 1048576 bytes"):
        await add(server.url)


async def test_nothing_of_the_process_s_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(reply(200, ECHO)) as server, serving(reply(200, ECHO)) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        await add(server.url)
        assert (len(server.requests), len(proxy.requests)) == (1, 0)


async def test_a_request_names_the_program_carries_the_token_and_encodes_names() -> None:
    with serving(reply(200, ECHO)) as server:
        async with toxiproxy.connect(server.url, "secret") as client:
            await client.add_toxic("a b%/".rstrip("/"), LATE)
        head = server.requests[0].split(b"\r\n\r\n")[0].lower()
        assert head.startswith(b"post /proxies/a%20b%25/toxics http/1.1")
        assert b"authorization: bearer secret" in head
        assert b"user-agent: chaos-runner/" in head


async def test_every_request_has_a_connection_of_its_own() -> None:
    with serving(reply(200, ECHO)) as server:
        async with toxiproxy.connect(server.url) as client:
            for _ in range(3):
                await client.toxic("p", "t")
        assert len(server.requests) == 3  # the server reads one request a connection


@pytest.mark.parametrize("name", ["", "a/b", ".", ".."])
async def test_a_name_that_no_path_can_carry_is_refused_unsent(name: str) -> None:
    with serving(reply(200, ECHO)) as server:
        async with toxiproxy.connect(server.url) as client:
            with pytest.raises(Refused, match="cannot address"):
                await client.proxy(name)
        assert not server.requests


CRASHES = {
    "slicer without a size": Toxic("t", "slicer"),
    "slicer of 0": Toxic("t", "slicer", attributes={"average_size": 0}),
    "slicer varying as much as its size": Toxic("t", "slicer", attributes={"average_size": 5, "size_variation": 5}),
    "negative rate": Toxic("t", "bandwidth", attributes={"rate": -1}),
    "huge jitter": Toxic("t", "latency", attributes={"jitter": 1 << 62}),
    "a fraction": Toxic("t", "latency", attributes={"latency": 1.5}),
    "a flag": Toxic("t", "latency", attributes={"latency": True}),
    "an attribute of another type": Toxic("t", "latency", attributes={"rate": 1}),
    "too much toxicity": Toxic("t", "latency", toxicity=1.5),
    "no toxicity number": Toxic("t", "latency", toxicity=float("nan")),
    "no stream": Toxic("t", "latency", stream="sideways"),
}


@pytest.mark.parametrize("toxic", CRASHES.values(), ids=CRASHES)
async def test_values_that_crash_the_real_server_are_never_sent(toxic: Toxic) -> None:
    with serving(reply(200, ECHO)) as server:
        with pytest.raises(Refused):
            await add(server.url, toxic)
        assert not server.requests


async def test_a_server_without_our_routes_has_no_capabilities_and_is_asked_once() -> None:
    with serving(reply(404, b"404 page not found\n", "text/plain")) as server:
        async with toxiproxy.connect(server.url) as client:
            assert not (await client.capabilities()).embedded
            assert not (await client.capabilities()).has("leases")
        assert len(server.requests) == 1


async def test_a_server_in_trouble_does_not_pass_for_one_without_capabilities() -> None:
    with serving(reply(503)) as server:
        async with toxiproxy.connect(server.url) as client:
            with pytest.raises(Doubt):
                await client.capabilities()


async def test_a_release_that_finds_no_lease_is_fine() -> None:
    with serving(reply(404, b'{"error":"lease not found","status":404}')) as server:
        async with toxiproxy.connect(server.url) as client:
            await client.release("r")
        assert server.requests[0].startswith(b"DELETE /chaos-runner/v1/leases/r ")


async def test_cancelling_a_call_ends_it_at_once() -> None:
    with serving(lambda _: server.wait()) as server:
        began = time.monotonic()
        async with toxiproxy.connect(server.url) as client:
            with anyio.move_on_after(0.2):
                await client.proxies()
        assert time.monotonic() - began < 2
        server.over.set()


@pytest.mark.parametrize(
    ("settings", "words"), [(None, "has no `toxiproxy:`"), (Toxiproxy(url="embedded"), "chaos-runner demo up")]
)
async def test_an_environment_without_a_server_says_what_to_do(settings: Toxiproxy | None, words: str) -> None:
    with pytest.raises(Refused, match=words):
        await toxiproxy.open_client(Env("e", Environment(toxiproxy=settings)))


async def test_one_environment_opens_one_client() -> None:
    env = Env("e", Environment(toxiproxy=Toxiproxy(url="http://127.0.0.1:9")))
    assert await toxiproxy.open_client(env) is await toxiproxy.open_client(env)
    await env.aclose()
