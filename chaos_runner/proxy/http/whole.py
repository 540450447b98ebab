"""Messages that came in one piece, as most do, seen without cutting them up. No IO, no clock.

What is said here agrees with `messages.Reader`; where only that can tell, nothing is said.
"""

from __future__ import annotations

import re

from chaos_runner.proxy.http.messages import HEAD_BYTES_MAX, Head

_REQUEST = rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}) ([!-~\x80-\xff]++) HTTP/1\.([01])\r\n"
_STATUS = rb"HTTP/1\.[01] (?!204|304)[2-5][0-9][0-9](?: [^\r\n]*+)?\r\n"
# A line is told by its first letter where that is enough: a field that matters to us begins with one of these.
_LINES = rb"(?:[^CcTt\r\n].*+\n|[CcTt](?!(?i:ontent-length|ransfer-encoding):).*+\n)*+"
_SIZE = rb"[Cc](?i:ontent-length):[ \t]*+([0-9]{1,18})[ \t]*+\r\n"
_FIRST_LINE_GROUPS = 3
_SIZED = re.compile(_REQUEST + _LINES + rb"(?:" + _SIZE + _LINES + rb")?+\r\n").match
_ANSWER = re.compile(_STATUS + _LINES + _SIZE + _LINES + rb"\r\n").match
_BARE_LINES = (
    rb"(?:[^CcTtUuEe\r\n].*+\n|[CcTtUuEe](?!(?i:"
    rb"ontent-length:|ransfer-encoding:|pgrade:|xpect:|onnection:(?! ?keep-alive\r))).*+\n)*+"
)
_BARE_REQUEST = rb"(?!HEAD |CONNECT )([A-Z]{1,40}+) ([!-~]++) HTTP/1\.(1)\r\n"
_BARE = re.compile(_BARE_REQUEST + _BARE_LINES + rb"(?:" + _SIZE + _BARE_LINES + rb")?+\r\n").match


def request(data: bytes) -> Head | None:
    """The head of a request that is exactly these bytes, its body included."""
    bare = _BARE(data)
    found = bare or _SIZED(data)
    if found is None or found.end() + int(found[4] or 0) != len(data) or found.end() > HEAD_BYTES_MAX:
        return None
    return Head(data[: found.end()], found.groups()[:3], bare is not None)


def bare(data: bytes) -> bool:
    """Whether these bytes are exactly one request, its body included, that asks for nothing special."""
    if (found := _BARE(data)) is None:
        return False
    head = found.end()
    if found.lastindex == _FIRST_LINE_GROUPS:  # no body
        return head == len(data) <= HEAD_BYTES_MAX
    return head + int(found[4]) == len(data) and head <= HEAD_BYTES_MAX


def answer(data: bytes) -> bool:
    """Whether this is exactly one answer, its body included, and the last one to a request that was not HEAD."""
    if (found := _ANSWER(data)) is None:
        return False
    head = found.end()
    return head + int(found[1]) == len(data) and head <= HEAD_BYTES_MAX
