"""Thousands of connections that are open at the same time, every one of them asked and every answer compared."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LOOP = "127.0.0.1"
SOURCES = 8  # loopback addresses to come from: no single one runs out of ports
AT_ONCE = 200  # connections that are being made at the same time
SPARE_FILES = 24  # listeners, the API, standard streams, the loop's own
CONNECT_S, ANSWER_S = 30.0, 60.0
WORD = 16


@contextlib.contextmanager
def echo() -> Iterator[int]:
    """An echo server in a process of its own; its port."""
    argv = [sys.executable, str(Path(__file__).with_name("echo.py"))]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def allowed(wanted: int) -> int:
    """How many connections one proxy can have by the machine's limit of files, two for each; raises ours to it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(wanted, (hard - SPARE_FILES) // 2)


class Client(asyncio.Protocol):
    """One connection: a word out, the same word back."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.got = b""
        self.lost = False
        self.waiting: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.got += data
        if len(self.got) >= WORD and self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)

    def ask(self, word: bytes) -> asyncio.Future[None]:
        self.got, self.waiting = b"", asyncio.get_running_loop().create_future()
        self.transport.write(word)
        return self.waiting


class Crowd:
    """Connections to one port, held open."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.clients: list[Client] = []
        self.round = 0

    async def grow(self, number: int) -> None:
        """Opens as many more, some at a time."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(n: int) -> None:
            async with turns, asyncio.timeout(CONNECT_S):
                self.clients.append(await connect(self.port, n))

        await asyncio.gather(*(one(n) for n in range(number)))

    async def ask_all(self) -> int:
        """Asks every connection; how many gave the right answer in time."""
        self.round += 1
        words = [f"{self.round:06d}{n:010d}".encode() for n in range(len(self.clients))]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await asyncio.gather(
                    *(client.ask(word) for client, word in zip(self.clients, words, strict=True) if not client.lost)
                )
        return sum(client.got == word for client, word in zip(self.clients, words, strict=True))

    @property
    def open(self) -> int:
        return sum(not client.lost for client in self.clients)

    def close(self) -> None:
        for client in self.clients:
            client.transport.abort()
        self.clients.clear()


async def connect(port: int, number: int) -> Client:
    """One connection, from one of several addresses of this machine."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    try:
        # The port is chosen when connecting, so that it only has to be free towards this server.
        sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        sock.bind((f"127.0.0.{1 + number % SOURCES}", 0))
        await loop.sock_connect(sock, (LOOP, port))
        _, client = await loop.create_connection(Client, sock=sock)
    except BaseException:
        sock.close()
        raise
    return client
