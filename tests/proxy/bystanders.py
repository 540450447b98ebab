"""Checksummed streams through a proxy, and beside them clients that stall, dawdle, reset and close halves."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Self

from tests.proxy.toxi import LOOP, Api, port_of, read

BLOCK = 4096
LINGER = struct.pack("ii", 1, 0)
LIMIT_S = 30.0


def block(seed: int, number: int) -> bytes:
    """The nth block of a stream: its number, then bytes that follow from the seed and that number."""
    return struct.pack(">Q", number) + hashlib.shake_128(b"%d/%d" % (seed, number)).digest(BLOCK - 8)


class Upstream:
    """Serves whoever comes: the first byte says how."""

    def __init__(self) -> None:
        self.listener = socket.create_server((LOOP, 0), backlog=512)
        self.where = f"{LOOP}:{self.listener.getsockname()[1]}"
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self.serve, args=(near,), daemon=True)
            thread.start()
            self.threads.append(thread)

    def serve(self, near: socket.socket) -> None:
        near.settimeout(LIMIT_S)
        with near, contextlib.suppress(OSError):
            kind = near.recv(1)
            if kind == b"F":  # a flood that nobody may read
                while True:
                    near.sendall(b"f" * 65536)
            while data := near.recv(65536):
                near.sendall(data)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Checked:
    """An echo through the proxy, block after block, each compared; `wrong` says what came otherwise."""

    def __init__(self, port: int, seed: int) -> None:
        self.seed = seed
        self.blocks = 0
        self.wrong = ""
        self.over = threading.Event()
        self.sock = socket.create_connection((LOOP, port), timeout=LIMIT_S)
        self.sock.sendall(b"E")
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        try:
            while not self.over.is_set():
                sent = block(self.seed, self.blocks)
                self.sock.sendall(sent)
                got = read(self.sock, BLOCK)
                if got != sent:
                    self.wrong = f"block {self.blocks}: {len(got)} bytes, {'other' if got else 'no'} content"
                    return
                self.blocks += 1
                time.sleep(0.002)
        except OSError as error:
            self.wrong = f"block {self.blocks}: {error!r}"

    def finish(self) -> None:
        self.over.set()
        self.thread.join(LIMIT_S)
        self.sock.close()


class Crowd:
    """Clients that come and go: stalled, slow, resetting, half-closing; as many of each as asked."""

    def __init__(self, port: int, seed: int, each: int = 2) -> None:
        self.port = port
        self.random = random.Random(seed)
        self.over = threading.Event()
        kinds = (self.stalled, self.slow, self.resetting, self.half_closing)
        self.threads = [threading.Thread(target=self.again, args=(kind,), daemon=True) for kind in kinds * each]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(LIMIT_S)

    def again(self, kind: Callable[[socket.socket], object]) -> None:
        while not self.over.is_set():
            with contextlib.suppress(OSError), socket.create_connection((LOOP, self.port), timeout=1) as sock:
                kind(sock)
            self.over.wait(0.01)

    def stalled(self, sock: socket.socket) -> None:
        sock.sendall(b"F")
        self.over.wait(self.random.uniform(0.2, 2))

    def slow(self, sock: socket.socket) -> None:
        sock.sendall(b"E" + b"s" * 10_000)
        for _ in range(50):
            sock.recv(100)
            self.over.wait(0.01)

    def resetting(self, sock: socket.socket) -> None:
        sock.sendall(b"F" + b"r" * 5000)
        sock.recv(1000)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)

    def half_closing(self, sock: socket.socket) -> None:
        sock.sendall(b"E" + b"h" * 3000)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(4096):
            pass


def made(api: Api, name: str, upstream: Upstream) -> int:
    return port_of(api.make(name, upstream=upstream.where))
