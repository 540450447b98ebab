"""HTTP/1.1 messages as bytes and back, with limits. No IO.

Only what the shop speaks: bodies with a Content-Length, no chunked encoding, no upgrades.
"""

from __future__ import annotations

from http import HTTPStatus

import msgspec

HEAD_BYTES_MAX = 16 * 1024
BODY_BYTES_MAX = 256 * 1024
BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
JSON = "application/json"

Headers = dict[str, str]


class MessageError(OSError):
    """The bytes are no HTTP message, or a larger one than is accepted."""


class Request(msgspec.Struct, frozen=True):
    """One request; header names are in lower case."""

    method: str
    path: str
    headers: Headers = {}
    body: bytes = b""


class Response(msgspec.Struct, frozen=True):
    """One response; header names are in lower case."""

    status: int
    body: bytes = b""
    headers: Headers = {}


def json_response(status: int, value: object, headers: Headers | None = None) -> Response:
    """A response whose body is `value` as JSON."""
    return Response(status, msgspec.json.encode(value), {"content-type": JSON, **(headers or {})})


def render_request(request: Request, host: str) -> bytes:
    """Head and body as one piece: two writes would wait for each other (Nagle and delayed ACK, 40 ms)."""
    return _render(f"{request.method} {request.path} HTTP/1.1\r\nhost: {host}\r\n", request.headers, request.body)


def render_response(response: Response) -> bytes:
    """Head and body as one piece."""
    phrase = HTTPStatus(response.status).phrase
    return _render(f"HTTP/1.1 {response.status} {phrase}\r\n", response.headers, response.body)


def _render(first: str, headers: Headers, body: bytes) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name != "content-length")
    return f"{first}{lines}content-length: {len(body)}\r\n\r\n".encode("latin-1", "replace") + body


def take_request(buffer: bytearray) -> Request | None:
    """The first whole request, removed from `buffer`; None while it is incomplete."""
    taken = _take(buffer)
    if taken is None:
        return None
    first, headers, body = taken
    method, _, rest = first.partition(" ")
    path, _, version = rest.rpartition(" ")
    if not (method.isalpha() and path.startswith("/") and version in {"HTTP/1.1", "HTTP/1.0"}):
        raise MessageError(f"not an HTTP/1.1 request line: {first[:80]!r}")
    if version == "HTTP/1.0":
        headers.setdefault("connection", "close")
    return Request(method, path, headers, body)


def take_response(buffer: bytearray) -> Response | None:
    """The first whole response, removed from `buffer`; None while it is incomplete."""
    taken = _take(buffer)
    if taken is None:
        return None
    first, headers, body = taken
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if version not in {"HTTP/1.1", "HTTP/1.0"} or not (status.isdecimal() and len(status) == 3):
        raise MessageError(f"not an HTTP/1.1 status line: {first[:80]!r}")
    return Response(int(status), body, headers)


def _take(buffer: bytearray) -> tuple[str, Headers, bytes] | None:
    end = buffer.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX)
    if end < 0:
        if len(buffer) >= HEAD_BYTES_MAX:
            raise MessageError(f"the head is larger than {HEAD_BYTES_MAX} bytes")
        return None
    first, *lines = bytes(buffer[:end]).decode("latin-1").split("\r\n")
    headers = _headers(lines)
    length = _body_length(first, headers)
    start = end + 4
    if len(buffer) < start + length:
        return None
    body = bytes(buffer[start : start + length])
    del buffer[: start + length]
    return first, headers, body


def _headers(lines: list[str]) -> Headers:
    headers: Headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise MessageError(f"not a header line: {line[:80]!r}")
        headers[name.lower()] = value.strip()
    return headers


def _body_length(first: str, headers: Headers) -> int:
    if "transfer-encoding" in headers:
        raise MessageError("chunked bodies are not spoken here")
    if first.startswith("HTTP/") and first[9:12] in {str(int(status)) for status in BODILESS}:
        return 0
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 9 or int(length) > BODY_BYTES_MAX:
        raise MessageError(f"not a body length up to {BODY_BYTES_MAX} bytes: {length[:80]!r}")
    return int(length)
