"""A runner and its guardian as processes of their own: the small one, and the real command line on a terminal.

Each has a toxic on a proxy of an embedded server that wants a token; nothing of them is left after `close`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos_runner import store
from chaos_runner.records import GuardianReady, RunEnded
from tests.guardian.runner import RUN
from tests.proxy import toxi

ROOT = Path(__file__).parents[2]
TTL_S = 2.0
START_S = 60.0
TOKEN = "TOXI_TOKEN"
ON_A_TERMINAL = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)

CONFIG = """
kind: config/v1
environments:
  here: {{toxiproxy: {{url: "http://127.0.0.1:{port}", token: "env:TOXI_TOKEN"}}}}
"""

EXPERIMENT = """
kind: experiment/v1
name: to-be-killed
hypothesis: whatever dies, the fault goes away
steady_state:
  open:
    probe: tcp
    with: {{address: "127.0.0.1:{port}"}}
    expect: [latency <= 5s]
baseline: 5s
blast_radius: {{at_once: 1, in_total: 1, max_duration: 120s}}
method:
  - fault: toxic
    target: {{proxy: {proxy}}}
    with: {{type: latency, latency: 50ms}}
    for: 90s
recovery: {{within: 10s}}
"""


class Bench:
    """What both kinds share: the proxy seen from outside, the ledger, and the processes."""

    process: subprocess.Popen[bytes]
    guardian = 0

    def __init__(self, state: Path, api: toxi.Api, proxy: str, token: str) -> None:
        self.state, self.api, self.proxy = state, api, proxy
        self.beside: list[subprocess.Popen[bytes]] = []
        self.groups: list[Path] = []
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.environment = {**os.environ, "NO_COLOR": "1", **({TOKEN: token} if token else {})}

    def toxics(self) -> set[str]:
        """The toxics that do harm; a fence does none."""
        found = self.api("GET", f"/proxies/{self.proxy}", **self._headers).json["toxics"]
        return {toxic["name"] for toxic in found if toxic["type"] != "noop"}

    def clean_after(self, limit_s: float, since: float | None = None) -> float:
        """How long from now, or `since`, until nothing harms any more."""
        begun = time.monotonic() if since is None else since
        while self.toxics():
            assert time.monotonic() < begun + limit_s, "the toxic is still there"
            time.sleep(0.01)
        took = time.monotonic() - begun
        print(f"clean after {took * 1000:.0f} ms")
        return took

    def kill(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def guarded_by(self, pid: int) -> None:
        self.guardian = pid
        self.pidfd = os.pidfd_open(pid)

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

    def records(self) -> list[Any]:
        with self.ledger() as ledger:
            run = ledger.latest_run()
            return [entry.record for entry in ledger.records(run)] if run else []

    def ended_by(self) -> list[str]:
        return [record.by for record in self.records() if isinstance(record, RunEnded)]

    def said(self) -> str:
        """All that was written to where people and logs are."""
        return ""

    def let_go(self) -> None:
        """Nobody traces the runner any more: while somebody does, it is killed but not gone, nor are its locks."""
        for other in self.beside:
            other.kill()
            other.wait(10)

    def close(self) -> None:
        self.let_go()
        for pid, known in ((self.process.pid, self.process.poll() is None), (self.guardian, self.guardian > 0)):
            if known:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        if self.guardian:
            self.guardian_gone()
            os.close(self.pidfd)
        for group in self.groups:
            group.rmdir()


class Small(Bench):
    """The small runner of `runner.py`."""

    def __init__(
        self, state: Path, api: toxi.Api, *arguments: str, token: str = "", proxy: str = "p", ttl_s: float = TTL_S,
        run: str = RUN,
    ) -> None:  # fmt: skip
        super().__init__(state, api, proxy, token)
        named = ["--token", f"env:{TOKEN}"] if token else []
        self._errors = state.with_name(f"{state.name}.errors")
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.guardian.runner", str(state), f"http://127.0.0.1:{api.port}", str(ttl_s),
                 "--proxy", proxy, "--run", run, *named, *arguments],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                env={**self.environment, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        ready = self.heard(START_S)
        self.ready_t = float(ready["ready_t"])
        self.guarded_by(int(ready["guardian"]))
        assert self.heard() == {"state": "INJECTED"}
        assert self.toxics()

    def heard(self, limit_s: float = 30.0) -> dict[str, Any]:
        """Its next line."""
        out = self.process.stdout
        assert out is not None
        assert select.select([out], [], [], limit_s)[0], "the runner said nothing in time"
        line = out.readline()
        assert line, self.said()
        return json.loads(line)

    def said(self) -> str:
        return self._errors.read_text()

    def ask(self, word: str = "bye") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n".encode())
        self.process.stdin.flush()

    def log(self) -> str:
        """What the guardian had to say; one that had nothing leaves no log."""
        path = self.state / "guardian.log"
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        super().close()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


class Command(Bench):
    """`chaos-runner run` in a folder, on a terminal of its own. `python` may be that of a place to be renamed."""

    def __init__(
        self, folder: Path, api: toxi.Api, *, token: str, proxy: str = "p", python: str = sys.executable
    ) -> None:
        super().__init__(folder / ".chaos-runner", api, proxy, token)
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "chaos-runner.yaml").write_text(CONFIG.format(port=api.port))
        (folder / "e.yaml").write_text(EXPERIMENT.format(port=api.port, proxy=proxy))
        if python == sys.executable:
            self.environment["PYTHONPATH"] = str(ROOT)
        self.master, slave = os.openpty()
        self._screen: list[bytes] = []
        self._looking = True
        command = [sys.executable, "-c", ON_A_TERMINAL, python, "-m", "chaos_runner", "run", "e.yaml"]
        self.process = subprocess.Popen(
            command, cwd=folder, env=self.environment, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._until_injected()
        (ready,) = (record for record in self.records() if isinstance(record, GuardianReady))
        self.guarded_by(ready.pid)
        time.sleep(1.2)  # a beat of the hold

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while self._looking:
                if select.select([self.master], [], [], 0.05)[0]:
                    self._screen.append(os.read(self.master, 65536))

    def _until_injected(self) -> None:
        end = time.monotonic() + START_S
        while not self.toxics():
            assert self.process.poll() is None, f"it ended before it injected: {self.said()}"
            assert time.monotonic() < end, "nothing was injected"
            time.sleep(0.1)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def hang_up(self) -> None:
        """The terminal is gone."""
        if self._looking:
            self._looking = False
            self._reader.join(5)
            os.close(self.master)

    def said(self) -> str:
        return b"".join(self._screen).decode("utf-8", "replace")

    def close(self) -> None:
        super().close()
        self.hang_up()


LEFT_OUT = (
    "scipy",
    "numpy",
    "mypy",
    "hypothesis",
    "ruff",
    "textual",
    "chaoslib",
    "chaos_runner",
    "__editable__",
    "_chaos",
)


def installed(folder: Path) -> tuple[str, Path]:
    """A Python with a copy of this package in a place of its own: its interpreter, and the place, which may go away."""
    interpreter = Path(sys.executable).resolve()
    place = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    place.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(interpreter)
    (folder / "pyvenv.cfg").write_text(f"home = {interpreter.parent}\ninclude-system-site-packages = false\n")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith(LEFT_OUT) and path.suffix != ".pth":
            (place / path.name).symlink_to(path)
    shutil.copytree(ROOT / "chaos_runner", place / "chaos_runner")
    return str(folder / "bin" / "python"), place
