"""What routes answer with, and what they read from a query. No IO but a few random bytes at the start."""

from __future__ import annotations

import base64
import itertools
import os
import time
from collections.abc import Iterator
from urllib.parse import parse_qs

import msgspec

from chaos_runner.proxy.errors import ApiError
from chaos_runner.proxy.proxy import Proxy
from chaos_runner.proxy.requests import TEXT, Request, Response

JSON = "application/json"
NOSNIFF = ("X-Content-Type-Options", "nosniff")
QUERY_FIELDS_MAX = 16


def query(request: Request, name: str) -> list[str]:
    """What the query of the path says for this name."""
    try:
        return parse_qs(request.path.partition("?")[2], max_num_fields=QUERY_FIELDS_MAX).get(name, [])
    except ValueError:
        raise ApiError(400, f"the query has more than {QUERY_FIELDS_MAX} fields") from None


def reply(status: int, body: object) -> Response:
    return Response(status, msgspec.json.encode(body), JSON)


def refusal(error: ApiError) -> Response:
    """The real server's error: JSON that calls itself text."""
    return Response(error.status, msgspec.json.encode(error.body()) + b"\n", TEXT, (NOSNIFF,))


def bodies_of(proxies: list[Proxy] | None) -> list[object] | None:
    return None if proxies is None else [proxy.body() for proxy in proxies]


def request_ids() -> Iterator[str]:
    """20 characters each, unique over processes too."""
    fixed = os.urandom(5)
    for number in itertools.count(int.from_bytes(os.urandom(3), "big")):
        raw = int(time.time()).to_bytes(4, "big") + fixed + (number & 0xFFFFFF).to_bytes(3, "big")
        yield base64.b32hexencode(raw).decode().rstrip("=").lower()
