"""Sees what a run left behind without asking any code of ours: raw sockets, /proc, and SQLite."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ANSWER_S = 5.0
LOOK_EVERY_S = 0.3
KIN_EVERY = 4  # looks: all of /proc is a lot to read
OPEN_STATES = "state NOT IN ('PLANNED', 'CLOSED', 'SPENT', 'FORGOTTEN')"
LISTENING = "0A"


def get(url: str, path: str) -> Any:
    """The JSON that a server answers to one GET on a connection of its own."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=ANSWER_S) as line:
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0] + b" ":
        msg = f"{path} answered {head[:200]!r}"
        raise AssertionError(msg)
    return json.loads(_dechunked(body) if b"chunked" in head.lower() else body)


def _dechunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        whole, body = whole + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return whole


def harm(toxiproxy: str) -> list[str]:
    """What is on the proxies that should not be there when nothing is being done to them."""
    found = []
    for name, proxy in get(toxiproxy, "/proxies").items():
        found += [f"{name}: toxic {toxic['name']} ({toxic['type']})" for toxic in proxy["toxics"]]
        found += [] if proxy["enabled"] else [f"{name}: disabled"]
        if proxy["enabled"] and port_of(proxy["listen"]) not in listeners():
            found.append(f"{name}: enabled, and nothing listens on {proxy['listen']}")
    return found


def port_of(address: str) -> int:
    """The port of host:port or of a URL."""
    return int(address.rstrip("/").rpartition(":")[2])


def listeners() -> set[int]:
    """The TCP ports that somebody listens on, as the kernel lists them."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            rows = [line.split() for line in Path(table).read_text(encoding="ascii").splitlines()[1:]]
            found |= {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == LISTENING}
    return found


Process = tuple[int, int]  # its pid, and when it started, so that a pid used again is not taken for it


def stat(pid: int) -> tuple[str, int, int]:
    """State, parent and start time of a process; state X where there is none."""
    with contextlib.suppress(OSError):
        # The name in brackets may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return fields[0], int(fields[1]), int(fields[19])
    return "X", 0, 0


def lives(process: Process) -> bool:
    """Whether this very process is still there; a zombie is not."""
    state, _, started = stat(process[0])
    return state not in "XZ" and started == process[1]


def everybody() -> dict[int, tuple[str, int, int]]:
    """All processes there are."""
    return {int(folder.name): stat(int(folder.name)) for folder in Path("/proc").iterdir() if folder.name.isdigit()}


def family(pid: int, everyone: dict[int, tuple[str, int, int]] | None = None) -> set[Process]:
    """The process and everything that descends from it now."""
    everyone = everyone or everybody()
    found, fresh = set[int](), {pid} & everyone.keys()
    while fresh:
        found |= fresh
        fresh = {child for child, (_, parent, _) in everyone.items() if parent in fresh} - found
    return {(member, everyone[member][2]) for member in found}


def payments(world: int, everyone: dict[int, tuple[str, int, int]] | None = None) -> set[Process]:
    """The payments processes below a world's supervisor: one, or its pods."""
    return {
        process
        for process in family(world, everyone)
        if b"\0chaos_runner.pocket.shop\0payments\0" in _command(process[0])
    }


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def open_rows(state_dir: Path) -> list[str]:
    """The faults and runs that the ledger does not call finished."""
    with contextlib.closing(sqlite3.connect(f"file:{state_dir / 'ledger.sqlite'}?mode=ro", uri=True)) as con:
        faults = con.execute(f"SELECT id || ' ' || state FROM fault WHERE {OPEN_STATES}").fetchall()
        runs = con.execute("SELECT id || ' ' || state FROM run WHERE state <> 'ENDED'").fetchall()
    return [row[0] for row in faults + runs]


def until(true: Callable[[], bool], within_s: float) -> bool:
    """Whether it became true in time."""
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class Watch:
    """What was seen while a run went on: harm on the proxies, a frozen or a missing process, and the run's family."""

    def __init__(self, toxiproxy: str, world: int, runner: int) -> None:
        self.harmed: list[float] = []
        self.family: set[Process] = set()
        self.payments = payments(world)
        self.payments_least = len(self.payments)
        self._toxiproxy = toxiproxy
        self._world = world
        self._runner = runner
        self._enough = threading.Event()

    @property
    def harmed_s(self) -> float:
        """From the first sight of harm to the last."""
        return self.harmed[-1] - self.harmed[0] if self.harmed else 0.0

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Looks until left."""
        thread = threading.Thread(target=self._look_on)
        thread.start()
        try:
            yield
        finally:
            self._enough.set()
            thread.join()

    def _look_on(self) -> None:
        for n in itertools.count():
            if self._enough.wait(LOOK_EVERY_S):
                return
            if n % KIN_EVERY == 0 or len(self.payments) > 1:
                everyone = everybody()
                self.family |= family(self._runner, everyone)
                here = payments(self._world, everyone)
                world = family(self._world, everyone)
                self.payments_least = min(self.payments_least, len(here))
            frozen = any(stat(pid)[0] == "T" for pid, _ in world)
            if (
                frozen
                or not here >= self.payments  # a new pod may be there before the next look
                or any(proxy["toxics"] or not proxy["enabled"] for proxy in get(self._toxiproxy, "/proxies").values())
            ):
                self.harmed.append(time.monotonic())
