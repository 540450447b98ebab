"""What bench_proxy.py measures with: the servers side by side, and the load between its clients and its service."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench_load import Table, busy_s, cpu_s

ROOT = Path(__file__).resolve().parents[1]
LOOP = "127.0.0.1"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "chaos-runner" / "real"
REAL = Path(os.environ.get("TOXIPROXY_SERVER", CACHE / "toxiproxy-2.12.0" / "server"))
MODULE = ("-m", "chaos_runner.proxy")
WITHOUT_UVLOOP = (
    "-c",
    "import sys; sys.modules['uvloop'] = None; from chaos_runner.proxy.__main__ import main; "
    "sys.exit(main(sys.argv[1:]))",
)
OURS = {"uvloop": MODULE, "asyncio": WITHOUT_UVLOOP}


class Size(NamedTuple):
    """How much is measured."""

    rounds: int
    seconds: float
    bulk_bytes: int
    round_trips: int


class Load:
    """The clients, driven a line at a time."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def __call__(self, what: str, **how: Any) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": what, **how}).encode() + b"\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


class Server:
    """A proxy server and its API."""

    def __init__(self, name: str, pid: int, port: int) -> None:
        self.name, self.pid, self.port = name, pid, port

    def call(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        api = http.client.HTTPConnection(LOOP, self.port, timeout=10)
        with contextlib.closing(api):
            api.request(method, path, json.dumps(body))
            answer = api.getresponse()
            text = answer.read()
        if answer.status not in (200, 201):
            raise SystemExit(f"{self.name}: {method} {path}: {answer.status} {text.decode()}")
        return json.loads(text)

    def proxy(self, name: str, upstream: int, toxic: dict[str, Any] | None = None) -> int:
        """Where a new proxy listens."""
        body = {"name": name, "listen": f"{LOOP}:0", "upstream": f"{LOOP}:{upstream}", "enabled": True}
        port = int(self.call("POST", "/proxies", body)["listen"].rpartition(":")[2])
        if toxic is not None:
            self.call("POST", f"/proxies/{name}/toxics", toxic)
        return port

    def cpu_s(self) -> float:
        """As in /proc/<pid>/stat, but in nanoseconds: a clock tick is too coarse for short rounds."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def pss_kb(self) -> int:
        rows = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        return next(int(row.split()[1]) for row in rows if row.startswith("Pss:"))


class Bench:
    """What all parts share."""

    def __init__(self, size: Size, table: Table, stack: contextlib.ExitStack) -> None:
        self.size, self.table, self.stack = size, table, stack
        self.pids: list[int] = []
        service = self.start([sys.executable, str(ROOT / "tools/proxy_load.py"), "service"])
        assert service.stdout is not None
        ports = json.loads(service.stdout.readline())
        self.small, self.bulk = int(ports["small"]), int(ports["bulk"])
        clients = self.start([sys.executable, str(ROOT / "tools/proxy_load.py"), "clients"])
        self.service_pid, self.clients_pid = service.pid, clients.pid
        self.load = Load(clients)

    def start(self, argv: list[str], stack: contextlib.ExitStack | None = None) -> subprocess.Popen[bytes]:
        """A process that ends with the stack."""
        env = {**os.environ, "PYTHONPATH": str(ROOT), "LOG_LEVEL": "error"}
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
        )
        self.pids.append(process.pid)
        on = stack or self.stack
        on.enter_context(process)
        on.callback(process.kill)
        return process

    def servers(self, stack: contextlib.ExitStack | None = None) -> list[Server]:
        """The real one if there is one, and ours."""
        made = [self.real(stack)] if REAL.exists() else []
        return made + [self.ours(loop, stack) for loop in OURS]

    def ours(self, loop: str, stack: contextlib.ExitStack | None = None) -> Server:
        process = self.start([sys.executable, "-P", *OURS[loop], "-port", "0", "--until-eof"], stack)
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["listening"].rpartition(":")[2]
        return Server(loop, process.pid, int(port))

    def real(self, stack: contextlib.ExitStack | None = None) -> Server:
        with socket.socket() as free:
            free.bind((LOOP, 0))
            port = int(free.getsockname()[1])
        process = self.start([str(REAL), "-host", LOOP, "-port", str(port)], stack)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection((LOOP, port), timeout=2).close()
                return Server("real", process.pid, port)
            time.sleep(0.02)
        raise SystemExit("the real Toxiproxy did not start")

    def timer(self) -> int:
        """Where requests are answered late by a bare timer, in a process of its own."""
        process = self.start([sys.executable, str(ROOT / "tools/proxy_load.py"), "timer"])
        assert process.stdout is not None
        return int(json.loads(process.stdout.readline())["port"])

    def own_s(self) -> float:
        return sum(os.times()[:4]) + sum(cpu_s(pid) for pid in self.pids if Path(f"/proc/{pid}").exists())

    @contextlib.contextmanager
    def part(self, what: str) -> Iterator[None]:
        """Prints what others used of the machine meanwhile."""
        others, began = busy_s() - self.own_s(), time.monotonic()
        yield
        used = (busy_s() - self.own_s() - others) / (time.monotonic() - began)
        self.table.row(f"  ({what}: others used", f"{used:.0%} of a core)")

    def rounds(self, servers: list[Server]) -> Iterator[list[Server]]:
        """The servers for each round; who begins changes."""
        for number in range(self.size.rounds):
            first = number % len(servers)
            yield servers[first:] + servers[:first]
