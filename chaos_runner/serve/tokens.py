"""Who may: a file with one token for each role, readable by nobody else."""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from pathlib import Path
from typing import Literal, get_args

import msgspec

from chaos_runner.store import StoreError

Role = Literal["responder", "viewer", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)
"""From the least to the most; each may what those before it may."""
NAME = "serve-tokens.json"
BYTES_MAX = 4096
LETTERS_MIN = 32


class Tokens(msgspec.Struct, frozen=True):
    """One secret for each role."""

    responder: str
    viewer: str
    operator: str

    def role(self, given: str) -> Role | None:
        """Whose token this is; takes as long for a wrong one as for a right one."""
        told = given.encode()
        matches = [role for role in ROLES if hmac.compare_digest(told, str(getattr(self, role)).encode())]
        return matches[0] if matches else None


def at_least(role: Role, wanted: Role) -> bool:
    """Whether a role may what `wanted` may."""
    return ROLES.index(role) >= ROLES.index(wanted)


def read(path: Path) -> Tokens:
    """The tokens of this file. Raises StoreError where it is open to others, or is no such file."""
    try:
        tokens = msgspec.json.decode(_private(path), type=Tokens)
    except OSError as why:
        msg = f"the token file {path} cannot be read: {why.strerror or why}"
        raise StoreError(msg) from why
    except msgspec.MsgspecError as why:
        msg = f"the token file {path} cannot be understood ({why}); remove it, and the next start writes a new one"
        raise StoreError(msg) from why
    said = [getattr(tokens, role) for role in ROLES]
    if min(map(len, said)) < LETTERS_MIN or len(set(said)) < len(said):
        msg = f"the token file {path} needs three different tokens of at least {LETTERS_MIN} letters"
        raise StoreError(msg)
    return tokens


def read_or_make(path: Path) -> Tokens:
    """The tokens of this file, which is made with mode 0600 where it is missing. Raises StoreError."""
    made = Tokens(*(secrets.token_urlsafe(32) for _ in ROLES))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return read(path)
    except OSError as why:
        msg = f"the token file {path} cannot be written: {why.strerror or why}"
        raise StoreError(msg) from why
    with os.fdopen(fd, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
    return made


def _private(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        seen = os.fstat(fd)
        if not stat.S_ISREG(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
            msg = f"the token file {path} must be a file of this user that nobody else can read: chmod 600 {path}"
            raise StoreError(msg)
        return file.read(BYTES_MAX)
