"""A world, a folder with its configuration, and the command line as people use it, in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chaos_runner import store
from chaos_runner.pocket.world import World

ROOT = Path(__file__).parents[2]

CONFIG = """
kind: config/v1
environments:
  here:
    {extra}
    toxiproxy: {{url: "{toxiproxy}"}}
    services: {{shop: "{shop}", checkout: "{checkout}"}}
"""

EXPERIMENT = """
kind: experiment/v1
name: slow-payments
hypothesis: shoppers still check out when payments answers late
steady_state:
  shoppers:
    probe: http
    with: {{{check}, rate: {rate}, timeout: 2s}}
    expect: [success >= {success}, p95 <= 1s]
baseline: 5s
blast_radius: {{at_once: 1, in_total: 1, max_duration: {max_duration}}}
abort: {{violated_for: 3s}}
method:
  - fault: toxic
    target: {target}
    with: {{type: latency, latency: 400ms}}
    for: {hold}
    {confirm}
recovery: {{within: 20s}}
"""


class Bench:
    """One world and one folder; `run` is `chaos-runner run` there."""

    def __init__(self, folder: Path, world: World, toxiproxy: str = "", extra: str = "confirm: none") -> None:
        self.folder, self.world = folder, world
        folder.mkdir(exist_ok=True)
        addresses = {"shop": world.shop, "checkout": world.services["checkout"]}
        (folder / "chaos-runner.yaml").write_text(
            CONFIG.format(extra=extra, toxiproxy=toxiproxy or world.toxiproxy, **addresses)
        )

    def write(self, name: str = "e.yaml", **fields: str) -> None:
        """An experiment."""
        given = {
            "check": "service: shop, path: /checkout, method: POST",
            "target": "{proxy: payments}",
            "hold": "8s",
            "max_duration": "60s",
            "confirm": "",
            "rate": "40/s",
            "success": "98%",
        }
        (self.folder / name).write_text(EXPERIMENT.format(**(given | fields)))

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """A command, under way."""
        return subprocess.Popen(
            [sys.executable, "-m", "chaos_runner", *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def command(self, *words: str) -> tuple[int, str]:
        """A command's exit code, and all it said."""
        with self.start(*words) as process:
            out, err = process.communicate(timeout=120)
        return process.returncode, (out + err).decode()

    def run(self, *words: str) -> tuple[int, str]:
        return self.command("run", "e.yaml", "--no-report", *words)

    def proxies(self) -> dict[str, Any]:
        return ask(f"{self.world.toxiproxy}/proxies")

    def toxics(self) -> list[str]:
        """What harms; a fence does not."""
        return [
            toxic["name"] for proxy in self.proxies().values() for toxic in proxy["toxics"] if toxic["type"] != "noop"
        ]

    def until_toxic(self, process: subprocess.Popen[bytes], limit_s: float = 40.0) -> None:
        end = time.monotonic() + limit_s
        while not self.toxics():
            assert process.poll() is None, "it ended before it injected"
            assert time.monotonic() < end, "nothing was injected"
            time.sleep(0.1)

    def clean_after(self, limit_s: float) -> float:
        begun = time.monotonic()
        while self.toxics():
            assert time.monotonic() < begun + limit_s, "the toxic is still there"
            time.sleep(0.01)
        return time.monotonic() - begun

    def ledger(self) -> store.Store:
        return store.open_store(self.folder / ".chaos-runner", read_only=True)

    def left(self, limit_s: float = 5.0) -> dict[str, Any]:
        """What is left after a run, once its guardian had time to go."""
        end = time.monotonic() + limit_s
        while self.guardians() and time.monotonic() < end:
            time.sleep(0.2)
        return {"toxics": self.toxics(), "guardians": self.guardians()}

    def guardians(self) -> list[int]:
        """The guardians of this folder that live, told by their log."""
        found = []
        for log in (self.folder / ".chaos-runner").glob("guardian-*.log"):
            for fd in Path("/proc").glob("[0-9]*/fd/1"):
                with contextlib.suppress(OSError):
                    if fd.readlink() == log:
                        found.append(int(fd.parts[2]))
        return found

    def end_guardians(self) -> None:
        """Those that would watch on for a minute after their test."""
        for pid in self.guardians():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as reply:
        return json.load(reply)


class Witness:
    """A relay before a server that writes down the first line of every request; one connection, one thread."""

    def __init__(self, url: str) -> None:
        self.lines: list[str] = []
        host, _, port = url.removeprefix("http://").rpartition(":")
        self._to = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._begin(self._accept)

    def _begin(self, work: Callable[..., None], *arguments: Any) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._to, timeout=10)
            self._ends += [near, far]
            self._begin(self._pump, near, far, True)
            self._begin(self._pump, far, near, False)

    def _pump(self, source: socket.socket, sink: socket.socket, noting: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                if noting:
                    self.lines += [
                        line.decode() for line in chunk.split(b"\r\n") if line.endswith((b" HTTP/1.1", b" HTTP/1.0"))
                    ]
                sink.sendall(chunk)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def methods(self) -> set[str]:
        return {line.split(" ", 1)[0] for line in self.lines}

    def close(self) -> None:
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for end in (self._listener, *self._ends):
            end.close()


@contextlib.contextmanager
def benched(folder: Path, world: World) -> Iterator[Bench]:
    """A folder of its own; what is left of its guardians is ended too."""
    bench = Bench(folder, world)
    try:
        yield bench
    finally:
        bench.end_guardians()
