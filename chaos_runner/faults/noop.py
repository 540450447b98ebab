"""The smallest fault there is, to learn from and to practise with: a file that should not be there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from chaos_runner.api import Absent, Doubt, Drifted, Env, Observation, Present, Refused, Rights, Undo, Unreadable
from chaos_runner.model import Name, Value, Where
from chaos_runner.records import Target

BYTES_MAX = 1000


class NoopSelector(Value, frozen=True):
    """A name for the target; nothing is looked up."""

    name: Annotated[Name, Meta(description="any name")]


class Noop(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Makes a file that holds the run's mark, and removes it again: harm that you can see and that hurts nobody."""

    kind: ClassVar[str] = "noop"
    version: ClassVar[int] = 1
    reversible: ClassVar[bool] = True
    selector: ClassVar[type[msgspec.Struct]] = NoopSelector

    file: Annotated[str, Meta(description="absolute path of a file that does not exist yet", max_length=1000)]

    def problems(self) -> Iterator[Where]:
        """Mistakes that need more than one field to see."""
        if not self.file.startswith("/") or "\0" in self.file:
            yield ("file",), f"{self.file!r} is not an absolute path"

    def aspect(self) -> str:
        """The place that this occupies."""
        return f"file:{self.file}"

    async def targets(self, env: Env, selector: NoopSelector) -> tuple[Target, ...]:
        """The name itself."""
        return (Target(key=f"noop/{selector.name}"),)

    async def rights(self, env: Env, target: Target) -> Rights:
        """Whether the file's directory can be written to."""
        folder = Path(self.file).parent
        allowed = os.access(folder, os.W_OK | os.X_OK)
        return Rights(allowed, "" if allowed else f"{folder} cannot be written to")

    async def prepare(self, env: Env, target: Target, mark: str) -> Undo:
        """The path. Raises Refused where something is there already."""
        if _there(self.file):
            raise Refused(f"{self.file} exists already")
        return Undo(kind=self.kind, version=self.version, mark=mark, target=target, params=msgspec.to_builtins(self))

    async def inject(self, env: Env, undo: Undo) -> None:
        """Makes the file, never over another one."""
        try:
            fd = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError as why:
            raise Refused(f"{self.file}: {why.strerror}") from None
        try:
            os.write(fd, undo.mark.encode())
        except OSError as why:
            raise Doubt(f"{self.file}: {why.strerror}") from None
        finally:
            os.close(fd)

    async def observe(self, env: Env, undo: Undo) -> Observation:
        """Whether the file is there, with our mark."""
        try:
            held = _held(Path(self.file))
        except FileNotFoundError:
            return Absent()
        except OSError as why:
            return Unreadable(f"{self.file}: {why.strerror}")
        if held == undo.mark.encode():
            return Present()
        if undo.mark.encode().startswith(held):
            return Drifted(f"{self.file} holds half of our mark")
        return Absent(drift=f"{self.file} is somebody else's")

    async def revert(self, env: Env, undo: Undo) -> None:
        """Removes the file if it is ours."""
        if isinstance(await self.observe(env, undo), Present | Drifted):
            _remove(Path(self.file))


def _there(path: str) -> bool:
    return os.path.lexists(path)


def _held(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(BYTES_MAX)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as why:
        raise Refused(f"{path}: {why.strerror}") from None
