"""Reads a file through the guard without ever blocking on it."""

from __future__ import annotations

import os
import stat
from pathlib import Path as FilePath

import msgspec

from chaos_runner import spelling
from chaos_runner.load.guard import BYTES_MAX, OURS, Dialect, guard
from chaos_runner.load.nodes import Node
from chaos_runner.load.problems import Invalid, Problem

_ENTRIES_MAX = 1000


class Document(msgspec.Struct, frozen=True):
    """A guarded file: its bytes, its root node and what the guard refused."""

    file: str
    content: bytes
    root: Node
    problems: tuple[Problem, ...] = ()

    @property
    def text(self) -> str:
        """The file as text; bytes that are none are replaced."""
        return _as_text(self.content)

    @property
    def sha256(self) -> str:
        """The digest of the bytes."""
        import hashlib

        return hashlib.sha256(self.content).hexdigest()


def read(path: str | os.PathLike[str], dialect: Dialect = OURS) -> Document:
    """The guarded file. Raises Invalid when it cannot be read or has no usable root."""
    file = os.fspath(path)
    content = _content(file)
    tree = guard(content, file, dialect)
    if tree.root is None:
        raise Invalid(tree.problems, {file: _as_text(content)})
    return Document(file, content, tree.root, tree.problems)


def _as_text(content: bytes) -> str:
    return content.decode("utf-8", "replace").removeprefix("\ufeff")


def _content(file: str) -> bytes:
    """The bytes of a regular file; anything that could block or never end is refused unread."""
    try:
        # Opening a FIFO would wait for a writer; O_NONBLOCK does not, and means nothing for regular files.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                folder = stat.S_ISDIR(mode)
                raise _unreadable(file, "is a folder; name a file in it" if folder else "is not a regular file")
            return _bytes(descriptor)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise _unreadable(file, _reason(file, error)) from None


def _bytes(descriptor: int) -> bytes:
    """At most one byte more than the guard reads, so that it can say that the file is too long."""
    parts: list[bytes] = []
    left = BYTES_MAX + 1
    while left and (part := os.read(descriptor, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _unreadable(file: str, sentence: str) -> Invalid:
    return Invalid([Problem(file, 0, 0, "", sentence)])


def _reason(file: str, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        near = spelling.nearest(FilePath(file).name, _siblings(FilePath(file).parent))
        return f"does not exist; did you mean '{FilePath(file).parent / near}'?" if near else "does not exist"
    if isinstance(error, OSError):
        return f"cannot be read: {(error.strerror or type(error).__name__).lower()}"
    return "is not a file name"


def _siblings(folder: FilePath) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry, _ in zip(entries, range(_ENTRIES_MAX), strict=False)]
    except OSError:
        return []
