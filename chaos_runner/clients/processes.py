"""Processes of this machine that the operator named: who they are, how they are, and signals to exactly them.

A process is its pid, its start time and the boot it lives in; a signal goes through a pidfd after the start time was
compared, so that a pid that was given away never gets it.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import msgspec

from chaos_runner.api import Env, Refused
from chaos_runner.environment import ProcessRef

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PID_FILE_BYTES_MAX = 64
STALE_S = 5.0
ANCESTORS_MAX = 64


class Gone(Exception):
    """There is no such process (any more)."""


class Identity(msgspec.Struct, frozen=True):
    """One process, for as long as the machine is up."""

    pid: int
    start_time: int  # clock ticks since boot
    boot_id: str


class Status(msgspec.Struct, frozen=True):
    """What /proc says of a process."""

    identity: Identity
    state: str  # R S D T t Z X I
    parent: int
    rss_bytes: int
    cpu_s: float

    @property
    def alive(self) -> bool:
        """Whether it can do anything yet: a zombie cannot."""
        return self.state not in {"Z", "X", "x"}

    @property
    def stopped(self) -> bool:
        """Whether it is paused."""
        return self.state == "T"


def named(env: Env, name: str) -> ProcessRef:
    """The operator's reference. Raises Refused naming the known ones."""
    processes = env.environment.processes
    if name not in processes:
        known = ", ".join(sorted(processes)) or "none"
        raise Refused(f"environment '{env.name}' has no process '{name}'; it has: {known}")
    return processes[name]


def find(env: Env, name: str) -> Status:
    """The process behind a name now. Raises Gone, or Refused where the reference cannot be trusted."""
    ref = named(env, name)
    status = read(_pid(ref, name))
    if ref.start_time and ref.start_time != status.identity.start_time:
        raise Gone(f"process '{name}' (pid {ref.pid}) is gone; its pid belongs to another one")
    if ref.pid_file:
        _check_fresh(Path(ref.pid_file), status)
    return status


def _pid(ref: ProcessRef, name: str) -> int:
    if not ref.pid_file:
        if not ref.pid or not ref.start_time:
            raise Refused(f"process '{name}' needs a pid_file, or both pid and start_time")
        return ref.pid
    try:
        with Path(ref.pid_file).open("rb") as file:
            text = file.read(PID_FILE_BYTES_MAX).split()
    except FileNotFoundError:
        raise Gone(f"process '{name}': there is no {ref.pid_file}") from None
    except OSError as why:
        raise Refused(f"process '{name}': {ref.pid_file}: {why.strerror}") from None
    if not text or not text[0].isdigit():
        raise Refused(f"process '{name}': {ref.pid_file} holds no pid")
    return int(text[0])


def _check_fresh(pid_file: Path, status: Status) -> None:
    try:
        written = pid_file.stat().st_mtime
    except OSError as why:
        raise Gone(f"{pid_file}: {why.strerror}") from None
    began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + status.identity.start_time / TICKS_PER_S
    if began > written + STALE_S:
        raise Refused(f"{pid_file} is older than the process {status.identity.pid}: the pid belongs to another one")


def read(pid: int) -> Status:
    """What /proc says of a pid. Raises Gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        raise Gone(f"there is no process {pid}") from None
    fields = text[text.rindex(")") + 2 :].split()  # the name before it may hold anything
    return Status(
        identity=Identity(pid=pid, start_time=int(fields[19]), boot_id=boot_id()),
        state=fields[0],
        parent=int(fields[1]),
        rss_bytes=int(fields[21]) * PAGE_BYTES,
        cpu_s=(int(fields[11]) + int(fields[12])) / TICKS_PER_S,
    )


def boot_id() -> str:
    """The id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def same(identity: Identity) -> Status:
    """How this very process is now. Raises Gone, also when another one has its pid."""
    status = read(identity.pid)
    if status.identity != identity:
        raise Gone(f"process {identity.pid} is gone; its pid belongs to another one")
    return status


def send(identity: Identity, number: signal.Signals) -> None:
    """Sends a signal to exactly this process. Raises Gone, or Refused where we may not."""
    try:
        fd = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        raise Gone(f"there is no process {identity.pid}") from None
    try:
        same(identity)  # after opening: from here on the fd and the pid mean one process
        signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        raise Gone(f"process {identity.pid} is gone") from None
    except PermissionError:
        raise Refused(f"we may not send signals to process {identity.pid}") from None
    finally:
        os.close(fd)


def may_signal(identity: Identity) -> bool:
    """Whether the kernel lets us; nothing is sent."""
    try:
        os.kill(identity.pid, 0)
    except PermissionError:
        return False
    except ProcessLookupError:
        raise Gone(f"there is no process {identity.pid}") from None
    return True


def is_ours(pid: int) -> bool:
    """Whether harming the process would harm the runner: itself, what it was started by, and init."""
    at = os.getpid()
    for _ in range(ANCESTORS_MAX):
        if at == pid or at <= 1:
            break
        at = read(at).parent
    return pid in {at, 1}
