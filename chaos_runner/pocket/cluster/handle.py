"""Starting and ending a cluster from outside: for a test it ends with its holder, for `pocket up` it stays."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from chaos_runner.pocket import processes, starting, world
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
        starting.end(process, END_WITHIN_S)


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
    if not (state_dir / FILE).exists():
        return False
    with _turn(state_dir):
        found = read(state_dir)
        if found is not None:
            processes.end([found.plane()], END_WITHIN_S)
            processes.end(found.everyone(), END_WITHIN_S)
            with contextlib.suppress(ChildProcessError):  # only one that this very process started is its child
                os.waitpid(found.pid, os.WNOHANG)
        (state_dir / FILE).unlink(missing_ok=True)
        (state_dir / HOME / "kubeconfig").unlink(missing_ok=True)
        return found is not None


def _argv(home: Path) -> list[str]:
    return [sys.executable, "-P", "-m", "chaos_runner.pocket.cluster", "--home", str(home)]


@contextlib.contextmanager
def _turn(state_dir: Path) -> Iterator[None]:
    """One `up` or `down` at a time. Raises PocketError."""
    try:
        with starting.turn(state_dir, FILE, TURN_WITHIN_S):
            yield
    except starting.Busy as why:
        raise PocketError(f"another `pocket` command {why}") from None


def _started(home: Path, options: Sequence[str]) -> ClusterInfo:
    process = starting.detached([*_argv(home), *options], home / LOG, world.environment())
    try:
        return _read_info(process, home / LOG)
    except BaseException:
        starting.end(process, END_WITHIN_S)
        raise
    finally:
        starting.let_go(process)


def _read_info(process: subprocess.Popen[bytes], log: Path) -> ClusterInfo:
    line = starting.first_line(process, READY_WITHIN_S, LINE_BYTES_MAX)
    try:
        return msgspec.json.decode(line, type=ClusterInfo)
    except msgspec.DecodeError as why:
        said = log.read_text(errors="replace")[-2000:]
        raise PocketError(f"not started: the control plane ended, or said nothing in time\n{said}".rstrip()) from why
