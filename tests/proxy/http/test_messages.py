"""Cutting a stream into messages loses, adds and moves no byte, however it is split on the way."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos_runner.proxy.http import whole
from chaos_runner.proxy.http.messages import HEAD_BYTES_MAX, Head, NotHttp, Part, Reader

GET = b"GET /a?b=1 HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"PUT / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5;x\r\nhello\r\n8\r\n01234567\r\n0\r\nT: 1\r\n\r\n"
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
PARTED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"


def cut(reader: Reader, pieces: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """The messages in full, and the first lines of their heads."""
    messages, heads, open_ = [], [], b""
    for data in pieces:
        for piece in reader.feed(data):
            if piece.head is not None:
                heads.append(piece.head.raw.splitlines()[0])
                if piece.head.first[0] == b"204":
                    reader.bodyless()
            open_ += piece.content
            if piece.part is Part.END:
                messages.append(open_)
                open_ = b""
    return messages, heads


def split(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


@given(st.lists(st.sampled_from([GET, POST, CHUNKED]), min_size=1, max_size=5), st.lists(st.integers(0, 10_000)))
def test_requests_come_out_as_they_went_in(messages: list[bytes], places: list[int]) -> None:
    seen, heads = cut(Reader(requests=True), split(b"".join(messages), places))

    assert seen == messages
    assert heads == [message.splitlines()[0] for message in messages]


@given(st.lists(st.sampled_from([OK, EMPTY, PARTED]), min_size=1, max_size=5), st.lists(st.integers(0, 10_000)))
def test_answers_come_out_as_they_went_in(messages: list[bytes], places: list[int]) -> None:
    assert cut(Reader(requests=False), split(b"".join(messages), places))[0] == messages


VARIANTS = [GET, POST, CHUNKED, OK, EMPTY, PARTED, GET.replace(b"\r\n", b"\n"), b"\r\n" + GET, OK + OK, GET + GET]
VARIANTS += [message.replace(b"Length: ", b"Length: 5\r\nContent-Length: ") for message in (POST, OK)]
VARIANTS += [message.replace(b"Length:", b"Length:\r") for message in (POST, OK)]


@given(st.sampled_from(VARIANTS), st.integers(0, 200), st.integers(0, 3), st.binary(max_size=3), st.booleans())
def test_what_is_said_to_be_whole_is_one_message(
    message: bytes, place: int, lost: int, damage: bytes, requests: bool
) -> None:
    place %= len(message)
    agrees(message[:place] + damage + message[place + lost :], requests=requests)


FIELDS = ["Host: x", "X: 1\rContent-Length: 2", "Content-Type: a", "Content-Length : 2", "TE: x", "", " Expect: x"]
FIELDS += ["Connection: keep-alive", "connection:Keep-Alive, Upgrade", "CONNECTION: close", "Upgrade: h2c", "Expect: x"]
FIELDS += ["Content-Length: 2", "content-LENGTH:0", "Content-Length: 2, 2", "Transfer-Encoding: chunked", "TE: \xff"]
FIRST_LINES = ["GET / HTTP/1.1", "HEAD / HTTP/1.1", "CONNECT a:1 HTTP/1.1", "get /\xff HTTP/1.0", "GET /?a b HTTP/1.1"]
FIRST_LINES += ["HTTP/1.1 200 OK", "HTTP/1.0 503", "HTTP/1.1 204 No", "HTTP/1.1 304 No", "HTTP/1.1 100 Go on"]


@settings(max_examples=1000)
@given(
    st.sampled_from(FIRST_LINES),
    st.lists(st.tuples(st.sampled_from(FIELDS), st.sampled_from(["\r\n"] * 5 + ["\n", "\r\r\n"])), max_size=5),
    st.sampled_from(["", "ok", "\r\n", "2\r\nok\r\n0\r\n\r\n"]),
)
def test_whatever_fields_come_what_is_said_to_be_whole_is_one_message(
    first: str, fields: list[tuple[str, str]], body: str
) -> None:
    lines = "".join(field + end for field, end in fields)
    data = f"{first}\r\n{lines}\r\n{body}".encode("latin-1")
    for requests in (True, False):
        agrees(data, requests=requests)


def agrees(data: bytes, *, requests: bool) -> None:
    """What is said at a glance is what a reader says; a request is bare only where nothing is to be heeded."""
    head = whole.request(data) if requests else None
    assert whole.bare(data) == (whole.request(data) is not None and whole.request(data).bare)  # type: ignore[union-attr]
    if head is None and (requests or not whole.answer(data)):
        return
    reader = Reader(requests=requests)
    first, *bodies, end = reader.feed(data)
    assert first.head is not None
    assert end.part is Part.END
    assert {piece.part for piece in bodies} <= {Part.BODY}
    assert reader.fresh()
    if head is None:
        assert first.head.first[0] not in (b"204", b"304")
        assert first.head.first[0][:1] != b"1"
        return
    assert (head.raw, head.first) == (first.head.raw, first.head.first)
    if head.bare:
        assert set(first.head.tokens(b"connection")) <= {b"keep-alive"}
        assert not first.head.field(b"upgrade") + first.head.field(b"expect")
        assert head.first[0] not in (b"HEAD", b"CONNECT")
        assert head.first[2] == b"1"


@pytest.mark.parametrize("message", [GET, POST])
def test_a_request_that_came_at_once_is_whole(message: bytes) -> None:
    assert whole.request(message) is not None
    assert whole.request(message + GET) is None
    assert whole.request(message[:-1]) is None


def test_an_answer_that_came_at_once_is_whole() -> None:
    assert whole.answer(OK)
    assert not any(whole.answer(data) for data in (OK + OK, OK[:-1], EMPTY, PARTED, b"HTTP/1.1 100 Continue\r\n\r\n"))


def test_a_reader_is_fresh_between_messages_only() -> None:
    reader = Reader(requests=True)
    found = []
    for part in (POST[:9], POST[9:-5], POST[-5:-1], POST[-1:]):
        list(reader.feed(part))
        found.append(reader.fresh())

    assert found == [False, False, False, True]


@given(st.binary(max_size=400), st.lists(st.integers(0, 400)), st.booleans())
def test_whatever_comes_no_byte_is_lost(data: bytes, places: list[int], requests: bool) -> None:
    reader, out = Reader(requests=requests), b""
    rest = split(data, places)
    try:
        while rest:
            for piece in reader.feed(rest.pop(0)):
                out += piece.content
    except NotHttp as why:
        out += why.rest
    assert out + reader.unread() + b"".join(rest) == data


@given(st.sampled_from([GET, POST, CHUNKED, OK, PARTED]), st.integers(0, 200), st.binary(min_size=1, max_size=3))
def test_a_damaged_message_loses_no_byte_either(message: bytes, place: int, damage: bytes) -> None:
    place %= len(message)
    data = message[:place] + damage + message[place + 1 :]
    reader, out = Reader(requests=not message.startswith(b"HTTP")), b""
    try:
        for piece in reader.feed(data):
            out += piece.content
    except NotHttp as why:
        out += why.rest
    assert out + reader.unread() == data


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"GET /\r\n\r\n",
        b"A" * (HEAD_BYTES_MAX + 1),
        b"GET / HTTP/1.1\r\nX: " + b"a" * HEAD_BYTES_MAX,
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5, 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2000,
    ],
)
def test_what_is_no_http_is_said_at_once(data: bytes) -> None:
    with pytest.raises(NotHttp):
        list(Reader(requests=True).feed(data))


def test_an_answer_without_a_length_goes_on_until_the_end() -> None:
    reader = Reader(requests=False)
    pieces = list(reader.feed(b"HTTP/1.1 200 OK\r\n\r\nabc"))

    assert [piece.part for piece in pieces] == [Part.HEAD, Part.BODY]
    assert reader.endless


def test_fields_are_found_whatever_their_case_and_however_often() -> None:
    raw = b"GET / HTTP/1.1\r\nACCEPT: a\r\nAccept: b\r\nX-Accept: c\r\n\r\n"
    head = Head(raw, (b"GET", b"/", b"1"))

    assert head.field(b"accept") == b"a, b"
    assert head.field(b"missing") == b""
    assert head.tokens(b"accept") == [b"a", b"b"]
    assert head.tokens(b"missing") == []
