"""A scenario whose faults are files, a port that answers, and the command line in processes of its own."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from chaos_runner import desk, store
from chaos_runner.conductor import told
from chaos_runner.conductor.told import Told
from chaos_runner.gameday import day as days
from chaos_runner.gameday.day import Day
from chaos_runner.gameday.facts import AnyFact
from chaos_runner.store import DayRow, SqliteStore

CLI = (sys.executable, "-m", "chaos_runner")
WAIT_S = 90.0

EXPERIMENT = """\
kind: experiment/v1
name: {name}
hypothesis: Nobody minds a file.
service: shop
steady_state:
  listener:
    probe: tcp
    with: {{address: "127.0.0.1:{port}", rate: 20/s}}
    expect: [success >= 90%]
baseline: 5s
blast_radius: {{max_duration: 60s}}
method:
  - fault: noop
    target: {{name: thing}}
    with: {{file: {file}}}
    confirm: [read-back]
    for: {hold}s
recovery: {{within: 10s}}
"""
SCENARIO = """\
kind: scenario/v1
name: a-file-day
environment: here
roles: {{facilitator: fay, operator: otto, abort_authority: abe}}
drill: {drill}
checklist: [stakeholders told]
agenda: {{hard_end: {hard_end}s}}
{alerts}
steps:
  - go_no_go: {{ask: facilitator, unless: abort_authority}}
  - run: one.yaml
  - run: two.yaml
"""
CONFIG = "kind: config/v1\nenvironments:\n  here: {{{monitoring}}}\n{notify}"


class Rig:
    """One folder, one day."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        hold_s: int = 3,
        drill: bool = False,
        hard_end_s: int = 3600,
        notify: str = "",
        monitor: str = "",
    ) -> None:
        self.folder, self.state = folder, folder / ".chaos-runner"
        self.faults = {name: folder / f"{name}.fault" for name in ("one", "two")}
        for name, file in self.faults.items():
            text = EXPERIMENT.format(name=name, port=port, file=file, hold=hold_s)
            (folder / f"{name}.yaml").write_text(text)
        named = "alerts: {expect: [{name: Slow, within: 1m}], forbid: [DataLoss]}" if monitor else ""
        text = SCENARIO.format(drill=str(drill).lower(), hard_end=hard_end_s, alerts=named)
        (folder / "day.yaml").write_text(text)
        (folder / "hook").write_text(notify)
        told = f"notify: [{{webhook: 'file:{folder / 'hook'}'}}]\n" if notify else ""
        watched = f'alertmanager: {{url: "{monitor}"}}, always_on: Watchdog' if monitor else ""
        (folder / "chaos-runner.yaml").write_text(CONFIG.format(notify=told, monitoring=watched))
        self.id = ""

    # --- commands ------------------------------------------------------------------------------------------------

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*CLI, *words], cwd=self.folder, capture_output=True, text=True, timeout=120, check=False)

    def begin(self) -> None:
        done = self.cli("gameday", "run", "day.yaml", "--yes", "--detach")
        assert done.returncode == 0, done.stderr
        self.id = done.stdout.split()[2]

    def say(self, line: str, who: str = "fay") -> desk.Heard:
        with self.store() as ledger:
            return desk.speak(ledger, self.state, self.id, line, who)

    # --- what is there -------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def store(self) -> Iterator[SqliteStore]:
        with store.open_store(self.state, allow_tmpfs=True) as ledger:
            yield ledger

    def row(self) -> DayRow:
        with self.store() as ledger:
            row = ledger.day(self.id)
        assert row is not None
        return row

    def facts(self) -> list[AnyFact]:
        with self.store() as ledger:
            return [entry.fact for entry in ledger.facts(self.id)]

    def day(self) -> Day:
        with self.store() as ledger:
            return days.fold(ledger.facts(self.id))

    def told(self) -> Told:
        with self.store() as ledger:
            return told.read(ledger.facts(self.id))

    def log(self) -> str:
        logs = sorted((self.state / "days" / self.id).glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs)

    def until(self, what: Callable[[], object], limit_s: float = WAIT_S) -> None:
        end = time.monotonic() + limit_s
        while not what():
            assert time.monotonic() < end, f"{self.facts()[-4:]}\n{self.log()}"
            time.sleep(0.1)

    def until_asked(self, kind: str, of: str = "facilitator") -> None:
        def asked() -> bool:
            now = self.day().asked
            return now is not None and now.kind == kind and of in now.of

        self.until(asked)

    def until_over(self) -> Day:
        self.until(lambda: self.row().state == "ENDED")
        return self.day()

    # --- the way to somewhere ------------------------------------------------------------------------------------

    def to_checkpoint(self) -> None:
        self.until_asked("ready")
        self.say("tick 1")
        self.say("go")

    def to_fault(self, name: str = "one") -> None:
        """Says what is wanted until the fault of this step is on."""
        self.to_prediction(name)
        self.say("go")
        self.until(self.faults[name].exists)

    def to_prediction(self, name: str = "one") -> None:
        """Says what is wanted until one `go` is missing."""
        if name == "one":
            self.until_asked("go_no_go")
            self.say("go")
        self.until_asked("prediction")
        self.say("predict holds 80%", "otto")

    # --- deaths --------------------------------------------------------------------------------------------------

    def kill_conductor(self) -> None:
        """With all of its process group."""
        pid = self.row().owner.pid
        fd = os.pidfd_open(pid)
        try:
            os.killpg(pid, signal.SIGKILL)
            select.select([fd], [], [], 10)
        finally:
            os.close(fd)

    def child(self) -> int:
        """The process of the step that goes on; 0 where there is none."""
        return next((pid for pid in self.processes() if b"--day" in Path(f"/proc/{pid}/cmdline").read_bytes()), 0)

    def processes(self) -> list[int]:
        """Every process that has this folder in its command line, or that belongs to one of its runs."""
        found = []
        for one in Path("/proc").iterdir():
            if one.name.isdigit() and int(one.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if str(self.state).encode() in (one / "cmdline").read_bytes():
                        found.append(int(one.name))
        return found

    def clean(self) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def kill(pid: int) -> None:
    """Kills, and waits until the process is gone."""
    fd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        select.select([fd], [], [], 10)
    finally:
        os.close(fd)


@contextlib.contextmanager
def port() -> Iterator[int]:
    """A port of loopback that accepts and closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        over = threading.Event()
        thread = threading.Thread(target=_serve, args=(server, over))
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            over.set()
            thread.join()


def _serve(server: socket.socket, over: threading.Event) -> None:
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            server.accept()[0].close()


def decoded(text: str) -> dict[str, object]:
    """A JSON document that a command printed."""
    return msgspec.json.decode(text, type=dict[str, object])
