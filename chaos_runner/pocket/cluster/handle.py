"""Starting and ending a cluster from outside: for a test it ends with its holder, for `pocket up` it stays."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from chaos_runner.pocket import processes, world
from chaos_runner.pocket.cluster.info import VERSION, ClusterInfo

FILE, HOME, LOG = "pocket.json", "pocket", "pocket.log"
READY_WITHIN_S = 120.0
END_WITHIN_S = 12.0
TURN_WITHIN_S = READY_WITHIN_S
LINE_BYTES_MAX = 1 << 20


class PocketError(world.WorldError):
    """A cluster did not come up, or what is known of one cannot be read."""


@contextlib.contextmanager
def running(home: Path, *options: str) -> Iterator[ClusterInfo]:
    """A cluster for the length of a block; it also ends with this process. Raises PocketError."""
    log = home / LOG
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [*_argv(home), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            env=world.environment(),
        )
    try:
        info = _read_info(process, log)
        yield info
    finally:
        _end(process)


def up(state_dir: Path, options: Sequence[str] = ()) -> ClusterInfo:
    """A cluster that outlives this process; one that runs already is left alone. Raises PocketError."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _turn(state_dir):
        found = read(state_dir)
        if found is not None:
            return found
        home = state_dir / HOME
        home.mkdir(mode=0o700, exist_ok=True)
        for old in home.glob("*.log"):
            old.unlink(missing_ok=True)
        info = _started(home, options)
        world.write_private(state_dir / FILE, msgspec.json.encode(info) + b"\n")
        return info


def read(state_dir: Path) -> ClusterInfo | None:
    """The cluster that lives here, if one does. Raises PocketError."""
    path = state_dir / FILE
    try:
        info = msgspec.json.decode(path.read_bytes(), type=ClusterInfo)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as why:
        raise PocketError(f"{path}: not the state of a pocket cluster: {why}; remove the file if none runs") from why
    if info.version != VERSION:
        raise PocketError(
            f"{path}: version {info.version} was written by another chaos-runner; this one reads {VERSION}"
        )
    return info if info.plane().lives() else None


def down(state_dir: Path) -> bool:
    """Ends it and removes its file; False where there was none."""
    found = read(state_dir)
    if found is not None:
        processes.end([found.plane()], END_WITHIN_S)
        processes.end(found.everyone(), END_WITHIN_S)
        with contextlib.suppress(ChildProcessError):  # only one that this very process started is its child
            os.waitpid(found.pid, os.WNOHANG)
    (state_dir / FILE).unlink(missing_ok=True)
    (state_dir / HOME / "kubeconfig").unlink(missing_ok=True)
    return found is not None


@contextlib.contextmanager
def _turn(state_dir: Path) -> Iterator[None]:
    """One `up` at a time. Raises PocketError."""
    fd = os.open(state_dir / f".{FILE}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + TURN_WITHIN_S
    try:
        while not _locked(fd):
            if time.monotonic() > deadline:
                raise PocketError(f"another `pocket up` has been at work in {state_dir} for {TURN_WITHIN_S:g} s")
            time.sleep(0.05)
        yield
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _argv(home: Path) -> list[str]:
    return [sys.executable, "-P", "-m", "chaos_runner.pocket.cluster", "--home", str(home)]


def _started(home: Path, options: Sequence[str]) -> ClusterInfo:
    log = home / LOG
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            [*_argv(home), *options, "--detached"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=fd,
            start_new_session=True,
            env=world.environment(),
        )
    finally:
        os.close(fd)
    try:
        return _read_info(process, log)
    except BaseException:
        _end(process)
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()
        if process.poll() is None:
            process.returncode = 0  # it lives on without us: Popen would warn about that


def _read_info(process: subprocess.Popen[bytes], log: Path) -> ClusterInfo:
    line = _read_line(process)
    try:
        return msgspec.json.decode(line, type=ClusterInfo)
    except msgspec.DecodeError as why:
        said = log.read_text(errors="replace")[-2000:]
        raise PocketError(f"not started: the control plane ended, or said nothing in time\n{said}".rstrip()) from why


def _read_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    fd, deadline, line = process.stdout.fileno(), time.monotonic() + READY_WITHIN_S, b""
    while not line.endswith(b"\n") and len(line) < LINE_BYTES_MAX:
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not select.select([fd], [], [], left_s)[0]:
            return b""
        piece = os.read(fd, 65_536)
        if not piece:
            return b""
        line += piece
    return line


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    process.terminate()
    try:
        process.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(END_WITHIN_S)
