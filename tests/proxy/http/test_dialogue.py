"""A dialogue comes out the same in however many pieces it goes in; no sockets."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos_runner.proxy import toxics
from chaos_runner.proxy.connection import Connection
from chaos_runner.proxy.http.toxics import HttpError
from chaos_runner.proxy.proxy import Proxy

GET = b"GET /a?b=1 HTTP/1.1\r\nHost: x\r\n\r\n"
KEPT = b"GET /b HTTP/1.1\r\nconnection: keep-alive\r\nHost: x\r\n\r\n"
CLOSED = b"GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
OLD = b"GET /d HTTP/1.0\r\nHost: x\r\n\r\n"
HEAD = b"HEAD /e HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /f HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"PUT /g HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
EXPECTING = POST.replace(b"Host: x", b"Expect: 100-continue")
BIG = b"POST /h HTTP/1.1\r\nHost: x\r\nContent-Length: 36000\r\n\r\n" + b"GET / HTTP/1.1\r\n\r\n" * 2000
REQUESTS = (GET, KEPT, CLOSED, OLD, HEAD, POST, CHUNKED, EXPECTING, BIG)
OK = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\r\n\r\nok"
EMPTY = b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n"
PARTED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\n" + OK
ANSWERS = (OK, EMPTY, PARTED, INTERIM)
TOXICS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("http_error", {"share": 0}),
    ("http_error", {"share": 0.5, "body": "no"}),
    ("http_error", {"when": "after", "match": {"path": "/[abc]"}}),
    ("http_error", {"match": {"methods": ["POST"]}, "max_affected": 1}),
    ("http_delay", {"delay": 0}),
    ("http_truncate", {"bytes": 1, "share": 0.2}),
    ("http_malformed", {"share": 0.1}),
)


class Wire(asyncio.Transport):
    """One end of a connection, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.sent, self.closed = b"", False

    def write(self, data: Any) -> None:
        self.sent += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


class Still(Proxy):
    """A proxy that dials nobody."""

    def accepted_one(self, connection: Connection) -> None:
        self.connections[connection] = None


class Seen(NamedTuple):
    """What came out at either end."""

    service: bytes
    client: bytes
    closed: bool
    counts: Any


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


async def talk(asked: list[tuple[str, dict[str, Any]]], said: list[tuple[bytes, bytes]], places: list[int]) -> Seen:
    """Requests one after the other, each answered once the service has all of it."""
    proxy = Still("p", "", "127.0.0.1:9", 7)
    for number, (kind, attributes) in enumerate(asked):
        wanted = toxics.settings(kind, attributes, None)
        proxy.add_toxic(f"t{number}", kind, "downstream", toxicity=1.0, settings=wanted)
    connection, client, service = Connection(proxy, 3), Wire(), Wire()
    connection.client.connection_made(client)
    connection.server.connection_made(service)
    connection.joined()
    for request, answer in said:
        before = service.sent
        for piece in cut(request, places):
            connection.client.data_received(piece)
        answered = answer[: answer.rindex(b"\r\n\r\n", 0, -5) + 4] if request is HEAD and answer is PARTED else answer
        answered = answered.removesuffix(b"ok") if request is HEAD else answered
        for piece in cut(answered, places) if service.sent != before else ():
            connection.server.data_received(piece)
    return Seen(service.sent, client.sent, client.closed, proxy.counters_body()["toxics"])


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(TOXICS), min_size=1, max_size=3),
    st.lists(st.tuples(st.sampled_from(REQUESTS), st.sampled_from(ANSWERS)), min_size=1, max_size=6),
    st.lists(st.integers(0, 1000), max_size=6),
)
def test_in_one_piece_or_in_many_a_dialogue_comes_out_the_same(
    asked: list[tuple[str, dict[str, Any]]], said: list[tuple[bytes, bytes]], places: list[int]
) -> None:
    whole, parted = (asyncio.run(talk(asked, said, where)) for where in ([], [1, *places]))

    assert parted == whole


def test_what_no_toxic_hits_passes_byte_for_byte() -> None:
    said = [(request, OK) for request in (GET, KEPT, POST, CHUNKED)]
    for places in ([], [1], [20, 40, 60]):
        seen = asyncio.run(talk([TOXICS[0]], said, places))

        assert seen.service == GET + KEPT + POST + CHUNKED
        assert seen.client == OK * 4


