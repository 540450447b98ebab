"""`serve --link ROLE`: asks the server that runs for a code, and prints the address with it."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import msgspec

from chaos_runner.cli import common

NAME = "serve.json"
ANSWER_BYTES_MAX = 4096
LIMIT_S = 5.0


class _Served(msgspec.Struct, frozen=True):
    url: str
    pid: int


class _Code(msgspec.Struct, frozen=True):
    code: str


def remember(state: Path, url: str) -> None:
    """Says where the server is, for `--link`."""
    with contextlib.suppress(OSError):
        draft = state / f".{NAME}.{os.getpid()}"
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_bytes(msgspec.json.encode(_Served(url, os.getpid())))
        draft.replace(state / NAME)


def forget(state: Path) -> None:
    """Nobody serves any more, if it was us who did."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        if _served(state).pid == os.getpid():
            (state / NAME).unlink()


def _served(state: Path) -> _Served:
    return msgspec.json.decode((state / NAME).read_bytes()[:ANSWER_BYTES_MAX], type=_Served)


def run(state: Path, file: Path | None, role: str) -> int:
    """Prints the address; 0. Raises Usage where no server answers."""
    from chaos_runner.cli.trouble import Usage
    from chaos_runner.serve import tokens

    try:
        url = _served(state).url
        code = _asked(url, tokens.read(file or state / tokens.NAME).operator, role)
    except (OSError, msgspec.MsgspecError) as why:
        msg = f"no server answers for {state} ({why}); start one with: chaos-runner serve"
        raise Usage(msg) from None
    sys.stdout.write(f"{url}/login#code={code}\n")
    common.tell("it opens once, within ten minutes")
    return 0


def _asked(url: str, token: str, role: str) -> str:
    import urllib.request

    request = urllib.request.Request(  # noqa: S310 -- the address that our server wrote down
        f"{url}/api/v1/codes",
        data=f"role={role}".encode(),
        headers={"Authorization": f"Bearer {token}"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=LIMIT_S) as answer:
        return msgspec.json.decode(answer.read(ANSWER_BYTES_MAX), type=_Code).code
