"""A real Toxiproxy of its own for one case, that may be stalled, frozen, killed and started again; and its runners."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import anyio

from chaos_runner import recover, store
from chaos_runner.lifecycle import WATCH_S
from chaos_runner.records import FaultReverted
from chaos_runner.recover import Recovered
from chaos_runner.store import StoreError
from tests.proxy import toxi

ROOT = Path(__file__).parents[2]


class Runner:
    """One `tests.real.runner`, told by its lines."""

    def __init__(self, name: str, state: Path, url: str, kind: str, *others: str) -> None:
        self.name, self.state = name, state
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.real.runner", name, str(state), url, kind, *others],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # what is read ahead `select` does not see
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.guardian = 0
        self.stage: dict[str, Any] = {}

    def said(self, limit_s: float = 40.0) -> dict[str, Any]:
        """The next line; empty at the end."""
        out = self.process.stdout
        assert out is not None
        assert select.select([out], [], [], limit_s)[0], "the runner said nothing in time"
        line = json.loads(out.readline() or "{}")
        self.guardian = line.get("guardian", self.guardian)
        self.stage = line.get("stage") or self.stage
        return line

    def injected(self) -> Runner:
        assert self.said()["guardian"]
        assert self.said()["state"] == "INJECTED"
        return self

    def ask(self) -> None:
        """To undo and end."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(b"undo\n")
            self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def kill_guardian(self) -> None:
        """Returns once it is dead."""
        if not self.guardian:
            return
        with contextlib.suppress(ProcessLookupError):
            pidfd = os.pidfd_open(self.guardian)
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            select.select([pidfd], [], [], 10)
            os.close(pidfd)

    def states(self) -> list[str]:
        """What the ledger says about the run's faults."""
        try:
            with store.open_store(self.state, read_only=True) as ledger:
                return [row.state for row in ledger.faults(self.name)]
        except StoreError:
            return []

    def drift(self) -> list[str]:
        """What the records say that others changed meanwhile."""
        with store.open_store(self.state, read_only=True) as ledger:
            records = [entry.record for entry in ledger.records(self.name)]
        return [record.drift for record in records if isinstance(record, FaultReverted)]

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        self.kill_guardian()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


class Ground:
    """A server with a proxy `p` that somebody else's toxic is on. Only plain HTTP looks at it from here."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.port = toxi.free_port()
        self.api = self._start()
        self.rig = toxi.Rig(self.api)
        self.api.toxic("latency", "upstream", name="theirs", latency=1)
        self.found = self.proxies()
        self.runners: list[Runner] = []

    def _start(self) -> toxi.Api:
        config = self.folder / "proxies.json"
        arguments = ("-config", str(config)) if config.exists() else ()
        return toxi.start_real(self.folder / "toxiproxy.log", *arguments, port=self.port)

    @property
    def url(self) -> str:
        return f"http://{toxi.LOOP}:{self.port}"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def run(
        self, name: str = "run-1", kind: str = "latency", *, folder: str = "state", url: str = "", others: str = ""
    ) -> Runner:
        theirs = (others,) if others else ()
        self.runners.append(Runner(name, self.folder / folder, url or self.url, kind, *theirs))
        return self.runners[-1]

    def proxies(self) -> dict[str, Any]:
        return self.api("GET", "/proxies").json

    def harm(self) -> list[str]:
        """What harms, by an observer that is none of ours; raises OSError where the server does not answer."""
        line = http.client.HTTPConnection(toxi.LOOP, self.port, timeout=2)
        try:
            line.request("GET", "/proxies")
            proxies = json.loads(line.getresponse().read())
        finally:
            line.close()
        marks = [toxic["name"] for one in proxies.values() for toxic in one["toxics"] if toxic["type"] != "noop"]
        down = [name for name, one in proxies.items() if not one["enabled"]]
        return sorted([name for name in marks if name.startswith("cx.")] + down)

    def until_clean(self, limit_s: float) -> float:
        return waited(lambda: self.harm() == [], limit_s, "the fault is still there")

    def agreed(self, runner: Runner, limit_s: float = 20.0) -> list[str]:
        """The ledger's states once it says that nothing is left; until then it must not say so while there is."""
        end = time.monotonic() + limit_s
        while True:
            states = runner.states()
            if states and set(states) <= {"UNDONE", "WATCHING", "CLOSED"}:
                assert self.harm() == [], f"the ledger says {states}, the target says otherwise"
                if "UNDONE" not in states:
                    return states
            assert time.monotonic() < end, f"the ledger still says {states}"
            time.sleep(0.05)

    def restart(self) -> None:
        """Killed and started again with the same proxies, as a supervisor would; toxics are lost."""
        plain = [{key: one[key] for key in ("name", "listen", "upstream", "enabled")} for one in self.found.values()]
        (self.folder / "proxies.json").write_text(json.dumps(plain))
        self.api.process.kill()
        self.api.process.wait(5)
        self.api = self._start()
        toxi.wait_until(lambda: set(self.proxies()) == set(self.found), 20)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        os.kill(self.api.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.api.process.pid, signal.SIGCONT)

    def stall(self) -> None:
        """A client that asks for much and reads nothing, until nothing more goes in."""
        line = self.rig.line()
        line.server.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            while True:
                line.server.sendall(b"x" * 65536)

    def exchange(self) -> None:
        """Four bytes there and back again."""
        line = self.rig.line()
        line.client.sendall(b"ping")
        assert toxi.read(line.server, 4) == b"ping"
        line.server.sendall(b"pong")
        assert toxi.read(line.client, 4) == b"pong"

    def recovered(self) -> list[Recovered]:
        """What a recovery after the next boot finds, more than a minute later: no watch is left to wait for."""
        with contextlib.closing(sqlite3.connect(self.state / "ledger.sqlite", timeout=5)) as ledger, ledger:
            ledger.execute("UPDATE fault SET outcome = '', updated_at = updated_at - ?", (WATCH_S + 1,))

        async def recovery() -> list[Recovered]:
            with store.open_store(self.state, allow_tmpfs=True) as ledger:
                return await recover.recover(ledger, None, lambda _: None, patience_s=10, watch=True, again=True)

        return anyio.run(recovery)

    def close(self) -> None:
        for runner in self.runners:
            runner.close()
        self.rig.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.api.process.pid, signal.SIGCONT)
        self.api.process.kill()
        self.api.process.wait(5)


class Observer:
    """Polls a server's API and keeps every answer; one thread."""

    def __init__(self, look: Callable[[], Any]) -> None:
        self._look = look
        self._over = threading.Event()
        self.seen: list[tuple[float, Any]] = []
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def _poll(self) -> None:
        while not self._over.wait(0.002):
            with contextlib.suppress(OSError, http.client.HTTPException):
                found = self._look()
                self.seen.append((time.monotonic(), found))

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)


def waited(holds: Callable[[], bool], limit_s: float, trouble: str) -> float:
    """How long until it holds; a server that does not answer does not."""
    begun = time.monotonic()
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if holds():
                return time.monotonic() - begun
        assert time.monotonic() < begun + limit_s, trouble
        time.sleep(0.01)
