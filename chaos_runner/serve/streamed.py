"""A stream as a response."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chaos_runner.serve.streaming import Stream


class Streamed(Response):
    """A response that is an application of its own."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._stream(scope, receive, send)
