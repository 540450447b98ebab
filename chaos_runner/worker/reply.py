"""Reads one HTTP/1.1 reply after another from bytes as they come. No IO.

Strict where leniency would hide a broken server: a reply that two clients could read differently is malformed.
"""

from __future__ import annotations

import re

from chaos_runner.worker.body import BadReply, Chunked, Endless, Kept, Sized

HEAD_BYTES_MAX = 64 * 1024

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5]\d\d)(?: [^\r\n]*)?\Z")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)\Z")
_LENGTH = re.compile(rb"\d{1,15}\Z")
_PREFIX = b"HTTP/1."


class Reply:
    """The reply being read: once `feed` or `eof` says it is complete, `status`, `content` and `reusable` hold."""

    __slots__ = ("_body", "_buffer", "_head_bytes", "_keep", "_kept", "_no_body", "reusable", "status")

    def __init__(self, method: str, keep_body: bool) -> None:
        self._no_body = method == "HEAD"
        self._keep = keep_body
        self.next()

    def next(self) -> None:
        """Forgets the last reply; another one follows on the same connection."""
        self._buffer = b""
        self._body: Sized | Chunked | Endless | None = None
        self._head_bytes = 0
        self._kept = Kept(self._keep)
        self.status = 0
        self.reusable = False

    @property
    def begun(self) -> bool:
        """Whether any byte of the reply has come."""
        return bool(self._head_bytes or self._buffer)

    @property
    def content(self) -> bytes:
        """The body, empty unless it was to be kept."""
        return bytes(self._kept.content)

    def feed(self, data: bytes) -> bool:
        """Whether the reply is complete now. Raises BadReply."""
        if self._body is None:
            self._buffer += data
            if not self._head_complete():
                return False
            data, self._buffer = self._buffer, b""
        assert self._body is not None
        beyond = self._body.feed(data)
        if beyond:
            self.reusable = False  # it sent more than was asked for
        return beyond is not None

    def eof(self) -> bool:
        """Whether the end of the connection completes the reply: only when nothing else says where it ends."""
        return self._body is not None and self._body.ends_with_connection

    def _head_complete(self) -> bool:
        while self._body is None:
            end = self._buffer.find(b"\r\n\r\n")
            if self._head_bytes + (end if end >= 0 else len(self._buffer)) > HEAD_BYTES_MAX:
                raise BadReply("too large")
            if end < 0:
                self._check_unfinished()
                return False
            head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
            self._head_bytes += end + 4
            self._read_head(head)
        return True

    def _check_unfinished(self) -> None:
        # Garbage is garbage at its first byte: waiting for an end of the head would call it a timeout.
        start = self._buffer[: len(_PREFIX)]
        if not _PREFIX.startswith(start) or b"\n\n" in self._buffer:
            raise BadReply("malformed")

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        found = _STATUS_LINE.match(first)
        if found is None or found[2] == b"101":  # nobody asked for another protocol
            raise BadReply("malformed")
        status = int(found[2])
        lengths, coding, connection = _framing(lines)
        if status < 200:
            return
        self.status = status
        self._body = self._framed(lengths, coding)
        persistent = b"close" not in connection and (found[1] == b"1" or b"keep-alive" in connection)
        self.reusable = persistent and not self._body.ends_with_connection

    def _framed(self, lengths: set[bytes], coding: bytes) -> Sized | Chunked | Endless:
        if self._no_body or self.status in {204, 304}:
            return Sized(self._kept, 0)
        if coding:
            # A length beside the chunks is how requests are smuggled: no honest server sends both.
            if coding != b"chunked" or lengths:
                raise BadReply("malformed")
            return Chunked(self._kept)
        if not lengths:
            return Endless(self._kept)
        length = lengths.pop()
        if lengths or _LENGTH.match(length) is None:
            raise BadReply("malformed")
        return Sized(self._kept, int(length))


def _framing(lines: list[bytes]) -> tuple[set[bytes], bytes, bytes]:
    """What the fields say about the body's length, its coding, and the connection."""
    lengths: set[bytes] = set()
    coding = connection = b""
    for line in lines:
        found = _FIELD.match(line)
        if found is None:
            raise BadReply("malformed")
        name = found[1].lower()
        if name == b"content-length":
            lengths.update(part.strip() for part in found[2].split(b","))
        elif name == b"transfer-encoding":
            coding += (b"," if coding else b"") + found[2].strip().lower()
        elif name == b"connection":
            connection += b"," + found[2].lower()
    return lengths, coding, connection
