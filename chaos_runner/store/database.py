"""The SQLite file itself: opened with care, written in whole transactions, each on disk when `write` returns."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from chaos_runner.store import disk, schema
from chaos_runner.store.errors import StoreError

NAME = "ledger.sqlite"
BUSY_S = 1.0

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
Identity = tuple[int, int]

# What 1 MiB of room can cure. A failed fsync is not among them: those pages are gone, and trying again would lie.
_CURABLE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}
_HARMLESS = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CONSTRAINT}


class Database:
    """The ledger opened for writing. Threads may share it; they take turns."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        if not self.path.exists():
            _create(self.path)
        disk.check_ledger(self.path)
        self._folder = folder
        self._turn = threading.Lock()
        self._doubt = ""
        before = _identity(self.path)
        with told(self.path):
            self._con = connect(self.path, "rw")
        try:
            with told(self.path):
                _check_known(self._con)
                make_durable(self._con)
                schema.migrate(self._con)
                check_pages(self._con)
            disk.lay_ballast(folder)
            # Both stay the same files for as long as this connection is open, whatever other processes do with SQLite.
            log = self.path.with_name(f"{NAME}-wal")
            self._files: tuple[tuple[Path, Identity | None], ...] = ((self.path, before), (log, _identity(log)))
            self._check_ours()
        except (StoreError, OSError):
            self._con.close()
            raise

    def write(self, work: Work[T], *, reserve: bool = False) -> T:
        """Runs `work` in one transaction that is on disk when this returns. Raises StoreError; nothing was written.

        A ledger that was removed or replaced meanwhile is an error too: what is written then, nobody would ever find.
        Where `reserve` is set (all that belongs to undoing), a full disk gives up its ballast and the work is done
        once more. Everything else is refused from the first failed write on.
        """
        with turn(self._turn):
            if self._doubt and not reserve:
                msg = f"an earlier write failed, so nothing new is begun: {self._doubt}"
                raise StoreError(msg)
            self._check_ours()
            try:
                return self._commit(work)
            except sqlite3.Error as error:
                trouble = self._trouble(error)
                if not (reserve and code(error) in _CURABLE and self._made_room()):
                    raise trouble from error
            try:
                return self._commit(work)
            except sqlite3.Error as error:
                raise self._trouble(error) from error

    def read(self, work: Work[T]) -> T:
        """Runs `work` on one snapshot."""
        with turn(self._turn), told(self.path):
            return snapshot(self._con, work)

    def close(self) -> None:
        """Gives the files free."""
        with turn(self._turn):
            self._files = ()
            self._con.close()

    def _commit(self, work: Work[T]) -> T:
        self._con.execute("BEGIN IMMEDIATE")
        try:
            answer = work(self._con)
            self._con.execute("COMMIT")
        finally:
            # A failed COMMIT has undone itself for some errors and not for others.
            if self._con.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._con.execute("ROLLBACK")
        self._check_ours()  # once more: an intent that went to a file without a name forbids the injection
        return answer

    def _check_ours(self) -> None:
        for path, opened in self._files:
            if _identity(path) != opened:
                msg = f"the ledger {path} was removed or replaced while in use; faults may be left on their targets"
                self._doubt = self._doubt or msg
                raise StoreError(msg)

    def _made_room(self) -> bool:
        try:
            return disk.drop_ballast(self._folder)
        except OSError:  # what there is to say is that the write failed, and that is being said
            return False

    def _trouble(self, error: sqlite3.Error) -> StoreError:
        trouble = sentence(self.path, error)
        if code(error) & 0xFF not in _HARMLESS:
            self._doubt = self._doubt or str(trouble)
        return trouble


def _identity(path: Path) -> Identity | None:
    """Which file this is, whatever it is called; None for none. Two microseconds."""
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino


