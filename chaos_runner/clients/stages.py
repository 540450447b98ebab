"""Starts HTTP stages, and leads a Toxiproxy's proxy through one and back. Processes and network; no decisions.

A stage (`chaos_runner.stage`) is a process of its own that stands between a real Toxiproxy and the service behind it,
because that server knows connections and not requests.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import msgspec

from chaos_runner.api import Doubt, Refused
from chaos_runner.clients import toxics

if TYPE_CHECKING:
    from chaos_runner.clients.toxiproxy import Client

START_S = 8.0
LINE_BYTES_MAX = 4096
MOVE_S = 2.0
LOOK_S = 2.0
SETTLE_S = 0.1
CONTROL = re.compile(r"http://127\.0\.0\.1:\d{1,5}")
_ROOT = str(Path(__file__).resolve().parent.parent.parent)
# It forks first: whoever starts it is not its parent, so that nobody has to wait for its end.
_BOOT = (
    "import os, sys\nif os.fork(): os._exit(0)\n"
    "sys.path.insert(0, sys.argv[1]); from chaos_runner.stage import main; sys.exit(main())"
)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage is told at its start, on stdin: the one proxy it stands behind, and where that led before."""

    toxiproxy: str
    token: str
    proxy: str
    upstream: str
    host: str
    mark: str


class Stage(msgspec.Struct, frozen=True):
    """Where a stage listens, for the runner and for the Toxiproxy; and which process it is, for people."""

    control: str = ""
    listen: str = ""
    pid: int = 0

    @property
    def known(self) -> bool:
        """Whether this names a stage of ours; what others wrote is not spoken to."""
        return CONTROL.fullmatch(self.control) is not None


@contextlib.asynccontextmanager
async def started(order: Order) -> AsyncIterator[Stage]:
    """A stage that nothing leads to yet; one that has no lease at the end of the block ends. Raises Refused."""
    argv = [sys.executable, "-I", "-c", _BOOT, _ROOT]
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    try:
        process = await anyio.open_process(
            argv, stdin=pipe, stdout=pipe, stderr=nowhere, start_new_session=True, cwd="/"
        )
    except OSError as why:
        raise Refused(f"an HTTP stage could not be started: {why}") from None
    async with process:  # its stdin is the leash
        yield await _ready(process, order)


async def _ready(process: anyio.abc.Process, order: Order) -> Stage:
    line = b""
    try:
        with anyio.fail_after(START_S):
            line = await _answer(process, msgspec.json.encode(order) + b"\n")
        return msgspec.json.decode(line, type=Stage)
    except TimeoutError:
        raise Refused(f"an HTTP stage could not be started: not ready within {START_S:g} s") from None
    except msgspec.DecodeError:
        words = line.decode("utf-8", "replace").strip()
        raise Refused(f"an HTTP stage could not be started: {words or 'it ended at once'}") from None


async def _answer(process: anyio.abc.Process, order: bytes) -> bytes:
    """The one line that it says; empty where it ended instead."""
    assert process.stdin is not None
    assert process.stdout is not None
    line = b""
    with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.send(order)
        while not line.endswith(b"\n") and len(line) < LINE_BYTES_MAX:
            line += await process.stdout.receive(LINE_BYTES_MAX)
    return line


async def move(client: Client, name: str, upstream: str, *, enabled: bool) -> None:
    """Leads a proxy elsewhere; where the server then fails to open its port again, it is told to once more.

    Raises Doubt where that fails too: the proxy is down.
    """
    try:
        await client.move_proxy(name, upstream, enabled=enabled, limit_s=MOVE_S)
    except toxics.Hung:
        raise
    except Doubt as why:
        proxy = await client.proxy(name, limit_s=LOOK_S)
        if proxy.upstream != upstream or proxy.enabled or not enabled:
            raise
        await client.patch_proxy(name, enabled=True)
        if not (await client.proxy(name, limit_s=LOOK_S)).enabled:
            raise Doubt(f"proxy '{name}' is down: {why}") from None


async def put_back(client: Client, name: str, stage: str, upstream: str) -> bool:
    """Leads the proxy where it led before, if it leads to the stage; else it is left alone. Raises NotFound."""
    proxy = await client.proxy(name, limit_s=LOOK_S)
    if not proxy.enabled:
        await anyio.sleep(SETTLE_S)  # somebody else who leads it back has it stopped for a moment
        proxy = await client.proxy(name, limit_s=LOOK_S)
    if not stage or proxy.upstream != stage:
        return False
    await move(client, name, upstream, enabled=proxy.enabled)
    return True
