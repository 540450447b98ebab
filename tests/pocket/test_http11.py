"""Bytes in, messages out: whatever the pieces, and never without a limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_runner.pocket import http11
from chaos_runner.pocket.http11 import MessageError, Request, Response

TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=20).filter(
    lambda name: name not in {"content-length", "transfer-encoding", "host"}
)
WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789 ;/=", max_size=30).map(str.strip)


@given(st.dictionaries(TOKEN, WORD, max_size=5), st.binary(max_size=300))
def test_a_request_survives_the_wire(headers: dict[str, str], body: bytes) -> None:
    buffer = bytearray(http11.render_request(Request("POST", "/x?y=1", headers, body), "h:1"))

    taken = http11.take_request(buffer)

    expected = {"host": "h:1", **headers, "content-length": str(len(body))}
    assert taken == Request("POST", "/x?y=1", expected, body)
    assert not buffer


@given(st.binary(max_size=300), st.integers(1, 40))
def test_the_size_of_the_pieces_never_matters(body: bytes, size: int) -> None:
    wire = http11.render_response(Response(202, body)) * 2
    buffer, found = bytearray(), []
    for start in range(0, len(wire), size):
        buffer += wire[start : start + size]
        while (response := http11.take_response(buffer)) is not None:
            found.append(response.body)

    assert found == [body, body]


@pytest.mark.parametrize(
    "wire",
    [
        b"hello\r\n\r\n",
        b"GET nowhere HTTP/1.1\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nname : spaced\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 300000\r\n\r\n",
        b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"a" * http11.HEAD_BYTES_MAX,
    ],
)
def test_what_is_no_request_is_refused(wire: bytes) -> None:
    with pytest.raises(MessageError):
        http11.take_request(bytearray(wire))


@pytest.mark.parametrize("wire", [b"HTTP/1.1 abc\r\n\r\n", b"SSH-2.0 200\r\n\r\n", b"HTTP/1.1 \xb2\xb2\xb2\r\n\r\n"])
def test_what_is_no_response_is_refused(wire: bytes) -> None:
    with pytest.raises(MessageError):
        http11.take_response(bytearray(wire))


def test_a_204_has_no_body_whatever_it_says() -> None:
    buffer = bytearray(b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n")

    assert http11.take_response(buffer) == Response(204, b"", {"content-length": "5"})
