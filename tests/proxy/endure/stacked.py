"""One stream through eight toxics on top of each other, which may all delay and cut it up, and must not lose a byte."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time
from typing import NamedTuple

from tests.proxy import toxi

# Every type that lets all bytes pass, each at work on every one of them; timeout, reset_peer and a limit that is
# reached would lose some on purpose.
STACK: tuple[tuple[str, dict[str, int]], ...] = (
    ("latency", {"latency": 20, "jitter": 5}),
    ("bandwidth", {"rate": 100_000}),
    ("slicer", {"average_size": 16_384, "size_variation": 4_096, "delay": 0}),
    ("slow_close", {"delay": 100}),
    ("limit_data", {"bytes": 1 << 50}),
    ("latency", {"latency": 5, "jitter": 0}),
    ("slicer", {"average_size": 8_192, "size_variation": 1_024, "delay": 0}),
    ("bandwidth", {"rate": 60_000}),
)
PIECE = 64 << 10
POOL = 64  # different pieces, so that one that is missing, doubled or out of order changes the sum


class Flow(NamedTuple):
    """What came out at the other end."""

    sent: int
    got: int
    same: bool
    seconds: float

    @property
    def rate(self) -> float:
        """MB/s."""
        return self.got / self.seconds / 1e6


def stack(api: toxi.Api, stream: str = "downstream") -> list[str]:
    """Puts all eight on proxy `p`; their names."""
    return [api.toxic(kind, stream, name=f"{n}-{kind}", **values) for n, (kind, values) in enumerate(STACK)]


def flow(rig: toxi.Rig, size: int, rate: float | None) -> Flow:
    """Sends so many bytes from the server to the client, at `rate` MB/s or as fast as it goes, and compares."""
    line = rig.line()
    line.server.settimeout(60)
    line.client.settimeout(60)
    chance = random.Random(1)
    pool = [chance.randbytes(PIECE) for _ in range(POOL)]
    sums: list[str] = []
    began = time.monotonic()
    sender = threading.Thread(target=lambda: sums.append(_send(line.server, pool, size, rate)), daemon=True)
    sender.start()
    got, digest = 0, hashlib.blake2b()
    while data := line.client.recv(1 << 20):
        got += len(data)
        digest.update(data)
    took = time.monotonic() - began
    sender.join(60)
    return Flow(size, got, sums == [digest.hexdigest()], took)


def _send(sock: socket.socket, pool: list[bytes], size: int, rate: float | None) -> str:
    """Paced by the clock, so that what a pause held up is caught up on; the checksum of what was sent."""
    digest, sent, began = hashlib.blake2b(), 0, time.monotonic()
    number = 0
    while sent < size:
        piece = pool[number % POOL][: size - sent]
        sock.sendall(piece)
        digest.update(piece)
        sent, number = sent + len(piece), number + 1
        ahead = 0.0 if rate is None else sent / (rate * 1e6) - (time.monotonic() - began)
        if ahead > 0.001:
            time.sleep(ahead)
    sock.shutdown(socket.SHUT_WR)
    return digest.hexdigest()
