"""An embedded proxy, a runner and its guardian as processes of their own; nothing of them is left after a test."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos_runner import store
from tests.proxy import toxi

ROOT = Path(__file__).parents[2]
TTL_S = 2.0


class Bench:
    """One runner with one toxic on proxy `p`, and its guardian."""

    def __init__(self, state: Path, api: toxi.Api, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.state, self.api = state, api
        url = f"http://127.0.0.1:{api.port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.guardian.runner", str(state), url, str(TTL_S), *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        )
        self.guardian = int(self.said()["guardian"])
        self.pidfd = os.pidfd_open(self.guardian)
        assert self.said() == {"state": "INJECTED"}
        assert self.toxics()

    def said(self, limit_s: float = 30.0) -> dict[str, Any]:
        out = self.process.stdout
        assert out is not None
        assert select.select([out], [], [], limit_s)[0], "the runner said nothing in time"
        return json.loads(out.readline())

    def toxics(self) -> set[str]:
        """The toxics that do harm; a fence does none."""
        found = self.api("GET", "/proxies/p").json["toxics"]
        return {toxic["name"] for toxic in found if toxic["type"] != "noop"}

    def clean_after(self, limit_s: float) -> float:
        """How long until nothing harms any more."""
        begun = time.monotonic()
        while self.toxics():
            assert time.monotonic() < begun + limit_s, "the toxic is still there"
            time.sleep(0.01)
        took = time.monotonic() - begun
        print(f"clean after {took * 1000:.0f} ms")
        return took

    def kill(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def ask(self, word: bytes = b"bye\n") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word)
        self.process.stdin.flush()

    def guardian_gone(self, limit_s: float = 10.0) -> bool:
        return bool(select.select([self.pidfd], [], [], limit_s)[0])

    def ledger(self) -> store.Store:
        return store.open_store(self.state, read_only=True)

    def until(self, holds: Callable[[store.Store], bool], limit_s: float = 10.0) -> None:
        """Waits until the ledger says so."""
        end = time.monotonic() + limit_s
        while True:
            with self.ledger() as ledger:
                if holds(ledger):
                    return
            assert time.monotonic() < end, "the ledger never said so"
            time.sleep(0.05)

    def log(self) -> str:
        """What the guardian had to say; one that had nothing leaves no log."""
        path = self.state / "guardian.log"
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        for pid, known in ((self.process.pid, self.process.poll() is None), (self.guardian, True)):
            if known:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self.guardian_gone()
        os.close(self.pidfd)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[toxi.Api]:
    api = toxi.start_embedded(tmp_path / "proxy.log", env={"CHAOS_RUNNER_PROXY_TOKEN": ""})
    api.make("p")
    yield api
    toxi.stop(api)


@pytest.fixture
def bench(tmp_path: Path, api: toxi.Api) -> Iterator[Bench]:
    bench = Bench(tmp_path / "state", api)
    yield bench
    bench.close()
