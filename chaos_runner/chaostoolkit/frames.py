"""Messages between us and the processes that run activities: a length, then JSON. No IO."""

from __future__ import annotations

import struct
from typing import Any

import msgspec

FRAME_MAX = 8 << 20
_LENGTH = struct.Struct(">I")


class FrameError(Exception):
    """The other side does not speak this language."""


def framed(message: dict[str, Any]) -> bytes:
    """The bytes to send. Raises FrameError for what is too long or no JSON."""
    try:
        payload = msgspec.json.encode(message)
    except (TypeError, ValueError) as why:
        msg = f"a message is no JSON: {why}"
        raise FrameError(msg) from None
    if len(payload) > FRAME_MAX:
        msg = f"a message of {len(payload)} bytes is too long; at most {FRAME_MAX}"
        raise FrameError(msg)
    return _LENGTH.pack(len(payload)) + payload


class Frames:
    """Bytes as they come, cut into messages."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[dict[str, Any]]:
        """The messages that are whole by now. Raises FrameError."""
        self._rest += chunk
        messages = []
        while len(self._rest) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._rest)
            if length > FRAME_MAX:
                msg = f"a message of {length} bytes is too long"
                raise FrameError(msg)
            if len(self._rest) < _LENGTH.size + length:
                break
            messages.append(_decoded(bytes(self._rest[_LENGTH.size : _LENGTH.size + length])))
            del self._rest[: _LENGTH.size + length]
        return messages


def _decoded(payload: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(payload, type=dict[str, Any])
    except msgspec.MsgspecError as why:
        msg = f"a message cannot be read: {why}"
        raise FrameError(msg) from None
