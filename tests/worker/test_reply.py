"""Pure: the same reply whatever pieces it comes in, and no reply from what is none."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_runner.wire import LoadPlan, Success
from chaos_runner.worker.body import BODY_BYTES_MAX, BadReply
from chaos_runner.worker.reply import HEAD_BYTES_MAX, Reply
from chaos_runner.worker.request import Judge, check_plan, request_bytes

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: 1\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def fed(*pieces: bytes, method: str = "GET") -> tuple[Reply, list[bool]]:
    reply = Reply(method, keep_body=True)
    return reply, [reply.feed(piece) for piece in pieces]


@given(st.sampled_from([SIZED, CHUNKED, EARLY + SIZED, EARLY + EARLY + CHUNKED]), st.data())
def test_a_reply_is_the_same_in_whatever_pieces_it_comes(whole, data):
    cuts = sorted(data.draw(st.lists(st.integers(1, len(whole) - 1), max_size=8, unique=True)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    reply, complete = fed(*pieces)

    assert complete == [False] * (len(pieces) - 1) + [True]
    assert (reply.status, reply.content, reply.reusable) == (200, b"hello", True)


@pytest.mark.parametrize("status", [204, 304])
def test_replies_without_a_body_end_with_their_head(status):
    reply, complete = fed(b"HTTP/1.1 %d X\r\nContent-Length: 7\r\n\r\n" % status)

    assert (complete, reply.reusable) == ([True], True)


def test_the_reply_to_head_has_no_body():
    assert fed(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", method="HEAD")[1] == [True]


def test_a_body_without_a_length_ends_with_the_connection():
    reply, complete = fed(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo")

    assert complete == [False, False]
    assert (reply.eof(), reply.content, reply.reusable) == (True, b"hello", False)


@pytest.mark.parametrize("whole", [SIZED, CHUNKED])
def test_the_end_of_the_connection_completes_nothing_else(whole):
    for end in range(len(whole)):
        assert not fed(whole[:end])[0].eof()


@pytest.mark.parametrize(
    ("head", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close", False),
        (b"HTTP/1.0 200 OK", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive", True),
        (b"HTTP/1.1 200", True),  # many servers leave the empty reason's space out
    ],
)
def test_a_connection_is_reused_only_where_both_sides_may(head, reusable):
    assert fed(head + b"\r\nContent-Length: 0\r\n\r\n")[0].reusable is reusable


def test_a_connection_that_sent_more_than_asked_is_not_reused():
    assert fed(SIZED + b"x")[0].reusable is False


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH",
        b"\x15\x03\x01\x00",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 999 X\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 5000,
    ],
)
def test_garbage_is_malformed_at_once(garbage):
    with pytest.raises(BadReply) as why:
        fed(garbage)

    assert why.value.error == "malformed"


@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_BYTES_MAX,
        EARLY * (HEAD_BYTES_MAX // len(EARLY) + 1),
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (BODY_BYTES_MAX + 1),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (BODY_BYTES_MAX + 1),
        CHUNKED[:46] + b"800001\r\n" + b"x" * (BODY_BYTES_MAX + 1),
        CHUNKED[:46] + b"0\r\n" + b"A: 1\r\n" * 20_000,
    ],
)
def test_nothing_fills_the_memory(endless):
    with pytest.raises(BadReply) as why:
        fed(endless)

    assert why.value.error == "too large"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_reply_or_refused(data):
    with contextlib.suppress(BadReply):
        fed(b"HTTP/1.1 200 OK\r\n" + data)


# --- requests and clauses --------------------------------------------------------------------------------------


def plan(**with_: object) -> LoadPlan:
    return LoadPlan("c", with_.pop("host", "shop"), with_.pop("port", 80), 1, 1, (), **with_)


def test_a_request_says_what_it_carries():
    sent = request_bytes(plan(method="POST", path="/checkout", body="é", headers={"host": "other", "X-A": "b"}))

    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"POST /checkout HTTP/1.1"
    assert b"Content-Length: 2" in head and body == "é".encode()
    assert head.lower().count(b"host:") == 1 and b"X-A: b" in head


def test_an_ipv6_host_is_bracketed():
    assert b"Host: [::1]:81\r\n" in request_bytes(plan(host="::1", port=81))


@pytest.mark.parametrize(
    "bad",
    [
        {"path": "/a b"},
        {"path": "/a\r\nX: y"},
        {"path": "shop"},
        {"method": "GET /"},
        {"headers": {"X": "a\r\nb"}},
        {"headers": {"X y": "a"}},
        {"headers": {"Content-Length": "0"}},
        {"port": 0},
        {"connections_max": 0},
        {"host": ""},
    ],
)
def test_a_request_that_would_smuggle_or_never_end_is_refused(bad):
    with pytest.raises(ValueError, match=r"cannot|must|not a request"):
        check_plan(plan(**bad))


@pytest.mark.parametrize(
    ("success", "status", "content", "error"),
    [
        (Success(), 200, b"", None),
        (Success(), 404, b"", ""),
        (Success(statuses=((200, 200), (404, 404))), 404, b"", None),
        (Success(contains="fine"), 200, b"all fine", None),
        (Success(contains="fine"), 200, b"bad", "body"),
        (Success(json={"a.0.b": 1}), 200, b'{"a":[{"b":1}]}', None),
        (Success(json={"a.0.b": 1}), 200, b'{"a":[{"b":true}]}', "body"),
        (Success(json={"a": None}), 200, b"{}", "body"),
        (Success(json={"a": None}), 200, b'{"a":null}', None),
        (Success(json={"a": 1}), 200, b"<html>", "body"),
        (Success(json={"a": 1}), 200, b"[" * 100_000, "body"),
    ],
)
def test_success_is_status_and_body(success, status, content, error):
    assert Judge(success).error(status, content) == error
