"""Doors to one Toxiproxy, one for each who may call: what went through is written down, in order.

A door forwards what it has received whole, whatever became of the caller meanwhile: so a request of the dead lands.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from tests.proxy.toxi import LOOP

Role = Literal["runner", "guardian", "recovery"]
Moment = Literal["received", "forwarded", "answered"]
ROLES: tuple[Role, ...] = ("runner", "guardian", "recovery")
FORWARD_S = 10.0


class Call:
    """One request and what came of it; `intent` says whether the ledger knew of an open fault when it came."""

    def __init__(self, role: Role, method: str, path: str, body: bytes, intent: bool) -> None:
        self.role, self.method, self.path, self.intent = role, method, path, intent
        self.body: dict[str, Any] = json.loads(body) if body else {}
        self.began = time.monotonic()
        self.status = 0

    @property
    def injects(self) -> bool:
        """Whether it would do harm; a fence does none."""
        adds = self.method == "POST" and self.path.endswith("/toxics") and self.body.get("type") != "noop"
        return adds or (self.method in {"POST", "PATCH"} and self.body.get("enabled") is False)

    @property
    def removes(self) -> bool:
        """Whether it takes a toxic away."""
        return self.method == "DELETE" and "/toxics/" in self.path

    def __repr__(self) -> str:
        kind = self.body.get("type", "")
        return f"{self.role}: {self.method} {self.path} {kind} -> {self.status}"


Failpoint = Callable[[Call, int, Moment], None]


class Relay:
    """The doors and their log. `failpoint` is called with a call, its number among its role's, and the moment."""

    def __init__(self, port: int, intent: Callable[[], bool]) -> None:
        self.port, self.intent = port, intent
        self.calls: list[Call] = []
        self.failpoint: Failpoint | None = None
        self.lies = 0  # so many removals are answered well and not done
        self._busy = 0
        self._turn = threading.Condition()
        self._servers = {role: self._door(role) for role in ROLES}
        self.doors = {role: f"http://{LOOP}:{server.server_port}" for role, server in self._servers.items()}

    def _door(self, role: Role) -> ThreadingHTTPServer:
        relay = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                with contextlib.suppress(OSError):
                    relay.pass_on(role, self)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any

            def log_message(self, *_: object) -> None:
                return

        server = ThreadingHTTPServer((LOOP, 0), Handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign] -- callers die here, on purpose
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def pass_on(self, role: Role, asked: BaseHTTPRequestHandler) -> None:
        length = int(asked.headers.get("Content-Length") or 0)
        body = asked.rfile.read(length)
        if len(body) < length:  # its sender died in the middle of it; no server acts on that
            return
        with self._turn:
            self._busy += 1
        try:
            call = Call(role, asked.command, asked.path, body, self.intent())
            with self._turn:
                number = sum(one.role == role for one in self.calls)
                self.calls.append(call)
            self._at(call, number, "received")
            raw = self._forward(call, body)
            self._at(call, number, "forwarded")
            asked.send_response(call.status)
            asked.send_header("Content-Type", "application/json")
            asked.send_header("Content-Length", str(len(raw)))
            asked.end_headers()
            asked.wfile.write(raw)
            self._at(call, number, "answered")
        finally:
            with self._turn:
                self._busy -= 1
                self._turn.notify_all()

    def _at(self, call: Call, number: int, moment: Moment) -> None:
        if self.failpoint is not None:
            self.failpoint(call, number, moment)

    def _forward(self, call: Call, body: bytes) -> bytes:
        if call.removes and self.lies > 0:
            self.lies -= 1
            call.status = 204
            return b""
        connection = http.client.HTTPConnection(LOOP, self.port, timeout=FORWARD_S)
        try:
            connection.request(call.method, call.path, body or None, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            call.status = answer.status
            return answer.read()
        finally:
            connection.close()

    def quiet(self, limit_s: float = 5.0) -> bool:
        """Waits until nothing is on its way through."""
        with self._turn:
            return self._turn.wait_for(lambda: self._busy == 0, limit_s)

    def forget(self) -> None:
        """Begins a new log."""
        self.calls, self.failpoint, self.lies = [], None, 0

    def close(self) -> None:
        for server in self._servers.values():
            server.shutdown()
            server.server_close()