def connect(path: Path, mode: str, extra: str = "") -> sqlite3.Connection:
    """A connection that begins no transaction by itself and never makes a file."""
    con = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}{extra}",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )
    # A damaged text must come back as a damaged row, not make all rows unreadable.
    con.text_factory = _lenient
    con.execute("PRAGMA trusted_schema = OFF")
    con.execute("PRAGMA foreign_keys = ON")
    return con


def make_durable(con: sqlite3.Connection) -> None:
    """Write-ahead log and full synchronisation. Raises StoreError unless SQLite says that both are on."""
    con.execute("PRAGMA journal_mode = WAL").fetchone()
    con.execute("PRAGMA synchronous = FULL").fetchone()
    for pragma, wanted in (("journal_mode", "wal"), ("synchronous", 2)):
        got = con.execute(f"PRAGMA {pragma}").fetchone()[0]
        if got != wanted:
            msg = f"SQLite answers {pragma} = {got} instead of {wanted}: the ledger would not survive a crash"
            raise StoreError(msg)


def check_pages(con: sqlite3.Connection) -> None:
    """Raises StoreError when the two tables that undoing needs are damaged on disk; they are small."""
    for table in ("run", "fault"):
        answer = con.execute(f"PRAGMA integrity_check('{table}')").fetchone()[0]
        if answer != "ok":
            msg = f"the ledger is damaged ({table}: {answer}); faults may be left on their targets"
            raise StoreError(msg)


def snapshot(con: sqlite3.Connection, work: Work[T]) -> T:
    """All reads of `work` see the same state."""
    con.execute("BEGIN")
    try:
        return work(con)
    finally:
        with contextlib.suppress(sqlite3.Error):
            con.execute("ROLLBACK")


@contextlib.contextmanager
def turn(lock: threading.Lock) -> Iterator[None]:
    """Waits for the other threads of this process, at most as long as for other processes."""
    if not lock.acquire(timeout=BUSY_S):
        msg = "another thread has been writing to the ledger for over a second"
        raise StoreError(msg)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Turns what SQLite raises into a StoreError with the file's name."""
    try:
        yield
    except sqlite3.Error as error:
        raise sentence(path, error) from error


def sentence(path: Path, error: sqlite3.Error) -> StoreError:
    """What is wrong, and with which file."""
    match code(error) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreError(f"the ledger {path} has been locked by another process for over a second")
        case sqlite3.SQLITE_FULL:
            return StoreError(f"the disk is full: the ledger {path} cannot grow")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StoreError(f"the ledger {path} is damaged ({error}); faults may be left on their targets")
        case _:
            return StoreError(f"the ledger {path} failed: {error}")


def code(error: sqlite3.Error) -> int:
    """SQLite's own code; errors of the Python module, such as a closed connection, have none."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)


def _lenient(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _check_known(con: sqlite3.Connection) -> None:
    if schema.check(con) == 0:
        msg = "the ledger has lost its tables; faults may be left on their targets"
        raise StoreError(msg)


def _create(path: Path) -> None:
    """Makes a whole ledger under another name and links it into place: nobody ever sees half of one."""
    if path.with_name(f"{NAME}-wal").exists():
        msg = f"the ledger {path} is gone, but its {NAME}-wal is still there: bring it back, or move that file away"
        raise StoreError(msg)
    draft = path.with_name(f"{NAME}.new-{os.getpid()}")
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with told(path), contextlib.closing(connect(draft, "rw")) as con:
            make_durable(con)
            schema.migrate(con)
            _fold_in(con)
        with contextlib.suppress(FileExistsError):  # another process was faster, and its ledger is as good
            path.hardlink_to(draft)
    finally:
        for name in (draft.name, f"{draft.name}-wal", f"{draft.name}-shm"):
            draft.with_name(name).unlink(missing_ok=True)
    disk.sync_folder(path.parent)


def _fold_in(con: sqlite3.Connection) -> None:
    """Moves the log into the file, durably. Closing does so too, but keeps it to itself when a write fails."""
    busy, _, _ = con.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        msg = "somebody else has opened a ledger that is still being made"
        raise StoreError(msg)
