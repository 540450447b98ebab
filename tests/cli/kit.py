"""Runs that died, runs that live, and a small experiment that hurts nobody."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from chaos_runner import store
from chaos_runner.api import Undo
from chaos_runner.records import FaultInjected, IntentCommitted, PhaseBegan, RunStarted, Target
from chaos_runner.store import FaultRow, Owner, SqliteStore, Stamped

RUN = "20260822-100000-abcd"
FAULT = f"{RUN}.0"
EXPERIMENT = """\
kind: experiment/v1
name: a-file-appears
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
    for: 50s
recovery: {{within: 5s}}
"""


def stamped(record: object, t: float = 0.0) -> Stamped:
    return Stamped(record=record, at=time.time(), t=t)  # type: ignore[arg-type]


def gone_owner() -> Owner:
    """A process of an earlier boot."""
    return msgspec.structs.replace(Owner.mine(), boot_id="an earlier boot")


@contextmanager
def run_of(
    state: Path, owner: Owner, mark: Path | None, *, environment: str = "demo", run: str = RUN
) -> Iterator[SqliteStore]:
    """A run in its fault window, with a noop fault that is open when `mark` is a file to make."""
    with store.open_store(state, allow_tmpfs=True) as ledger:
        ledger.begin_run(
            run,
            environment=environment,
            experiment="a-file-appears",
            owner=owner,
            connections={},
            deadline_at=time.time() + 60,
            runs_at_once=9,
            record=stamped(RunStarted(plan={"experiment": {"service": "shop"}}, versions={}, actor="me")),
        )
        ledger.append(run, PhaseBegan("fault", 0), time.time(), 1.0)
        if mark is not None:
            open_fault(ledger, mark, run)
        yield ledger


def open_fault(ledger: SqliteStore, mark: Path, run: str = RUN) -> None:
    target = Target(key="noop/thing")
    text = f"cx.{run}.0.9999999999"
    undo = msgspec.to_builtins(Undo(kind="noop", version=1, mark=text, target=target, params={"file": str(mark)}))
    row = FaultRow(
        id=f"{run}.0", run=run, n=0, epoch=1, step=0, kind="noop", version=1, target=target, aspect="file", undo=undo
    )
    ledger.commit_intent(row, stamped(IntentCommitted(row.id, target, "noop", 0, "file", undo), 2.0))
    mark.write_text(text)
    ledger.set_fault_state(row.id, 1, "INJECTED", record=stamped(FaultInjected(row.id, 0.1), 2.1))


@contextmanager
def listener() -> Iterator[int]:
    """A port that accepts every connection and closes it."""

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                server.accept()[0].close()

    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


@contextmanager
def process(code: str) -> Iterator[tuple[subprocess.Popen[str], Owner]]:
    """A living process, ready once it printed a line, and who it is."""
    argv = [sys.executable, "-c", f"import time, signal\n{code}\nprint('ready', flush=True)\ntime.sleep(60)"]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        start = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19])
        yield child, msgspec.structs.replace(Owner.mine(), pid=child.pid, start_time=start)
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def runner(*words: object, cwd: Path) -> subprocess.Popen[str]:
    """`python -m chaos_runner …` as a process of its own."""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    argv = [sys.executable, "-P", "-m", "chaos_runner", *map(str, words)]
    return subprocess.Popen(argv, cwd=cwd, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


IGNORES_TERM = f"signal.signal({int(signal.SIGTERM)}, signal.SIG_IGN)"
