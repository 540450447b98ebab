"""Two pages on loopback, for who looks after the daemon: /health and /metrics. Answers GET, and keeps nothing open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

REQUEST_S = 2.0
LINE_MAX = 4096
AT_ONCE = 32

Page = Callable[[], tuple[int, str, bytes]]
"""Status, type and body."""


class Pages:
    """A server of a few pages."""

    def __init__(self, pages: dict[str, Page]) -> None:
        self._pages = pages
        self._room = asyncio.Semaphore(AT_ONCE)
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens; the port that it is. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=LINE_MAX)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Answers nothing more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._room, asyncio.timeout(REQUEST_S):
                line = await reader.readline()
                while (await reader.readline()).strip():
                    pass
                writer.write(_answer(*self._page(line)))
                await writer.drain()
        except (OSError, ValueError, TimeoutError):  # whoever asked like that needs no answer
            pass
        finally:
            writer.close()

    def _page(self, line: bytes) -> tuple[int, str, bytes]:
        words = line.split()
        page = self._pages.get(words[1].decode("latin-1")) if len(words) == 3 and words[0] == b"GET" else None
        return page() if page else (404, "text/plain", b"there are /health and /metrics\n")


def _answer(status: int, kind: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} .\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body
