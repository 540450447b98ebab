"""One socket of a connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, cast

from chaos_runner.proxy.stages.stage import End

if TYPE_CHECKING:
    from chaos_runner.proxy.connection import Connection
    from chaos_runner.proxy.link import Link

WRITE_BUFFER_BYTES = 512 << 10
RESET = struct.pack("ii", 1, 0)


class Side(asyncio.Protocol):
    """One socket of a connection: `out` carries what it sends, `back` what it is sent."""

    __slots__ = ("back", "connected", "connection", "out", "transport")
    transport: asyncio.Transport
    out: Link
    back: Link

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.connected = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self.transport = cast("asyncio.Transport", transport)
        self.connected = True
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self.connection.side_made(self)

    def data_received(self, data: bytes) -> None:
        link = self.out
        if link.direct is not None:
            link.count.read += len(data)
            link.count.reads += 1
            link.direct(data)
        elif link.glance is not None and (passing := link.glance(data)) is not None:
            count = link.count
            count.read += len(data)
            count.reads += 1
            if passing is data:
                link.write(data)
            else:
                link.instead(data, passing)
        else:
            link.take(data)

    def eof_received(self) -> bool:
        self.out.take(End.FIN)
        return True

    def pause_writing(self) -> None:
        self.back.sink_full = True
        self.connection.throttle()

    def resume_writing(self) -> None:
        self.back.sink_full = False
        self.connection.throttle()

    def connection_lost(self, exc: Exception | None) -> None:
        self.connected = False
        self.connection.side_lost(self)

    def reset(self) -> None:
        if self.connected:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.transport.abort()
