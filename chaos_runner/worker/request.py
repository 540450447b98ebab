"""The bytes of a plan's request, and whether a reply fulfils its `success`. No IO."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from chaos_runner.wire import LoadPlan, Success

RATE_MAX = 10_000
TIMEOUT_S_MAX = 600
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_TARGET = re.compile(r"/[!-~]*\Z")
_VALUE = re.compile(r"[^\r\n\0]*\Z")
_OURS = {"content-length", "transfer-encoding"}
_WITH_BODY = {"POST", "PUT", "PATCH"}


def check_plan(plan: LoadPlan) -> None:
    """Raises ValueError with a sentence for a plan that cannot be sent or would not end."""
    for name, value, highest in (
        ("rate", plan.rate, RATE_MAX),
        ("timeout_s", plan.timeout_s, TIMEOUT_S_MAX),
        ("tick_s", plan.tick_s, 60),
        ("connections_max", plan.connections_max, 10_000),
        ("port", plan.port, 65535),
    ):
        if not 0 < value <= highest:
            msg = f"{name} is {value}; it must be above 0 and at most {highest}"
            raise ValueError(msg)
    if not plan.host or not _TOKEN.match(plan.method) or not _TARGET.match(plan.path):
        msg = f"{plan.method} {plan.path!r} of host {plan.host!r} is not a request that HTTP can carry"
        raise ValueError(msg)
    for name, text in plan.headers.items():
        if not _TOKEN.match(name) or not _VALUE.match(text) or name.lower() in _OURS:
            msg = f"the header {name!r} cannot be sent; length and coding of the body are set by the worker"
            raise ValueError(msg)


def request_bytes(plan: LoadPlan) -> bytes:
    """One request, the same for every send; header values are sent as UTF-8."""
    body = plan.body.encode()
    given = {name.lower() for name in plan.headers}
    fields = {} if "host" in given else {"Host": _host(plan)}
    fields |= {name: text for name, text in _DEFAULTS.items() if name.lower() not in given}
    fields |= plan.headers
    if body or plan.method in _WITH_BODY:
        fields["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {text}\r\n" for name, text in fields.items())
    return f"{plan.method} {plan.path} HTTP/1.1\r\n{head}\r\n".encode() + body


_DEFAULTS = {"User-Agent": "chaos-runner", "Accept": "*/*"}


def _host(plan: LoadPlan) -> str:
    name = f"[{plan.host}]" if ":" in plan.host else plan.host
    return name if plan.port == (443 if plan.tls else 80) else f"{name}:{plan.port}"


class Judge:
    """Whether a complete reply is a success; `keeps_body` says whether it looks at the body at all."""

    def __init__(self, success: Success) -> None:
        self._statuses = frozenset(
            s for low, high in success.statuses for s in range(max(low, 100), min(high, 599) + 1)
        )
        self._contains = success.contains.encode()
        self._json = tuple((tuple(path.split(".")), wanted) for path, wanted in success.json.items())
        self.keeps_body = bool(self._contains or self._json)

    def error(self, status: int, content: bytes) -> str | None:
        """None for a success; else "" where the status says it, or "body"."""
        if status not in self._statuses:
            return ""
        if self.keeps_body and not self._body_ok(content):
            return "body"
        return None

    def _body_ok(self, content: bytes) -> bool:
        if self._contains not in content:
            return False
        if not self._json:
            return True
        try:
            document = msgspec.json.decode(content)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return False
        return all(_equal(_at(document, path), wanted) for path, wanted in self._json)


_MISSING = object()


def _at(document: Any, path: tuple[str, ...]) -> Any:
    """The value at a dotted path; a number steps into a list."""
    for step in path:
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        else:
            return _MISSING
    return document


def _equal(value: Any, wanted: Any) -> bool:
    # In Python True == 1; in JSON it is not.
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    return bool(value == wanted)
