"""A real Toxiproxy in front of an HTTP service that is always asked; and what an HTTP stage leaves on it."""

from __future__ import annotations

import contextlib
import http.client
import os
import select
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import anyio

from chaos_runner import recover, store
from chaos_runner.recover import Recovered
from chaos_runner.store import StoreError
from tests.proxy import toxi
from tests.real.toxibench import Ground, Runner, waited

ASK_EVERY_S = 0.02


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        return


class Asker:
    """Asks at an address all the time, over a new connection each; keeps when what came: a status, or 0 for none."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen: list[tuple[float, int]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)

    def _ask(self) -> None:
        while not self._over.wait(ASK_EVERY_S):
            self.seen.append((time.monotonic(), asked(self.port)))

    def since(self, begun: float) -> list[int]:
        return [status for at, status in list(self.seen) if at >= begun]


def asked(port: int) -> int:
    """The status of one request; 0 where there is none."""
    line = http.client.HTTPConnection(toxi.LOOP, port, timeout=3)
    try:
        line.request("GET", "/orders")
        return line.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        line.close()


class Site(Ground):
    """A ground whose proxy `p` leads to a service."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.service = ThreadingHTTPServer((toxi.LOOP, 0), Answers)
        self.service.daemon_threads = True
        self.service.handle_error = lambda *_: None  # type: ignore[method-assign] -- connections are dropped here
        threading.Thread(target=self.service.serve_forever, args=(0.05,), daemon=True).start()
        self.upstream = f"{toxi.LOOP}:{self.service.server_port}"
        assert self.api("PATCH", "/proxies/p", {"upstream": self.upstream}).status == 200
        self.found = self.proxies()

    @property
    def front(self) -> int:
        return self.rig.port

    def staged(self, name: str = "run-1", kind: str = "http_error", **more: str) -> Runner:
        """A run that holds its fault."""
        return self.run(name, kind, **more).injected()

    def stages(self) -> list[int]:
        """The stages that the ledgers know of and that live."""
        found = []
        for runner in self.runners:
            with contextlib.suppress(StoreError), store.open_store(runner.state, read_only=True) as ledger:
                found += [int(row.undo["before"]["stage"]["pid"]) for row in ledger.faults(runner.name)]
        return [pid for pid in found if _is_stage(pid)]

    def leads(self) -> str:
        upstream: str = self.proxies()["p"]["upstream"]
        return upstream

    def harm(self) -> list[str]:
        """The proxies that lead to anything else than they did, or are down."""
        found = self.proxies()
        return [name for name, was in self.found.items() if name not in found or not _same(was, found[name])]

    def left(self) -> list[str]:
        """Every mark and trace of ours."""
        found = self.proxies()
        marks = [toxic["name"] for one in found.values() for toxic in one["toxics"] if toxic["name"].startswith("cx.")]
        return sorted([name for name in found if name.startswith("cx.")] + marks)

    def until_back(self, limit_s: float) -> float:
        """How long until the proxy leads where it led, and answers."""
        return waited(lambda: self.harm() == [] and asked(self.front) == 200, limit_s, f"p leads to {self.leads()}")

    def cleaned(self) -> list[str]:
        """What two recoveries leave: one now, and one after the watch."""

        async def now() -> list[Recovered]:
            with store.open_store(self.state, allow_tmpfs=True) as ledger:
                return await recover.recover(ledger, None, lambda _: None, patience_s=10)

        return [left for one in (*anyio.run(now), *self.recovered()) for left in one.left] + self.left()

    def close(self) -> None:
        super().close()
        for pid in self.stages():
            kill(pid)
        self.service.shutdown()
        self.service.server_close()


def _is_stage(pid: int) -> bool:
    try:
        return b"chaos_runner.stage" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _same(was: dict[str, object], now: dict[str, object]) -> bool:
    return all(was[key] == now[key] for key in ("upstream", "listen", "enabled"))


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def ended(pid: int, limit_s: float) -> bool:
    """Whether the process ends in time."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([pidfd], [], [], limit_s)[0])
    finally:
        os.close(pidfd)
