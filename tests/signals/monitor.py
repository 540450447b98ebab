"""A monitoring server of a few lines: Prometheus' instant queries and Alertmanager's alerts, each as it is told."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.proxy.toxi import LOOP

WATCHDOG = "Watchdog"


class Monitor:
    """`values` has a part of a query and what that comes to; the first that is in the query counts, else none does."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.alerts: list[dict[str, Any]] = [alert(WATCHDOG)]
        self.status, self.body, self.delay_s = 200, b"", 0.0
        self.asked: list[str] = []
        self.url = ""

    def answer(self, path: str) -> tuple[int, bytes]:
        time.sleep(self.delay_s)
        if self.status != 200 or self.body:
            return self.status, self.body
        parts = urlsplit(path)
        if parts.path == "/api/v2/alerts":
            return 200, json.dumps(self.alerts).encode()
        query = parse_qs(parts.query)["query"][0]
        self.asked.append(query)
        told = next((told for part, told in self.values.items() if part in query), ())
        if isinstance(told, bytes):
            return 400, told
        series = [{"metric": {"n": str(n)}, "value": [time.time(), str(one)]} for n, one in enumerate(told)]
        return 200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": series}}).encode()


def alert(name: str, state: str = "active", ago_s: float = 0.0, **labels: str) -> dict[str, Any]:
    """An alert as Alertmanager tells it, updated so long ago."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago_s))
    by = ["a-silence"] if state == "suppressed" else []
    status = {"state": state, "silencedBy": by, "inhibitedBy": []}
    return {"labels": {"alertname": name, **labels}, "startsAt": stamp, "updatedAt": stamp, "status": status}


def refused(said: str) -> bytes:
    """What Prometheus says to a query that it does not understand."""
    return json.dumps({"status": "error", "errorType": "bad_data", "error": said}).encode()


@contextlib.contextmanager
def serving() -> Iterator[Monitor]:
    monitor = Monitor()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = monitor.answer(self.path)
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer((LOOP, 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monitor.url = f"http://{LOOP}:{server.server_port}"
    try:
        yield monitor
    finally:
        server.shutdown()
        server.server_close()
