"""Requests as the API reads them and answers as it gives them. No IO."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from chaos_runner.pocket import http11
from chaos_runner.pocket.cluster.refusal import Refusal

JSON = "application/json"
GZIP_BYTES_MIN = 128 * 1024

_encoder = msgspec.json.Encoder()


class Query(msgspec.Struct, frozen=True):
    """A request, taken apart: its path without the query, and the query's words."""

    method: str
    path: str
    words: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def flag(self, name: str) -> bool:
        """Whether a word of the query says yes."""
        return self.words.get(name, "").lower() in ("1", "true", "t")


class Answer(msgspec.Struct, frozen=True):
    """A whole answer."""

    status: int
    body: bytes
    headers: dict[str, str] = {}


class Stream(msgspec.Struct, frozen=True):
    """An answer that comes piece by piece, until the pieces end or the client leaves."""

    pieces: AsyncIterator[bytes]
    headers: dict[str, str] = msgspec.field(default_factory=lambda: {"content-type": JSON})


def query_of(request: http11.Request) -> Query:
    """The request, taken apart. Of a word that is said twice the first counts."""
    path, _, words = request.path.partition("?")
    pairs = parse_qsl(words, keep_blank_values=True)
    return Query(request.method, unquote(path), dict(reversed(pairs)), request.headers, request.body)


def encoded(value: Any) -> bytes:
    """A line of JSON."""
    return _encoder.encode(value) + b"\n"


def json_answer(status: int, value: Any, headers: dict[str, str] | None = None) -> Answer:
    """A JSON value as an answer."""
    return Answer(status, encoded(value), {"content-type": JSON, **(headers or {})})


def text_answer(status: int, text: str, headers: dict[str, str] | None = None) -> Answer:
    """Plain words as an answer."""
    return Answer(status, text.encode(), {"content-type": "text/plain; charset=utf-8", **(headers or {})})


def refused(refusal: Refusal) -> Answer:
    """A refusal as an answer."""
    return json_answer(refusal.code, refusal.body(), refusal.headers)


def success(details: dict[str, Any] | None = None, code: int = 0) -> dict[str, Any]:
    """A Status of success."""
    status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    status |= {"details": details} if details is not None else {}
    return status | ({"code": code} if code else {})


def packed(answer: Answer, accepts: str) -> Answer:
    """The answer as gzip, where it is long and the client can read that."""
    if "gzip" not in accepts or len(answer.body) <= GZIP_BYTES_MIN:
        return answer
    squeeze = zlib.compressobj(1, wbits=31)
    body = squeeze.compress(answer.body) + squeeze.flush()
    return Answer(answer.status, body, {**answer.headers, "content-encoding": "gzip", "vary": "accept-encoding"})
