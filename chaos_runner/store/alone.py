"""One process at a time for a piece of work in a state folder; the kernel gives the turn back when it dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from chaos_runner.store.errors import StoreError


@contextlib.contextmanager
def alone(state_dir: Path, work: str) -> Iterator[None]:
    """Raises StoreError naming the process that is at it already. A folder that is not there needs no turns."""
    if not state_dir.is_dir():
        yield
        return
    path = state_dir / f"{work}.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _take(fd, path, work)
        yield
    finally:
        os.close(fd)


def _take(fd: int, path: Path, work: str) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
        msg = f"another {work} (pid {pid or 'unknown'}) is at work in {path.parent}"
        raise StoreError(msg) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
