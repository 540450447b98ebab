"""Runs programs that the operator allowed: argv lists, never a shell; a bare environment; limits on time and output."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping

import anyio
import msgspec
from anyio.abc import ByteReceiveStream, Process

from chaos_runner.api import Doubt, Env, Refused

OUTPUT_BYTES_MAX = 64 * 1024
LAST_WORDS_S = 0.2
KILL_S = 2.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Result(msgspec.Struct, frozen=True):
    """How a program ended, and the first 64 KiB of what it said."""

    exit: int
    stdout: str
    stderr: str
    cut: bool = False

    @property
    def words(self) -> str:
        """Its last line, for a sentence."""
        lines = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return lines[-1][:200] if lines else "it said nothing"


class _Output:
    """The first bytes of a stream; the rest is read and dropped, so that the program never waits for us."""

    def __init__(self) -> None:
        self.kept = b""
        self.cut = False

    async def drain(self, stream: ByteReceiveStream | None) -> None:
        assert stream is not None
        async for chunk in stream:
            room = OUTPUT_BYTES_MAX - len(self.kept)
            self.kept += chunk[:room]
            self.cut = self.cut or len(chunk) > room

    @property
    def text(self) -> str:
        return self.kept.decode("utf-8", "replace")


def check(env: Env, argv: tuple[str, ...]) -> str:
    """Why this may not be run, as a sentence; empty when it may."""
    if not argv or argv[0] not in env.environment.commands:
        allowed = ", ".join(env.environment.commands) or "none"
        return f"'{argv[0] if argv else ''}' is not among the commands of environment '{env.name}': {allowed}"
    if any("\0" in part for part in argv):
        return "an argument holds a NUL byte"
    return "" if os.access(argv[0], os.X_OK) else f"'{argv[0]}' is not an executable file"


async def run(env: Env, argv: tuple[str, ...], limit_s: float, extra: Mapping[str, str] | None = None) -> Result:
    """Runs it to its end. Raises Refused when it was not started, Doubt when it had to be killed at its limit."""
    if why := check(env, argv):
        raise Refused(why)
    scrubbed = {"PATH": PATH, "LANG": "C.UTF-8", **(extra or {})}
    try:
        process = await anyio.open_process(
            argv, stdin=subprocess.DEVNULL, cwd="/", env=scrubbed, start_new_session=True
        )
    except OSError as wrong:
        raise Refused(f"'{argv[0]}' could not be started: {wrong.strerror}") from None
    try:
        with anyio.fail_after(limit_s):
            return await _wait(process)
    except TimeoutError:
        raise Doubt(f"'{argv[0]}' did not end within {limit_s:g} s and was killed") from None
    finally:
        await _end(process)


async def _wait(process: Process) -> Result:
    out, err = _Output(), _Output()
    async with anyio.create_task_group() as group:
        group.start_soon(out.drain, process.stdout)
        group.start_soon(err.drain, process.stderr)
        code = await process.wait()
        # What it started may live on and keep the pipes open for ever.
        group.cancel_scope.deadline = anyio.current_time() + LAST_WORDS_S
    return Result(exit=code, stdout=out.text, stderr=err.text, cut=out.cut or err.cut)


async def _end(process: Process) -> None:
    """Nothing of a program that did not end by itself stays behind."""
    with anyio.CancelScope(shield=True), anyio.move_on_after(KILL_S):
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                await stream.aclose()
