"""What the parity suite shares: the two ends of a stream, and times that a busy machine does not spoil."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from tests.proxy.toxi import EARLY_S, LOOP, Api, Line, read

GOOD = {"name": "p", "upstream": "nowhere:9", "listen": f"{LOOP}:0"}
STREAMS = ("upstream", "downstream")
SLACK_S = 0.025
TRIES = 3


def ends(line: Line, stream: str) -> tuple[socket.socket, socket.socket]:
    """Who sends and who receives on this stream."""
    return (line.client, line.server) if stream == "upstream" else (line.server, line.client)


def send(line: Line, stream: str, data: bytes = b"x") -> bytes:
    sender, receiver = ends(line, stream)
    sender.sendall(data)
    return read(receiver, len(data))


def crowd() -> float:
    """How many processes want each core, at least one: on a machine that others use, everything is late."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


class Stalls:
    """How late this process itself was woken meanwhile: what a proxy beside it cannot be blamed for."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._watching, daemon=True)

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.join()

    def _watching(self) -> None:
        asked = 0.002
        begin = time.monotonic()
        while not self._over.wait(asked):
            now = time.monotonic()
            self.worst = max(self.worst, now - begin - asked)
            begin = now


def within(promised_s: float, act: Callable[[], object], most_s: float | None = None) -> None:
    """The act takes what was promised, within 25 ms and a tenth. Never less; longer must happen three times in a row.

    `most_s` is the other end of the range where there is one. Stalls of the machine, measured meanwhile, count extra.
    """
    taken = []
    for _ in range(TRIES):
        with Stalls() as stalls:
            begin = time.monotonic()
            act()
            took = time.monotonic() - begin
        assert took >= promised_s * 0.99 - EARLY_S, f"{took:.3f} s is less than {promised_s} s"
        if took <= (promised_s if most_s is None else most_s) * 1.1 + SLACK_S * crowd() + 3 * stalls.worst:
            return
        taken.append(f"{took:.3f} s (stalls {stalls.worst:.3f} s)")
    raise AssertionError(f"not within {promised_s} s, three times: {', '.join(taken)}")


def refusal(api: Api, method: str, path: str, body: Any = None) -> tuple[int, str]:
    """Status and words of an answer that must have the shape of a refusal."""
    answer = api(method, path, body)
    assert answer.json == {"error": answer.error, "status": answer.status}
    return answer.status, answer.error


def in_thread(work: Callable[..., object], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread
