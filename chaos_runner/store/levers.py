"""Halt switches: one file each in `<state>/levers/`, named by its scope. They work with a locked or lost database.

A lever stops what runs and blocks what would start. Whatever cannot be read counts as pulled.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from chaos_runner.store.disk import sync_folder
from chaos_runner.store.errors import StoreError

FOLDER = "levers"
CONTENT_BYTES_MAX = 64 << 10
_SCOPE = re.compile(r"global|(environment|service|experiment)\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class Lever(msgspec.Struct, frozen=True):
    """A pulled lever; `garbled` says that its file could not be understood, which counts as pulled all the same."""

    scope: str
    path: str
    who: str = ""
    reason: str = ""
    at: float = 0.0
    garbled: bool = False


class _Pulled(msgspec.Struct, frozen=True):
    who: str
    reason: str
    at: float


_content = msgspec.json.Decoder(_Pulled)  # made once: two threads that meet a type first at the same time crash


def pull(state_dir: Path, scope: str, who: str, reason: str) -> Path:
    """Pulls a lever and returns its file; one that is pulled already stays as it is. Works on a full disk."""
    path = _path(state_dir, scope)
    content = msgspec.json.encode(_Pulled(who=who, reason=reason, at=time.time()))
    try:
        for folder in (state_dir, path.parent):
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700, parents=True)
        _place(path, content)
    except OSError as why:
        msg = f"cannot pull the lever {path}: {why.strerror or why}"
        raise StoreError(msg) from why
    return path


def pulled(state_dir: Path, environment: str, service: str, experiment: str) -> Lever | None:
    """The widest pulled lever that concerns this run, or None. One scandir, cheap enough for every tick."""
    try:
        names = _names(state_dir)
    except OSError as why:
        reason = f"the levers cannot be read ({why.strerror or why}), so they count as pulled"
        return Lever(scope="global", path=str(state_dir / FOLDER), reason=reason, garbled=True)
    return next((_read(state_dir, scope) for scope in scopes(environment, service, experiment) if scope in names), None)


def scopes(environment: str, service: str, experiment: str) -> tuple[str, ...]:
    """The levers that concern such a run, the widest first."""
    return ("global", f"environment.{environment}", f"service.{service}", f"experiment.{experiment}")


def release(state_dir: Path, scope: str, who: str, reason: str) -> Path:
    """Moves the lever's file to `levers/released/` with who released it; returns the new place.

    It takes a name and a reason; pulling takes neither.
    """
    path = _path(state_dir, scope)
    if not who.strip() or not reason.strip():
        msg = f"releasing the lever {scope} takes a name and a reason: both are kept with it"
        raise StoreError(msg)
    at = time.time()
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    kept = path.parent / "released" / f"{stamp}.{scope}.json"
    try:
        if scope not in _names(state_dir):
            msg = f"the lever {scope} is not pulled"
            raise StoreError(msg)
        released = {"pulled": _read(state_dir, scope), "released": _Pulled(who=who, reason=reason, at=at)}
        kept.parent.mkdir(mode=0o700, exist_ok=True)
        _place(kept, msgspec.json.encode(released))
        # Last: a crash before this leaves the lever pulled.
        path.unlink()
        sync_folder(path.parent)
    except OSError as why:
        msg = f"cannot release the lever {path}: {why.strerror or why}"
        raise StoreError(msg) from why
    return kept


def all(state_dir: Path) -> tuple[Lever, ...]:  # noqa: A001 -- read as levers.all
    """Every pulled lever, the widest first. Raises StoreError when the folder cannot be read."""
    try:
        names = _names(state_dir)
    except OSError as why:
        msg = f"cannot read the levers in {state_dir / FOLDER}: {why.strerror or why}"
        raise StoreError(msg) from why
    scopes = sorted((name for name in names if _SCOPE.fullmatch(name)), key=lambda scope: (scope != "global", scope))
    return tuple(_read(state_dir, scope) for scope in scopes)


def _path(state_dir: Path, scope: str) -> Path:
    if not _SCOPE.fullmatch(scope):
        msg = (
            f"'{scope}' is no lever: it is global, or environment., service. or experiment. followed by a name of "
            "small letters, digits and dashes"
        )
        raise StoreError(msg)
    return state_dir / FOLDER / scope


def _names(state_dir: Path) -> set[str]:
    try:
        with os.scandir(state_dir / FOLDER) as entries:
            return {entry.name for entry in entries}
    except FileNotFoundError:
        return set()


def _read(state_dir: Path, scope: str) -> Lever:
    path = state_dir / FOLDER / scope
    known: dict[str, Any] = {"scope": scope, "path": str(path)}
    try:
        content = _content.decode(_bytes(path))
    except (OSError, ValueError) as why:
        return Lever(**known, reason=f"the lever's file cannot be understood ({why})", garbled=True)
    return Lever(**known, who=content.who, reason=content.reason, at=content.at)


def _bytes(path: Path) -> bytes:
    # A link or a pipe in this place must neither lead elsewhere nor block the tick.
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(fd, CONTENT_BYTES_MAX)
    finally:
        os.close(fd)


def _place(path: Path, content: bytes) -> None:
    """Puts a whole file in its place and makes it durable; keeps one that is there already."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write(draft, content)
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    except OSError:
        # No room for words, or a file system without links: an empty file halts just as well.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def _write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(fd)