class Talk:
    """A connection that is past its first exchange, and its two ends."""

    def __init__(self, kind: str, **attributes: Any) -> None:
        proxy = Still("p", "", "127.0.0.1:9", 7)
        settings = toxics.settings(kind, attributes, None)
        proxy.add_toxic("t", kind, "downstream", toxicity=1.0, settings=settings)
        self.connection, self.client, self.service = Connection(proxy, 3), Wire(), Wire()
        self.connection.client.connection_made(self.client)
        self.connection.server.connection_made(self.service)
        self.connection.joined()
        self.ask(GET.replace(b"/a", b"/first"))
        self.say(OK)
        self.client.sent = self.service.sent = b""

    def ask(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.connection.client.data_received(piece)

    def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.connection.server.data_received(piece)


@pytest.mark.parametrize(("request_", "answer"), [(HEAD, OK[:-2]), (KEPT, EMPTY)])
def test_what_follows_an_answer_without_a_body_is_not_its_body(request_: bytes, answer: bytes) -> None:
    async def pipelined() -> bytes:
        talk = Talk("http_error", when="after", match={"path": "/a"})
        talk.ask(request_ + GET)
        talk.say(answer + OK[:2], OK[2:-2], OK[-2:])
        return talk.client.sent

    assert asyncio.run(pipelined()).startswith(answer + b"HTTP/1.1 503 ")


def test_an_answer_of_ours_waits_for_the_service_s_before_it() -> None:
    async def pipelined() -> tuple[bytes, bytes]:
        talk = Talk("http_error", match={"path": "/a"})
        talk.ask(KEPT, GET)
        before = talk.client.sent
        talk.say(OK)
        return before, talk.client.sent

    before, after = asyncio.run(pipelined())

    assert before == b""
    assert after.startswith(OK + b"HTTP/1.1 503 ")


def test_a_request_does_not_overtake_a_late_one() -> None:
    async def pipelined() -> tuple[bytes, bytes]:
        talk = Talk("http_delay", delay=50, match={"path": "/a"})
        talk.ask(GET, KEPT)
        before = talk.service.sent
        async with asyncio.timeout(10):
            while len(talk.service.sent) < len(GET + KEPT):
                await asyncio.sleep(0.01)
        return before, talk.service.sent

    assert asyncio.run(pipelined()) == (b"", GET + KEPT)


@pytest.mark.parametrize("answer", [OK, PARTED, INTERIM, EMPTY, b"no answer at all", OK[:-1]])
def test_a_delay_goes_on_whatever_is_answered(answer: bytes) -> None:
    async def pipelined() -> tuple[bytes, bytes, int]:
        talk = Talk("http_delay", delay=0)
        talk.ask(GET + HEAD + KEPT, POST)
        talk.say(answer + OK[:-2] + answer, answer)
        talk.ask(GET)
        (count,) = talk.connection.proxy.counts.by_name.values()
        return talk.service.sent, talk.client.sent, count.hits

    asked, said, hits = asyncio.run(pipelined())

    assert asked == GET + HEAD + KEPT + POST + GET
    assert said == answer + OK[:-2] + answer + answer
    assert hits == 6


def test_a_delay_leaves_alone_what_follows_an_upgrade() -> None:
    async def upgraded() -> int:
        talk = Talk("http_delay", delay=0)
        talk.ask(GET.replace(b"Host: x", b"Upgrade: mine"))
        talk.say(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        talk.ask(GET)
        (count,) = talk.connection.proxy.counts.by_name.values()
        return count.hits

    assert asyncio.run(upgraded()) == 2


def test_an_error_s_answer_says_close_and_has_a_body_only_where_it_should() -> None:
    error = HttpError(body="no")
    for _ in range(2):
        for bodyless in (False, True):
            for close in (False, True):
                answer = error.answer(bodyless=bodyless, close=close)

                assert answer.endswith(b"\r\n\r\n" if bodyless else b"\r\n\r\nno")
                assert (b"\r\nconnection: close\r\n" in answer) is close
