"""Answers of monitoring servers: one GET, JSON checked against its shape, the server's own clock. Network."""

from __future__ import annotations

import datetime as dt
import email.utils
import re
import time
from typing import Any, TypeVar

import httpx2
import msgspec

from chaos_runner.api import Doubt
from chaos_runner.clients import http

_T = TypeVar("_T")
_FRACTION = re.compile(r"(\.\d{6})\d+")


async def get(
    connection: httpx2.AsyncClient, url: str, headers: dict[str, str], limit_s: float, body_max: int
) -> http.Answer:
    """One GET. Raises Doubt for whatever is no complete answer."""
    try:
        return await http.exchange(connection, "GET", url, headers=headers, limit_s=limit_s, body_max=body_max)
    except (http.NotSent, http.NoAnswer, http.BrokenAnswer) as why:
        raise Doubt(f"{url.split('?', maxsplit=1)[0]}: {why}") from None


def read(type_: type[_T], body: bytes | msgspec.Raw, url: str) -> _T:
    """The body as this type. Raises Doubt."""
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, RecursionError) as why:
        raise Doubt(f"{url} answers in words we do not understand ({why})") from None


def doubt(answer: http.Answer, url: str) -> Doubt:
    """What to say of an answer that is not in the server's words."""
    shown = repr(answer.body[:120].decode("utf-8", "replace"))
    return Doubt(f"{url} answered {answer.status}: {shown}")


def time_of(answer: http.Answer) -> float:
    """The server's time when it answered, by its own clock where it says so (whole seconds), else by ours."""
    ours = time.time()
    try:
        theirs = email.utils.parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return ours
    return ours if abs(ours - theirs) <= 1.5 else theirs + 0.5  # whole seconds: a clock that agrees is better


def unix(stamp: Any, url: str) -> float:
    """An RFC 3339 time as Unix seconds. Raises Doubt."""
    try:
        return dt.datetime.fromisoformat(_FRACTION.sub(r"\1", str(stamp))).timestamp()
    except (ValueError, OverflowError):
        raise Doubt(f"{url}: {str(stamp)[:60]!r} is no time") from None
