"""The ledger opened for looking only: no file is made and none is changed.

SQLite itself would make the files of its write-ahead log even for a reader. So where there is no log, the file is
opened as immutable, and a read counts only if neither a log nor a change of the file came up meanwhile.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import NoReturn

from chaos_runner.store import disk, schema
from chaos_runner.store.database import NAME, T, Work, check_pages, connect, sentence, snapshot, turn
from chaos_runner.store.errors import NoLedger, StoreError

TRIES = 5

Stamp = tuple[bool, int, int, int]


class Reader:
    """The ledger opened for reading. Has the methods of Database; `write` always refuses."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        if not self.path.exists() and not self._wal().exists():
            msg = f"there is no ledger in {folder}: nothing has run with this state folder"
            raise NoLedger(msg)
        self._turn = threading.Lock()
        self._con: sqlite3.Connection | None = None
        self._stamp: Stamp | None = None
        try:
            self.read(_check)
        except StoreError:
            self.close()
            raise

    def write(self, work: Work[T], *, reserve: bool = False) -> NoReturn:
        """Refuses."""
        msg = "the ledger was opened for reading"
        raise StoreError(msg)

    def read(self, work: Work[T]) -> T:
        """Runs `work` on one snapshot of the newest state."""
        with turn(self._turn):
            try:
                return self._read(work)
            except OSError as why:
                msg = f"the ledger {self.path} cannot be read: {why.strerror or why}"
                raise StoreError(msg) from why

    def close(self) -> None:
        """Gives the files free."""
        if self._con is not None:
            self._con.close()

    def _read(self, work: Work[T]) -> T:
        for _ in range(TRIES):
            stamp = self._now()
            try:
                answer = snapshot(self._fresh(stamp), work)
            except sqlite3.Error as error:
                if stamp == self._now():
                    raise sentence(self.path, error) from error
                continue
            if stamp[0] or stamp == self._now():
                return answer
        msg = f"the ledger {self.path} kept changing while it was read: try again"
        raise StoreError(msg)

    def _fresh(self, stamp: Stamp) -> sqlite3.Connection:
        logged = stamp[0]
        if self._con is None or self._stamp is None or not ((logged and self._stamp[0]) or stamp == self._stamp):
            self.close()
            disk.check_ledger(self.path)
            self._con = connect(self.path, "ro", "" if logged else "&immutable=1")
            self._stamp = stamp
        return self._con

    def _now(self) -> Stamp:
        try:
            seen = self.path.stat()
        except FileNotFoundError:
            msg = f"the ledger {self.path} is gone; faults may be left on their targets"
            raise StoreError(msg) from None
        return self._wal().exists(), seen.st_ino, seen.st_size, seen.st_mtime_ns

    def _wal(self) -> Path:
        return self.path.with_name(f"{NAME}-wal")


def _check(con: sqlite3.Connection) -> None:
    if (version := schema.check(con)) < len(schema.MIGRATIONS):
        msg = f"the ledger has the older schema version {version}: `chaos-runner recover` brings it up to date"
        raise StoreError(msg)
    check_pages(con)
