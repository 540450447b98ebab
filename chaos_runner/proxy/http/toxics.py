"""What a toxic may do to single requests, and which requests it means: attributes in, decisions out. No IO.

Four types: `http_error` answers instead of the service, or after it did the work; `http_delay` passes a request on
later; `http_truncate` cuts an answer's body; `http_malformed` answers with what is no HTTP. Envoy's names for the same
(`abort`, `http_status`, `delay`, `fixed_delay`, `percentage`) are accepted.
"""

from __future__ import annotations

import fnmatch
import functools
import http
import random
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from chaos_runner.proxy.errors import ApiError
from chaos_runner.proxy.http.messages import Head

Share = Annotated[float, Meta(ge=0, le=1)]
Millis = Annotated[int, Meta(ge=0, le=86_400_000)]
Word = Annotated[str, Meta(min_length=1, max_length=1000)]
Field = Annotated[str, Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$")]
Value = Annotated[str, Meta(pattern=r"^[\t -~\x80-\xff]*$", max_length=1000)]
_DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
_AROUND = {"http_error": "abort", "http_delay": "delay"}  # what Envoy puts around the settings
_UNITS = {"h": 3_600_000.0, "m": 60_000.0, "ms": 1.0, "s": 1000.0, "us": 0.001}


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, dict=True):
    """Which requests are meant: all that is stated has to fit. A path may hold `*`; the query does not count."""

    methods: Annotated[tuple[Annotated[str, Meta(pattern="^[A-Z]{1,20}$")], ...], Meta(max_length=20)] = ()
    path: Annotated[str, Meta(max_length=1000)] = ""
    headers: Annotated[dict[Field, Value], Meta(max_length=20)] = {}

    @functools.cached_property
    def _start(self) -> bytes:
        """How a path has to begin: most are told apart without looking at the pattern."""
        return re.split(r"[*?\[]", self.path, maxsplit=1)[0].encode("latin-1", "ignore")

    def fits(self, head: Head) -> bool:
        """Whether a request is one of these."""
        if self.methods and head.first[0].decode("latin-1") not in self.methods:
            return False
        if not head.first[1].startswith(self._start) and head.first[1].startswith(b"/"):
            return False
        if self.path and not fnmatch.fnmatchcase(path_of(head), self.path):
            return False
        return not self.headers or all(
            head.field(name.lower().encode()) == value.encode("latin-1") for name, value in self.headers.items()
        )


