"""Everything that can come and go, coming and going: connections of every kind, toxics, proxies, leases, API clients.

Seeded, as far as threads allow. `turns` counts what was done, so that an idle churn cannot look like a calm one.
"""

from __future__ import annotations

import collections
import contextlib
import json
import random
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any, Self

from tests.proxy import toxi

RESET = struct.pack("ii", 1, 0)
PROXIES = 3
CLIENT_S = 2.0
WORD = b"w" * 700

TOXICS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("latency", {"latency": 30, "jitter": 20}),
    ("bandwidth", {"rate": 500}),
    ("slow_close", {"delay": 50}),
    ("timeout", {"timeout": 40}),
    ("reset_peer", {"timeout": 10}),
    ("slicer", {"average_size": 50, "size_variation": 10, "delay": 100}),
    ("limit_data", {"bytes": 900}),
    ("noop", {}),
    ("http_error", {"share": 0.5, "when": "after"}),
    ("http_delay", {"delay": 20, "jitter": 10}),
)
REQUEST = b"POST /order HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"


class Churn:
    """Threads that make and unmake until told to stop; `api` is any server with Toxiproxy's routes and ours."""

    def __init__(self, api: toxi.Api, upstream: int, seed: int) -> None:
        self.api = api
        self.upstream = f"{toxi.LOOP}:{upstream}"
        self.turns: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self.over = threading.Event()
        self.ports = [toxi.port_of(api.make(f"c{n}", self.upstream)) for n in range(PROXIES)]
        clients = (self.exchange, self.abort, self.half_close, self.walk_away, self.speak_http)
        others = (self.proxies, self.leases, self.leases, self.limits, self.rude)
        kinds = (*clients, self.exchange, self.speak_http, *(self.toxics,) * 4, *others)
        self.threads = [
            threading.Thread(target=self.again, args=(kind, random.Random(f"{seed}/{n}")), daemon=True)
            for n, kind in enumerate(kinds)
        ]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(30)
        for run in ("churn-a", "churn-b"):
            self.api("DELETE", f"/chaos-runner/v1/leases/{run}")
        self.api.clear()

    def again(self, kind: Callable[[random.Random], None], chance: random.Random) -> None:
        while not self.over.is_set():
            try:
                kind(chance)
            except OSError:
                self.turns["refused or cut"] += 1  # as toxics, and proxies that went away, would have it
            except Exception as bug:  # kept: a thread that died quietly would churn no more
                self.wrong.append(f"{kind.__name__}: {bug!r}")
                return
            self.turns[kind.__name__] += 1
            self.over.wait(chance.uniform(0, 0.01))

    def connected(self, chance: random.Random) -> socket.socket:
        return socket.create_connection((toxi.LOOP, chance.choice(self.ports)), timeout=CLIENT_S)

    def exchange(self, chance: random.Random) -> None:
        """What comes back is what was sent, as far as it comes."""
        with self.connected(chance) as sock:
            for _ in range(chance.randrange(1, 4)):
                sock.sendall(WORD)
                got = toxi.read(sock, len(WORD))
                # A toxic may end it early; other bytes are never right.
                if not WORD.startswith(got):
                    self.wrong.append(f"other bytes came back: {got[:60]!r}")

    def abort(self, chance: random.Random) -> None:
        """Says half of something and resets."""
        with self.connected(chance) as sock:
            sock.sendall(WORD[: chance.randrange(1, len(WORD))])
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def half_close(self, chance: random.Random) -> None:
        with self.connected(chance) as sock:
            sock.sendall(WORD)
            sock.shutdown(socket.SHUT_WR)
            toxi.to_end(sock)

    def walk_away(self, chance: random.Random) -> None:
        """Asks for much and reads nothing of it."""
        with self.connected(chance) as sock:
            sock.settimeout(0.1)
            with contextlib.suppress(TimeoutError):
                sock.sendall(WORD * 1000)
            self.over.wait(chance.uniform(0, 0.2))

    def speak_http(self, chance: random.Random) -> None:
        """Requests to an echo: what comes back is no answer, which is the proxy's problem too."""
        with self.connected(chance) as sock:
            for _ in range(chance.randrange(1, 5)):
                sock.sendall(REQUEST)
                sock.recv(4096)

    def toxics(self, chance: random.Random) -> None:
        proxy, name = f"c{chance.randrange(PROXIES)}", f"t{chance.randrange(8)}"
        kind, values = chance.choice(TOXICS)
        stream = chance.choice(("upstream", "downstream"))
        body = {"name": name, "type": kind, "stream": stream, "attributes": values, "toxicity": chance.random()}
        self.call("POST", f"/proxies/{proxy}/toxics", body)
        self.over.wait(chance.uniform(0, 0.05))
        self.call("PATCH", f"/proxies/{proxy}/toxics/{name}", {"toxicity": chance.random()})
        self.call("DELETE", f"/proxies/{proxy}/toxics/{name}")
        if chance.random() < 0.05:
            self.call("POST", "/reset")

    def proxies(self, chance: random.Random) -> None:
        """One that comes and goes with a client on it, one that goes down and up."""
        made = self.call("POST", "/proxies", {"name": "brief", "listen": f"{toxi.LOOP}:0", "upstream": self.upstream})
        with socket.create_connection((toxi.LOOP, toxi.port_of(made.json)), timeout=CLIENT_S) as sock:
            sock.sendall(WORD)
            self.call("DELETE", "/proxies/brief")
            toxi.to_end(sock)
        self.call("PATCH", "/proxies/c0", {"enabled": False})
        self.call("PATCH", "/proxies/c0", {"enabled": True})

    def leases(self, chance: random.Random) -> None:
        """Some are given back, some lapse with their toxic on."""
        run = chance.choice(("churn-a", "churn-b"))
        self.call("PUT", f"/chaos-runner/v1/leases/{run}", {"ttl": 0.5, "restore": {"c1": {"enabled": True}}})
        body = {"name": f"cx.{run}.{chance.randrange(5)}.9", "type": "latency", "attributes": {"latency": 5}}
        self.call("POST", "/proxies/c1/toxics", body)
        self.over.wait(chance.uniform(0, 0.7))
        if chance.random() < 0.5:
            self.call("DELETE", f"/chaos-runner/v1/leases/{run}")

    def limits(self, chance: random.Random) -> None:
        """Toxics that end by themselves."""
        name = f"limited-{chance.randrange(20)}"
        self.call("PUT", f"/chaos-runner/v1/limits/c2/{name}", {"ttl": 0.1, "max_affected": 2})
        body = {"name": name, "type": "latency", "attributes": {"latency": 5}}
        self.call("POST", "/proxies/c2/toxics", body)

    def rude(self, chance: random.Random) -> None:
        """A client of the API that goes away in the middle of a request, or before its answer."""
        with socket.create_connection((toxi.LOOP, self.api.port), timeout=CLIENT_S) as sock:
            whole = b"POST /proxies/c0/toxics HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n" + b"{" * 20
            sock.sendall(whole[: chance.randrange(1, len(whole))])
            if chance.random() < 0.5:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def call(self, method: str, path: str, body: object = None) -> toxi.Answer:
        """One call; anything but an answer in the API's words is wrong."""
        answer = self.api(method, path, body)
        if answer.status >= 500 and "in use" not in answer.error:
            self.wrong.append(f"{method} {path}: {answer.status} {json.dumps(body)}: {answer.raw[:200]!r}")
        return answer
