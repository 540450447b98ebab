"""Requests to a cluster without our client, for what a test sets up and for a second opinion on what is there."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

LIMIT_S = 15.0
PATCHES = {"merge": "application/merge-patch+json", "strategic": "application/strategic-merge-patch+json"}


class Target(Protocol):
    url: str
    tokens: dict[str, str]

    @property
    def ca(self) -> bytes: ...


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


def ask(
    target: Target, method: str, path: str, body: Any = None, *, user: str = "admin", kind: str = "application/json"
) -> Answer:
    """One request and its answer, whatever it is."""
    parts = urlsplit(target.url)
    assert parts.hostname is not None
    if parts.scheme == "https":
        context = ssl.create_default_context(cadata=target.ca.decode())
        line: http.client.HTTPConnection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=LIMIT_S, context=context
        )
    else:
        line = http.client.HTTPConnection(parts.hostname, parts.port, timeout=LIMIT_S)
    try:
        headers = {"Authorization": f"Bearer {target.tokens[user]}", "Content-Type": kind}
        line.request(method, path, None if body is None else json.dumps(body), headers)
        response = line.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        line.close()


def done(target: Target, method: str, path: str, body: Any = None, **more: Any) -> Any:
    """The answer's object, where it is a yes."""
    answer = ask(target, method, path, body, **more)
    assert 200 <= answer.status < 300, (method, path, answer.status, answer.raw)
    return answer.json


def merge(target: Target, path: str, body: Any) -> Any:
    """A merge patch."""
    return done(target, "PATCH", path, body, kind=PATCHES["merge"])


def settled(target: Target, path: str, quiet_s: float = 1.0) -> None:
    """Returns once nobody has changed this object for a while."""
    ends = time.monotonic() + 30
    version, since = "", time.monotonic()
    while time.monotonic() - since < quiet_s:
        now = done(target, "GET", path)["metadata"]["resourceVersion"]
        if now != version:
            version, since = now, time.monotonic()
        assert time.monotonic() < ends, f"{path} does not settle"
        time.sleep(0.1)


def wait_until(holds: Callable[[], object], within_s: float = 30.0, trouble: Callable[[], str] = str) -> None:
    """Waits until it holds; until then, what cannot be reached does not."""
    ends = time.monotonic() + within_s
    while True:
        try:
            if holds():
                return
        except (OSError, http.client.HTTPException):
            pass
        assert time.monotonic() < ends, f"not within {within_s:g} s {trouble()}"
        time.sleep(0.05)