class Aim(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """What every type has: the share of requests that are hit, which ones are meant, and how many at most."""

    share: Share = 1.0
    match: Match = Match()
    exclude: Annotated[tuple[Word, ...], Meta(max_length=50)] = ()  # paths that are never hit, such as /healthz
    max_affected: Annotated[int, Meta(ge=0)] = 0  # requests; 0 for no limit

    @functools.cached_property
    def choosy(self) -> bool:
        """Whether some requests are not meant."""
        return self.match != Match() or bool(self.exclude)

    def means(self, head: Head) -> bool:
        """Whether a request is meant at all."""
        if not self.match.fits(head):
            return False
        return not self.exclude or not any(fnmatch.fnmatchcase(path_of(head), out) for out in self.exclude)


class HttpError(Aim, frozen=True):
    """An answer that the service did not give. `when: after` lets it do the work first."""

    status: Annotated[int, Meta(ge=200, le=599)] = 503
    body: Annotated[str, Meta(max_length=64 << 10)] = ""
    headers: Annotated[dict[Field, Value], Meta(max_length=50)] = {}
    when: Literal["before", "after"] = "before"

    @functools.cached_property
    def _answers(self) -> dict[tuple[bool, bool], bytes]:
        return {}

    @functools.cached_property
    def plain(self) -> bytes:
        """The answer to a request that asks for nothing special."""
        return self.answer(bodyless=False, close=False)

    def answer(self, *, bodyless: bool, close: bool) -> bytes:
        """The whole answer."""
        said = self._answers.get((bodyless, close))
        if said is None:
            said = self._answers[bodyless, close] = self._answer(bodyless, close)
        return said

    def _answer(self, bodyless: bool, close: bool) -> bytes:
        content = self.body.encode()
        fields = {"content-type": "text/plain; charset=utf-8"} | {k.lower(): v for k, v in self.headers.items()}
        fields |= {"content-length": str(len(content))} | ({"connection": "close"} if close else {})
        head = f"HTTP/1.1 {self.status} {reason(self.status)}\r\n"
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"{head}{lines}\r\n".encode("latin-1") + (b"" if bodyless else content)


class HttpDelay(Aim, frozen=True):
    """A request is passed on `delay` ± `jitter` milliseconds later."""

    delay: Millis = 0
    jitter: Millis = 0

    def seconds(self, seed: str) -> float:
        """How much later, the same for the same seed."""
        # A generator costs as much as the whole rest of a request.
        wander = random.Random(seed).uniform(-self.jitter, self.jitter) if self.jitter else 0.0
        return max(0.0, self.delay + wander) / 1000


class HttpTruncate(Aim, frozen=True):
    """So many bytes of an answer's body pass, as they came, then the connection is cut."""

    bytes: Annotated[int, Meta(ge=0)] = 0


class HttpMalformed(Aim, frozen=True):
    """The answer is no HTTP, and the connection is cut after it."""


Http = HttpError | HttpDelay | HttpTruncate | HttpMalformed
TYPES: Mapping[str, type[Http]] = {
    "http_error": HttpError,
    "http_delay": HttpDelay,
    "http_truncate": HttpTruncate,
    "http_malformed": HttpMalformed,
}
GARBAGE = b"\x00\xff\x00 this is no answer \x00\xff\r\n\r\n"


def attributes(kind: str, asked: object, now: Http | None) -> Http:
    """The whole attribute set: `now` with what was asked laid over it. All of it or a 400 that says what is wrong."""
    if not isinstance(asked, dict | None):
        raise ApiError(400, f"invalid attributes: {kind} takes an object")
    before = msgspec.to_builtins(now) if now is not None else {}
    try:
        return msgspec.convert(before | _ours(kind, _plain(asked or {})), TYPES[kind])
    except (msgspec.ValidationError, ValueError) as wrong:
        raise ApiError(400, f"invalid attribute: {wrong}") from None


def _plain(value: Any) -> Any:
    """The same with plain floats: they were read as a kind of their own, which knows its text."""
    if isinstance(value, dict):
        return {key: _plain(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_plain(below) for below in value]
    return float(value) if isinstance(value, float) else value


def _ours(kind: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Envoy's names by ours. Raises ValueError."""
    found = dict(asked)
    around = _AROUND.get(kind, "")
    if isinstance(found.get(around), dict):
        found |= found.pop(around)
    if "http_status" in found:
        found["status"] = found.pop("http_status")
    if "fixed_delay" in found:
        found["delay"] = _millis(found.pop("fixed_delay"))
    if "percentage" in found:
        found["share"] = _share(found.pop("percentage"))
    return found


def _millis(text: object) -> int:
    """Envoy's duration: 0.5s."""
    for unit in ("ms", "us", "s", "m", "h"):
        number = text.removesuffix(unit) if isinstance(text, str) and text.endswith(unit) else ""
        if number.replace(".", "", 1).isdigit():
            return round(float(number) * _UNITS[unit])
    raise ValueError(f"fixed_delay is a duration such as 0.5s, not {text!r:.60}")


def _share(given: object) -> float:
    """Envoy's percentage: a number of 100, or a numerator and a denominator."""
    if isinstance(given, dict):
        below = _DENOMINATORS.get(str(given.get("denominator", "HUNDRED")), 0)
        above = given.get("numerator", 0)
        if below and isinstance(above, int):
            return above / below
    if isinstance(given, int | float):
        return given / 100
    raise ValueError(f"percentage is a number, or a numerator with a denominator, not {given!r:.60}")


def path_of(head: Head) -> str:
    """The path of a request, without its query."""
    target = head.first[1].decode("latin-1").partition("?")[0]
    return target if target.startswith("/") else "/" + target.partition("://")[2].partition("/")[2]


def reason(status: int) -> str:
    """The words after a status."""
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Status"
