"""The load of bench_proxy.py: a service and its clients, each a process of its own, on bare epoll.

    python tools/proxy_load.py service|clients|timer

They answer commands, a line of JSON each, and end with stdin. None does anything beside reading and writing, so
that the proxy between them is what gets busy. The timer answers each request so many milliseconds later: what that
says of its lateness is this machine's doing.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

LOOP = "127.0.0.1"
REQUEST = (
    b"GET /orders/42?full=1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench/1.0\r\nAccept: application/json\r\n"
    b"Accept-Encoding: gzip\r\nX-Request-Id: 5f2c0c6e9a7d4b11\r\n\r\n"
)
BODY = b'{"order":42,"state":"paid","total":"23.90","lines":[1,2,3,4,5]}\n'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: bench\r\nContent-Length: %d\r\n\r\n" % len(BODY)
ANSWER += BODY
READ_BYTES = 16 << 10
BULK_BYTES = 1 << 20
BACKLOG = 4096
PATIENCE_S = 30.0
LATE_S = 0.020


# --- the service -------------------------------------------------------------------------------------------------


class Service:
    """Answers each request on one port; on another sends as many bytes as it is told to."""

    def __init__(self) -> None:
        self.listener, self.bulk = (socket.create_server((LOOP, 0), backlog=BACKLOG) for _ in range(2))
        self.poll = select.epoll()
        self.open: dict[int, socket.socket] = {}

    def ports(self) -> dict[str, int]:
        return {"small": self.listener.getsockname()[1], "bulk": self.bulk.getsockname()[1]}

    def run(self) -> None:
        self.listener.setblocking(False)
        listening = self.listener.fileno()
        self.poll.register(listening, select.EPOLLIN)
        threading.Thread(target=self.pour_out, daemon=True).start()
        wait, read, write = self.poll.poll, os.read, os.write
        while True:
            for fd, _ in wait():
                if fd == listening:
                    self.accept()
                    continue
                try:
                    if read(fd, READ_BYTES):
                        write(fd, ANSWER)
                        continue
                except OSError:
                    pass
                self.open.pop(fd).close()

    def accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = self.listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.open[sock.fileno()] = sock
                self.poll.register(sock.fileno(), select.EPOLLIN)

    def pour_out(self) -> None:
        """One connection after the other: a line with the number of bytes, then those."""
        block = memoryview(os.urandom(BULK_BYTES))
        while True:
            sock, _ = self.bulk.accept()
            with sock, contextlib.suppress(OSError), sock.makefile("rb") as asked:
                left = int(asked.readline())
                while left:
                    left -= sock.send(block[:left])


# --- the timer ---------------------------------------------------------------------------------------------------


class Timer:
    """Answers each request `LATE_S` after it came: a bare wait with a limit, to the microsecond, and nothing else."""

    def __init__(self) -> None:
        self.listener = socket.create_server((LOOP, 0), backlog=BACKLOG)
        self.open: list[socket.socket] = []
        self.due: deque[tuple[float, socket.socket]] = deque()

    def run(self) -> None:
        while True:
            wait = max(self.due[0][0] - time.monotonic(), 0) if self.due else None
            ready, _, _ = select.select([self.listener, *self.open], [], [], wait)
            while self.due and self.due[0][0] <= time.monotonic():
                self.due.popleft()[1].sendall(ANSWER)
            for sock in ready:
                self.look(sock)

    def look(self, sock: socket.socket) -> None:
        now = time.monotonic()
        if sock is self.listener:
            self.open.append(sock.accept()[0])
            self.open[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        elif sock.recv(READ_BYTES):
            self.due.append((now + LATE_S, sock))
        else:
            self.open.remove(sock)
            sock.close()


# --- the clients -------------------------------------------------------------------------------------------------


class Clients:
    """Connections to some ports, and what is sent over them."""

    def __init__(self) -> None:
        self.open_at: dict[int, list[socket.socket]] = {}
        self.sizes: dict[int, int] = {}

    def open(self, port: int, connections: int) -> dict[str, Any]:
        """So many connections, each of which has been answered once."""
        made = self.open_at.setdefault(port, [])
        status = b""
        for _ in range(connections):
            sock = socket.create_connection((LOOP, port), timeout=PATIENCE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.append(sock)
            sock.sendall(REQUEST)
            status, self.sizes[port] = one_answer(sock)
        return {"status": int(status)}

    def close(self) -> dict[str, Any]:
        for sock in (sock for made in self.open_at.values() for sock in made):
            sock.close()
        self.open_at.clear()
        return {}

    def closed(self, port: int, seconds: float) -> dict[str, Any]:
        """One request after the other on every connection; the CPU is that of these clients."""
        poll, size = self.polled([port]), self.sizes[port]
        fds = [sock.fileno() for sock in self.open_at[port]]
        missing = dict.fromkeys(fds, size)
        wait, read, write, clock = poll.poll, os.read, os.write, time.perf_counter
        cpu, began, done, busy = time.process_time(), clock(), 0, len(fds)
        end = began + seconds
        for fd in fds:
            write(fd, REQUEST)
        while busy:
            going = clock() < end
            if not (ready := wait(PATIENCE_S)):
                raise TimeoutError(f"{busy} requests were not answered")
            for fd, _ in ready:
                left = missing[fd] - len(read(fd, READ_BYTES))
                if left:
                    missing[fd] = left
                    continue
                missing[fd] = size
                done += 1
                if going:
                    write(fd, REQUEST)
                else:
                    busy -= 1
        return {"requests": done, "seconds": clock() - began, "cpu_s": time.process_time() - cpu}

    def paced(self, ports: list[int], requests: int, interval_s: float) -> dict[str, Any]:
        """So many requests to each port, in turn, one every interval; for each port the round trips in seconds."""
        poll = self.polled(ports)
        idle = {port: deque(sock.fileno() for sock in self.open_at[port]) for port in ports}
        sent: dict[int, tuple[int, float]] = {}
        missing: dict[int, int] = {}
        took: dict[int, list[float]] = {port: [] for port in ports}

        def look(limit_s: float) -> None:
            ready = poll.poll(limit_s)
            if not ready and limit_s == PATIENCE_S:
                raise TimeoutError(f"{len(sent)} requests were not answered")
            for fd, _ in ready:
                now = time.perf_counter()
                missing[fd] -= len(os.read(fd, READ_BYTES))
                if not missing[fd]:
                    port, at = sent.pop(fd)
                    took[port].append(now - at)
                    idle[port].append(fd)

        began = time.perf_counter()
        for number in range(requests * len(ports)):
            port = ports[number % len(ports)]
            while (wait := began + number * interval_s - time.perf_counter()) > 0 or not idle[port]:
                look(max(wait, 0) if idle[port] else PATIENCE_S)
            fd = idle[port].popleft()
            missing[fd], sent[fd] = self.sizes[port], (port, time.perf_counter())
            os.write(fd, REQUEST)
        while sent:
            look(PATIENCE_S)
        return {"round_trips_s": [took[port] for port in ports]}

    def polled(self, ports: list[int]) -> select.epoll:
        poll = select.epoll()
        for sock in (sock for port in ports for sock in self.open_at[port]):
            poll.register(sock.fileno(), select.EPOLLIN)
        return poll

    def bulk(self, port: int, size: int) -> dict[str, Any]:
        """Reads so many bytes that the service sends."""
        into = bytearray(BULK_BYTES)
        with socket.create_connection((LOOP, port), timeout=PATIENCE_S) as sock:
            cpu, began, left = time.process_time(), time.perf_counter(), size
            sock.sendall(b"%d\n" % size)
            while left and (got := sock.recv_into(into)):
                left -= got
            took, cpu = time.perf_counter() - began, time.process_time() - cpu
        return {"missing": left, "seconds": took, "cpu_s": cpu}


def one_answer(sock: socket.socket) -> tuple[bytes, int]:
    """The status of the next answer, and its size."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += received(sock)
    head, _, _ = got.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    size = len(head) + 4 + length
    while len(got) < size:
        got += received(sock)
    return head.split()[1], size


def received(sock: socket.socket) -> bytes:
    data = sock.recv(READ_BYTES)
    if not data:
        raise ConnectionError("closed instead of answered")
    return data


def say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main(role: str) -> None:
    if role == "service":
        service = Service()
        threading.Thread(target=service.run, daemon=True).start()
        say(service.ports())
        sys.stdin.read()
        return
    if role == "timer":
        timer = Timer()
        threading.Thread(target=timer.run, daemon=True).start()
        say({"port": timer.listener.getsockname()[1]})
        sys.stdin.read()
        return
    clients = Clients()
    doing: dict[str, Callable[..., dict[str, Any]]] = {
        name: getattr(clients, name) for name in ("open", "close", "closed", "paced", "bulk")
    }
    for line in sys.stdin:
        asked = json.loads(line)
        say(doing[asked.pop("do")](**asked))


if __name__ == "__main__":
    main(sys.argv[1])
