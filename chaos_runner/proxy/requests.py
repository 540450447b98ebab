"""HTTP/1.1 as bytes: requests read, answers written, with a limit on everything a client can send. No sockets."""

from __future__ import annotations

import functools
import posixpath
import re
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote, unquote

HEAD_BYTES_MAX = 64 << 10
BODY_BYTES_MAX = 1 << 20
ONCE = ("authorization", "content-length", "expect", "host", "transfer-encoding")
TEXT = "text/plain; charset=utf-8"
BLANK_LINE = re.compile(rb"\n\r?\n")
REQUEST_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~\x80-\xff]+) HTTP/(\d)\.(\d)")
HALF_ESCAPED = re.compile(r"%(?![0-9A-Fa-f]{2})")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?")


class Request(NamedTuple):
    """One request; header names are lower-case, the path is still percent-encoded."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Response(NamedTuple):
    """One answer."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class BadRequest(Exception):
    """The bytes are no request that this server takes; the connection ends after the answer."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.response = Response(status, f"{status} {HTTPStatus(status).phrase}: {why}\n".encode(), TEXT)


class Head(NamedTuple):
    """A request before its body."""

    method: str
    path: str
    headers: dict[str, str]
    version: str = "HTTP/1.1"

    @property
    def keep(self) -> bool:
        """True when the connection outlives the answer."""
        wishes = {word.strip() for word in self.headers.get("connection", "").lower().split(",")}
        return "close" not in wishes if self.version == "HTTP/1.1" else "keep-alive" in wishes

    @property
    def chunked(self) -> bool:
        return "transfer-encoding" in self.headers

    @property
    def length(self) -> int:
        return int(self.headers.get("content-length", "0"))

    @property
    def to_be_continued(self) -> bool:
        """True when the client waits for a word before it sends the body."""
        return "expect" in self.headers and (self.chunked or self.length > 0)


def request_line(line: str) -> tuple[str, str, str]:
    """Method, target and the version to answer in."""
    found = REQUEST_LINE.fullmatch(line)
    if found is None or HALF_ESCAPED.search(found[2]):
        raise BadRequest(400, "malformed request line")
    if found[3] != "1":
        raise BadRequest(505, "this is HTTP/1.1")
    return found[1], path_of(found[2]), "HTTP/1.0" if found[4] == "0" else "HTTP/1.1"


def path_of(target: str) -> str:
    """The path of a target, which may name the server too, as clients of forward proxies do."""
    if target.startswith("/") or target == "*":
        return target
    scheme, found, rest = target.partition("://")
    if not found or scheme.lower() not in ("http", "https"):
        raise BadRequest(400, "malformed request line")
    return "/" + rest.partition("/")[2]


def cleaned(target: str) -> str | None:
    """The same place in the path's plain words, as the real server redirects to it; None if it was plain."""
    path, mark, rest = target.partition("?")
    path = unquote(path)
    if path.startswith("/") and "//" not in path and "/." not in path:
        return None
    plain = posixpath.normpath("/" + path.lstrip("/"))
    plain += "/" if path.endswith("/") and plain != "/" else ""
    return quote(plain) + mark + rest if plain != path else None


def parse_head(raw: bytes) -> Head:
    lines = raw.decode("latin-1").replace("\r\n", "\n").split("\n")
    method, path, version = request_line(lines[0])
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        key = name.lower()
        if not colon or not name or name != name.strip() or (key in headers and key in ONCE):
            raise BadRequest(400, "malformed or repeated header")
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    return checked(Head(method, path, headers, version))


def checked(head: Head) -> Head:
    """The head; a BadRequest when its body has no length that can be told, or one that is too great."""
    text = head.headers.get("content-length", "0")
    if head.chunked and head.headers["transfer-encoding"].lower() != "chunked":
        raise BadRequest(501, "unknown transfer encoding")
    if not (text.isascii() and text.isdigit()) or (head.chunked and "content-length" in head.headers):
        raise BadRequest(400, "bad body length")
    if len(text) > 7 or int(text) > BODY_BYTES_MAX:
        raise BadRequest(413, f"body over {BODY_BYTES_MAX} bytes")
    if head.headers.get("expect", "100-continue").lower() != "100-continue":
        raise BadRequest(417, "unknown expectation")
    return head


class Chunks:
    """The body of a chunked request, taken from a buffer as it comes."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.at_trailers = False

    def take(self, buffer: bytearray) -> bool:
        """Moves whole chunks out of the buffer; True when the body and what trails it is complete."""
        while (end := buffer.find(b"\n")) >= 0:
            line = bytes(buffer[:end]).removesuffix(b"\r")
            if self.at_trailers or (size := chunk_size(line)) == 0:
                del buffer[: end + 1]
                if self.at_trailers and not line:
                    return True
                self.at_trailers = True
            elif not self.take_chunk(buffer, end + 1, size):
                return False
        if len(buffer) > HEAD_BYTES_MAX:
            raise BadRequest(400, "malformed chunk")
        return False

    def take_chunk(self, buffer: bytearray, start: int, size: int) -> bool:
        end = start + size
        if len(self.body) + size > BODY_BYTES_MAX:
            raise BadRequest(413, f"body over {BODY_BYTES_MAX} bytes")
        if len(buffer) < end + 2:
            return False
        if buffer[end : end + 2] != b"\r\n":
            raise BadRequest(400, "malformed chunk")
        self.body += buffer[start:end]
        del buffer[: end + 2]
        return True


def chunk_size(line: bytes) -> int:
    found = CHUNK_SIZE.fullmatch(line)
    if found is None:
        raise BadRequest(400, "malformed chunk")
    return int(found[1], 16)


def encode(response: Response, head: Head | None, *, keep: bool) -> bytes:
    """The answer as bytes; to HEAD without its body, and in the version that was asked in."""
    version = "HTTP/1.1" if head is None else head.version
    lines = [f"{version} {response.status} {HTTPStatus(response.status).phrase}"]
    if response.content_type:
        lines.append(f"Content-Type: {response.content_type}")
    lines += [f"{name}: {value}" for name, value in response.headers]
    lines.append(date(int(time.time())))
    if response.status != HTTPStatus.NO_CONTENT:
        lines.append(f"Content-Length: {len(response.body)}")
    if not keep:
        lines.append("Connection: close")
    elif version == "HTTP/1.0":
        lines.append("Connection: keep-alive")
    body = b"" if head is not None and head.method == "HEAD" else response.body
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@functools.lru_cache(maxsize=1)
def date(now_s: int) -> str:
    return f"Date: {formatdate(now_s, usegmt=True)}"
