"""Where the ledger lies: a folder of our own, on a file system that keeps its word, with room to undo.

Every function raises StoreError with a sentence, or OSError where the system itself refuses.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
from pathlib import Path

from chaos_runner.store.errors import StoreError

ROOM_BYTES = 64 << 20
BALLAST_BYTES = 1 << 20

TMPFS = {0x01021994: "tmpfs", 0x858458F6: "ramfs"}
OVERLAY = 0x794C7630
# They lose locks, shared memory or fsync: no ledger can be trusted to them.
REFUSED = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB",
    0x01021997: "9p",
    0x65735546: "FUSE",
    0x5346414F: "AFS",
    0x6B414653: "AFS",
    0x00C36400: "Ceph",
    0x73757245: "Coda",
    0x0BD00BD0: "Lustre",
    0x47504653: "GPFS",
    0x7461636F: "OCFS2",
    0x01161970: "GFS2",
    0x786F4256: "a shared folder of a virtual machine",
}


def make_private(folder: Path) -> None:
    """Makes the folder with mode 0700 whatever the umask; one that is there must be ours and closed to others."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    check_private(folder)


def check_private(path: Path) -> None:
    """Raises StoreError when others could read or change what is there: an undo from there would be theirs."""
    seen = path.stat()
    if seen.st_uid != os.geteuid():
        msg = f"{path} belongs to user {seen.st_uid}, and this is user {os.geteuid()}: run as that user, or use --state"
        raise StoreError(msg)
    if seen.st_mode & 0o077:
        mode = "700" if stat.S_ISDIR(seen.st_mode) else "600"
        msg = f"{path} is open to other users (mode {stat.S_IMODE(seen.st_mode):o}): chmod {mode} {path}"
        raise StoreError(msg)


def check_ledger(path: Path) -> None:
    """Raises StoreError unless it is a private, regular file with something in it."""
    check_private(path)
    seen = path.lstat()
    if not stat.S_ISREG(seen.st_mode):
        msg = f"{path} is not a regular file"
        raise StoreError(msg)
    if seen.st_size == 0:
        # A ledger is never empty, not even a new one: SQLite would take this for a clean start.
        msg = f"the ledger {path} is empty, so what it knew is lost: move it away, then run `chaos-runner janitor`"
        raise StoreError(msg)


def check_file_system(folder: Path, *, allow_tmpfs: bool) -> tuple[str, ...]:
    """Sentences about the file system. Raises StoreError where a commit would not be what it says."""
    return judge_file_system(_file_system(folder), folder, allow_tmpfs=allow_tmpfs)


def judge_file_system(kind: int, folder: Path, *, allow_tmpfs: bool) -> tuple[str, ...]:
    """The same for a known `f_type`; pure."""
    if kind in REFUSED:
        msg = f"{folder} is on {REFUSED[kind]}, which does not keep a ledger safe: point --state to a local disk"
        raise StoreError(msg)
    if kind in TMPFS:
        sentence = f"{folder} is in memory ({TMPFS[kind]}): a reboot forgets every fault and its undo"
        if allow_tmpfs:
            return (sentence,)
        msg = f"{sentence}: point --state to a local disk"
        raise StoreError(msg)
    if kind == OVERLAY:
        return (f"{folder} is in a container's own layer and goes with it: mount a volume to keep the ledger",)
    return ()


def _file_system(folder: Path) -> int:
    """`f_type` of statfs(2): the first word of its answer on every Linux."""
    libc = ctypes.CDLL(None, use_errno=True)
    answer = (ctypes.c_long * 64)()
    if libc.statfs(os.fsencode(folder), ctypes.byref(answer)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(folder))
    return int(answer[0]) & 0xFFFFFFFF


def room(folder: Path) -> int:
    """Free bytes that this user may fill."""
    seen = os.statvfs(folder)
    return seen.f_bavail * seen.f_frsize


def lack_of_room(folder: Path) -> str:
    """A sentence when less than 64 MiB are free, else empty."""
    free = room(folder)
    if free >= ROOM_BYTES:
        return ""
    return f"only {free >> 20} MiB are free at {folder}, and a run needs {ROOM_BYTES >> 20}: make room"


def lay_ballast(folder: Path) -> None:
    """Keeps 1 MiB back for the undo on a full disk; does nothing where it lies already or room is scarce."""
    path = _ballast(folder)
    if path.exists() or lack_of_room(folder):
        return
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, BALLAST_BYTES)
    finally:
        os.close(fd)


def drop_ballast(folder: Path) -> bool:
    """Gives the 1 MiB free; False when it is gone already."""
    try:
        _ballast(folder).unlink()
    except FileNotFoundError:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Makes the names in the folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _ballast(folder: Path) -> Path:
    return folder / "ballast"
