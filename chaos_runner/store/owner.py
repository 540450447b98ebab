"""Who owns a run: a process that cannot be mistaken for another one. Reads /proc, and sends signals."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

KILL_S = 1.0  # how long a killed process may take to be gone


class Owner(msgspec.Struct, frozen=True):
    """One process of one boot of one host; `start_time` is in clock ticks since boot."""

    boot_id: str
    pid: int
    start_time: int
    host: str

    @classmethod
    def mine(cls) -> Owner:
        """The calling process."""
        pid = os.getpid()
        _, start_time = _stat(pid)
        return cls(boot_id=boot_id(), pid=pid, start_time=start_time, host=os.uname().nodename)

    @classmethod
    def nobody(cls) -> Owner:
        """A process of this host that is gone: whatever it owns is anybody's to recover."""
        return cls(boot_id="", pid=0, start_time=0, host=os.uname().nodename)


@contextlib.contextmanager
def signalled(owner: Owner, number: signal.Signals) -> Iterator[int | None]:
    """Signals exactly this process; a pidfd to await its end by, or None where it is gone, elsewhere or not ours."""
    try:
        pidfd = os.pidfd_open(owner.pid) if alive(owner) and owner.pid != os.getpid() else -1
    except ProcessLookupError:
        pidfd = -1
    if pidfd < 0:
        yield None
        return
    try:
        yield pidfd if _sent(owner, pidfd, number) else None
    finally:
        os.close(pidfd)


def _sent(owner: Owner, pidfd: int, number: signal.Signals) -> bool:
    if alive(owner) is not True:  # asked while the pidfd holds the pid
        return False
    try:
        signal.pidfd_send_signal(pidfd, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def boot_stamp() -> str:
    """Now, by a clock that nobody can set, and that goes on while the machine sleeps."""
    return f"{boot_id()} {time.clock_gettime(time.CLOCK_BOOTTIME):.3f}"


def since_s(stamp: str) -> float | None:
    """Seconds since such a moment; None for one of another boot, and for what is none."""
    boot, _, seconds = stamp.partition(" ")
    if boot != boot_id():
        return None
    try:
        return time.clock_gettime(time.CLOCK_BOOTTIME) - float(seconds)
    except ValueError:
        return None


def alive(owner: Owner) -> bool | None:
    """Whether the owner still runs; None when it lives on another host and cannot be seen from here.

    A zombie is dead, and so is a process of an earlier boot. Within one host a process that cannot be found counts
    as dead, also when a container hides it: a takeover fences it, and undoing twice does no harm.
    """
    if owner.host != os.uname().nodename:
        return None
    if owner.boot_id != boot_id():
        return False
    try:
        state, start_time = _stat(owner.pid)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZXx" and start_time == owner.start_time


def boot_id() -> str:
    """Which boot of this machine this is."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _stat(pid: int) -> tuple[str, int]:
    """State letter and start time; the name in parentheses may itself hold spaces and parentheses."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return fields[0].decode("ascii"), int(fields[19])
