"""Server-sent events: a numbered event for each record, and unnumbered ones for what only counts now.

A reader that does not keep up is dropped; it comes back by itself, and says where it was.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

import anyio
import msgspec
from starlette.types import Receive, Scope, Send

STREAMS_MAX = 64
SEND_S = 10.0
LIFE_S = 600.0
PACE_S = 0.5
BEAT_S = 15.0
RETRY_MS = 2000
COMMENT = b": still here\n\n"

Drop = Callable[[Scope], None]


class Room:
    """How many streams there are."""

    def __init__(self, most: int = STREAMS_MAX) -> None:
        self.taken = 0
        self._most = most

    def full(self) -> bool:
        """Whether there is no room for one more."""
        return self.taken >= self._most


def event(name: str, value: object, number: int | None = None) -> bytes:
    """One event; with a number, by which a reader that comes back says what it has."""
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {name}\n".encode() + b"data: " + msgspec.json.encode(value) + b"\n\n"


def last_seen(told: str | None) -> int:
    """The number a reader has up to; 0 for none, or nonsense."""
    return int(told) if told and told.isascii() and told.isdecimal() and len(told) < 10 else 0


class Stream:
    """A response that goes on until its events end, its reader leaves or falls behind, or its life is over."""

    def __init__(self, events: AsyncIterator[bytes], room: Room, drop: Drop, send_s: float = SEND_S) -> None:
        self._events = events
        self._room = room
        self._drop = drop
        self._send_s = send_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._room.taken += 1
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._left, receive, tasks.cancel_scope)
                await self._told(scope, send)
                tasks.cancel_scope.cancel()
        finally:
            self._room.taken -= 1

    async def _told(self, scope: Scope, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        until = time.monotonic() + LIFE_S
        chunk = f"retry: {RETRY_MS}\n\n".encode()
        while True:
            with anyio.move_on_after(self._send_s) as limit:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if limit.cancelled_caught:
                self._drop(scope)
                return
            following = await anext(self._events, None) if time.monotonic() < until else None
            if following is None:
                break
            chunk = following
        with anyio.move_on_after(self._send_s):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _left(self, receive: Receive, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()
