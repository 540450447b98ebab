"""An observer on the wire between the load and the proxy: it trusts no counter, and knows nothing of toxics."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Self


class Exchange(NamedTuple):
    """One request and the first of its answer, on which connection and when."""

    connection: int
    began: float
    took: float
    status: int


class Relay:
    """Passes everything on to a port; every exchange is in `exchanges`, every connection has a number."""

    def __init__(self, to: int) -> None:
        self.exchanges: list[Exchange] = []
        self.requests = 0
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listener.settimeout(0.1)
        self._enough = threading.Event()
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._begin(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for end in (self._listener, *self._ends):
            end.close()

    def _begin(self, work: Callable[..., None], *arguments: Any) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        number = 0
        while not self._enough.is_set():
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            far = socket.create_connection(("127.0.0.1", self._to), timeout=10)
            near.settimeout(None)
            far.settimeout(None)
            self._ends += [near, far]
            asked: list[float] = []  # one request at a time on each connection
            self._begin(self._requests, near, far, asked)
            self._begin(self._answers, far, near, asked, number)
            number += 1

    def _requests(self, near: socket.socket, far: socket.socket, asked: list[float]) -> None:
        with contextlib.suppress(OSError):
            while chunk := near.recv(65536):
                asked.append(time.monotonic())
                self.requests += 1
                far.sendall(chunk)
            far.shutdown(socket.SHUT_WR)

    def _answers(self, far: socket.socket, near: socket.socket, asked: list[float], number: int) -> None:
        with contextlib.suppress(OSError):
            while chunk := far.recv(65536):
                if chunk.startswith(b"HTTP/1.1 ") and asked:
                    began = asked.pop(0)
                    self.exchanges.append(Exchange(number, began, time.monotonic() - began, int(chunk[9:12])))
                near.sendall(chunk)
            near.shutdown(socket.SHUT_WR)
