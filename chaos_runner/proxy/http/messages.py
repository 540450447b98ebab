"""Where messages begin and end in a stream of HTTP/1.1, byte for byte as they came. No IO, no clock.

A reader cuts what it is fed into parts and never changes or withholds a byte, except for a head that has not ended.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import NamedTuple

HEAD_BYTES_MAX = 64 << 10
LINE_BYTES_MAX = 1 << 10  # of a chunk's size, or of a trailer
TRAILER_BYTES_MAX = 64 << 10
_REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}) ([!-~\x80-\xff]+) HTTP/1\.([01])\r?\n")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: [^\r\n]*)?\r?\n")
_END = re.compile(rb"\r?\n\r?\n")
_TOKENS = re.compile(rb"[^\s,]+")


class NotHttp(Exception):
    """These bytes are no HTTP/1.1 that can be followed; `rest` is all that was not handed out yet."""

    def __init__(self, why: str, rest: bytes) -> None:
        super().__init__(why)
        self.rest = rest


class Part(enum.Enum):
    """What a piece of the stream is."""

    HEAD = "a whole head"
    BODY = "a piece of a body, its framing included"
    END = "nothing: the message ended here"


class Head:
    """The head of a request or an answer. A `bare` one asks for nothing special, neither by a field
    about body or connection nor by its method.
    """

    __slots__ = ("_lower", "bare", "first", "raw")

    def __init__(self, raw: bytes, first: tuple[bytes, ...], bare: bool = False) -> None:
        self.raw = raw
        self.first = first  # a request's method, target and minor version; an answer's status
        self.bare = bare
        self._lower = b""

    def field(self, name: bytes) -> bytes:
        """The value of a field by its lower-case name, as it was sent; several are joined as a list; empty if none."""
        self._lower = lower = self._lower or self.raw.lower()
        at = lower.find(b"\n" + name + b":")
        if at < 0:
            return b""
        found = []
        while at >= 0:
            start = at + len(name) + 2
            end = lower.find(b"\n", start)
            found.append(self.raw[start:end].strip())
            at = lower.find(b"\n" + name + b":", end)
        return b", ".join(found)

    def tokens(self, name: bytes) -> list[bytes]:
        """What a list field contains, in lower case."""
        value = self.field(name)
        return _TOKENS.findall(value.lower()) if value else []


class Piece(NamedTuple):
    """One piece; `head` only with Part.HEAD."""

    part: Part
    content: bytes = b""
    head: Head | None = None


_OVER = Piece(Part.END)


class Reader:
    """One direction. After each HEAD of an answer say with `bodyless` when it has no body whatever its fields say."""

    def __init__(self, *, requests: bool) -> None:
        self._requests = requests
        self._first = _REQUEST if requests else _STATUS
        self.held = b""  # of a message that has not come far enough
        self._left = 0  # of a body of known length, or of a chunk with its line end
        self._chunked = False
        self._line = False  # a chunk's size comes next
        self._trailer = -1  # bytes of it so far
        self._endless = False
        self.between = True
        self.rest = b""  # what `feed` has yet to hand out of what it was given

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The pieces of what came. Raises NotHttp."""
        data, self.held = self.held + data if self.held else data, b""
        while data:
            if self.between:
                head, data = self._head(data)
                if head is None:
                    return
                self._frame(head, data)
                self.rest = data
                yield Piece(Part.HEAD, head.raw, head)
            else:
                size = self._body(data)
                if size == 0:
                    self.held = data
                    return
                piece, data = data[:size], data[size:]
                self.rest = data
                yield Piece(Part.BODY, piece)
            if self._over():
                self.between = True
                yield _OVER

    def bodyless(self) -> None:
        """The message whose HEAD was just handed out ends with it."""
        self._left, self._chunked, self._endless = 0, False, False

    def unread(self) -> bytes:
        """What is held of a message that has not come far enough to be handed out; nothing is held afterwards."""
        held, self.held = self.held, b""
        return held

    def fresh(self) -> bool:
        """Whether nothing of a message has come yet."""
        return self.between and not self.held

    @property
    def endless(self) -> bool:
        """Whether the body goes on until the connection is closed."""
        return not self.between and self._endless

    def _head(self, data: bytes) -> tuple[Head | None, bytes]:
        blank = len(data) - len(data.lstrip(b"\r\n")) if self._requests and data[:1] in b"\r\n" else 0
        end = _END.search(data, blank)
        if end is None:
            self._early(data, blank)
            self.held = data
            return None, b""
        raw = data[: end.end()]
        first = self._first.match(raw, blank)
        if first is None or len(raw) > HEAD_BYTES_MAX:
            raise NotHttp("no HTTP/1.1", data)
        self.between = False
        return Head(raw, first.groups()), data[end.end() :]

    def _early(self, data: bytes, blank: int) -> None:
        """What can be said before the head has ended: most that is not HTTP is seen by its first line."""
        line = data.find(b"\n", blank)
        wrong = line >= 0 and self._first.match(data, blank) is None
        if wrong or len(data) > HEAD_BYTES_MAX or (line < 0 and not self._plausible(data[blank:])):
            raise NotHttp("no HTTP/1.1", data)

    def _plausible(self, start: bytes) -> bool:
        if self._requests:
            return not start or start[:1].isalpha()
        return b"HTTP/1."[: len(start)] == start[:7]

    def _frame(self, head: Head, rest: bytes) -> None:
        length = head.field(b"content-length")
        self._chunked = self._line = b"chunked" in head.tokens(b"transfer-encoding")
        self._trailer, self._endless, self._left = -1, False, 0
        if self._chunked:
            return
        if length:
            if not length.isdigit() or len(length) > 18:
                raise NotHttp("no Content-Length", head.raw + rest)
            self._left = int(length)
        else:
            self._endless = not self._requests

    def _over(self) -> bool:
        return not (self.between or self._left or self._chunked or self._endless)

    def _body(self, data: bytes) -> int:
        """How many bytes of this belong to the body that is under way; 0 when more are needed to say."""
        if self._endless:
            return len(data)
        if self._left:
            size = min(self._left, len(data))
            self._left -= size
            return size
        return self._sized(data) if self._line else self._trailed(data)

    def _sized(self, data: bytes) -> int:
        """The line with a chunk's size."""
        end = data.find(b"\n")
        if end < 0:
            if len(data) > LINE_BYTES_MAX:
                raise NotHttp("no size of a chunk", data)
            return 0
        size = data[:end].partition(b";")[0].strip()
        if not size or len(size) > 15 or not all(c in b"0123456789abcdefABCDEF" for c in size):
            raise NotHttp("no size of a chunk", data)
        chunk = int(size, 16)
        if chunk:
            self._left = chunk + 2
        else:
            self._line, self._trailer = False, 0
        return end + 1

    def _trailed(self, data: bytes) -> int:
        """One line after the last chunk; an empty one ends the message."""
        end = data.find(b"\n")
        self._trailer += max(end, 0)
        if (len(data) > TRAILER_BYTES_MAX and end < 0) or self._trailer > TRAILER_BYTES_MAX:
            raise NotHttp("a trailer without an end", data)
        if end < 0:
            return 0
        if not data[:end].strip():
            self._chunked = False
        return end + 1
