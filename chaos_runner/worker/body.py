"""Where the body of a reply ends: by its length, by its chunks, or with the connection. No IO.

Each reader takes bytes and answers with what lies beyond the body once it is complete, and None until then.
"""

from __future__ import annotations

import re

BODY_BYTES_MAX = 8 * 1024 * 1024
TRAILER_BYTES_MAX = 64 * 1024
_LINE_BYTES_MAX = 4096
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}\Z")


class BadReply(ValueError):
    """What came is no reply; `error` is its class: malformed, too large."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class Kept:
    """The body as far as it came: counted always, stored only where somebody will look at it."""

    __slots__ = ("_keep", "content", "length")

    def __init__(self, keep: bool) -> None:
        self._keep = keep
        self.content = bytearray()
        self.length = 0

    def add(self, part: bytes) -> None:
        """Raises BadReply above 8 MiB."""
        self.length += len(part)
        if self.length > BODY_BYTES_MAX:
            raise BadReply("too large")
        if self._keep:
            self.content += part


class Sized:
    """A body of a stated length."""

    __slots__ = ("_kept", "_left")
    ends_with_connection = False

    def __init__(self, kept: Kept, length: int) -> None:
        if length > BODY_BYTES_MAX:
            raise BadReply("too large")
        self._kept = kept
        self._left = length

    def feed(self, data: bytes) -> bytes | None:
        part = data[: self._left]
        self._left -= len(part)
        self._kept.add(part)
        return None if self._left else data[len(part) :]


class Endless:
    """A body that ends when the connection does."""

    __slots__ = ("_kept",)
    ends_with_connection = True

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def feed(self, data: bytes) -> bytes | None:
        self._kept.add(data)
        return None


class Chunked:
    """A body in chunks, trailers included."""

    __slots__ = ("_kept", "_left", "_rest", "_step", "_trailer_bytes")
    ends_with_connection = False

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._rest = b""
        self._left = 0
        self._trailer_bytes = 0
        self._step = self._size

    def feed(self, data: bytes) -> bytes | None:
        self._rest += data
        while True:
            before, step = len(self._rest), self._step
            if self._step():
                return self._rest
            if before == len(self._rest) and step == self._step:
                return None

    def _line(self) -> bytes | None:
        end = self._rest.find(b"\r\n")
        if (end if end >= 0 else len(self._rest)) > _LINE_BYTES_MAX:
            raise BadReply("malformed")
        if end < 0:
            return None
        line, self._rest = self._rest[:end], self._rest[end + 2 :]
        return line

    def _size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        size = line.partition(b";")[0].rstrip(b" \t")
        if _CHUNK_SIZE.match(size) is None:
            raise BadReply("malformed")
        self._left = int(size, 16)
        self._step = self._chunk if self._left else self._trailer
        return False

    def _chunk(self) -> bool:
        part = self._rest[: self._left]
        self._rest = self._rest[len(part) :]
        self._left -= len(part)
        self._kept.add(part)
        if self._left == 0:
            self._step = self._chunk_end
        return False

    def _chunk_end(self) -> bool:
        if not b"\r\n".startswith(self._rest[:2]):
            raise BadReply("malformed")
        if len(self._rest) >= 2:
            self._rest = self._rest[2:]
            self._step = self._size
        return False

    def _trailer(self) -> bool:
        line = self._line()
        if line is None:
            return False
        self._trailer_bytes += len(line) + 2
        if self._trailer_bytes > TRAILER_BYTES_MAX:
            raise BadReply("too large")
        return line == b""
