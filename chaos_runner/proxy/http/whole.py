"""Messages that came in one piece, as most do, seen without cutting them up. No IO, no clock.

What is said here agrees with `messages.Reader`; where only that can tell, nothing is said.
"""

from __future__ import annotations

import re

from chaos_runner.proxy.http.messages import HEAD_BYTES_MAX, Head

_REQUEST = rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}) ([!-~\x80-\xff]++) HTTP/1\.([01])\r\n"
_STATUS = rb"HTTP/1\.[01] (?!204|304)[2-5][0-9][0-9](?: [^\r\n]*+)?\r\n"
_LINES = rb"(?:(?!(?i:content-length|transfer-encoding):)[^\r\n]++\r\n)*+"
_SIZE = rb"(?i:content-length):[ \t]*+([0-9]{1,18})[ \t]*+\r\n"
_SIZED = re.compile(_REQUEST + _LINES + rb"(?:" + _SIZE + _LINES + rb")?+\r\n")
_ANSWER = re.compile(_STATUS + _LINES + _SIZE + _LINES + rb"\r\n")
_FIRST_LINE = re.compile(_REQUEST.replace(rb"[01]", rb"1"))
# An end of the head before the last line, or a field that matters to us. Looking for these is faster than reading all
# lines, and for their first letters faster than for either case.
_DOUBT = re.compile(
    rb"\n(?:\r?\n.|\n|"
    rb"[CcTtUuEe](?i:ontent-length:|ransfer-encoding:|pgrade:|xpect:|onnection:(?! ?keep-alive\r)))",
    re.DOTALL,
)


def request(data: bytes) -> Head | None:
    """The head of a request that is exactly these bytes, its body included."""
    if data.endswith(b"\n\r\n") and len(data) <= HEAD_BYTES_MAX and _DOUBT.search(data) is None:
        found = _FIRST_LINE.match(data)
        return Head(data, found.groups(), True) if found is not None else None
    found = _SIZED.match(data, 0, HEAD_BYTES_MAX)
    if found is None or found.end() + int(found[4] or 0) != len(data):
        return None
    return Head(data[: found.end()], found.groups()[:3])


def answer(data: bytes) -> bool:
    """Whether this is exactly one answer, its body included, and the last one to a request that was not HEAD."""
    found = _ANSWER.match(data, 0, HEAD_BYTES_MAX)
    return found is not None and found.end() + int(found[1]) == len(data)
