"""Runs programs that the operator allowed: argv lists, never a shell; a bare environment; limits on time and output."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping

import anyio
import msgspec
from anyio import open_process  # anyio loads it when it is asked for, which may be too late
from anyio.abc import Process

from chaos_runner.api import Doubt, Env, Refused

OUTPUT_BYTES_MAX = 64 * 1024
LAST_WORDS_S = 0.5
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
    """The first bytes that a program writes to a pipe; the rest is read and dropped, so that it never waits for us."""

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._kept = b""
        self.cut = False

    async def drain(self) -> None:
        """Reads until nobody holds the other end any more."""
        while True:
            await anyio.wait_readable(self._read_end)
            chunk = os.read(self._read_end, OUTPUT_BYTES_MAX)
            if not chunk:
                return
            room = OUTPUT_BYTES_MAX - len(self._kept)
            self._kept += chunk[:room]
            self.cut = self.cut or len(chunk) > room

    @property
    def text(self) -> str:
        return self._kept.decode("utf-8", "replace")

    def give(self) -> None:
        """The write end is the program's alone from here on."""
        os.close(self.write_end)

    def close(self) -> None:
        os.close(self._read_end)


def misfit(argv: tuple[str, ...]) -> str:
    """Why no environment can allow this, as a sentence; empty when one may."""
    if argv[0].startswith("/"):
        return ""
    return f"'{argv[0]}' is not an absolute path, as the environment's `commands:` has them"


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
    return await run_within(argv, {"PATH": PATH, "LANG": "C.UTF-8", **(extra or {})}, limit_s)


async def run_within(argv: tuple[str, ...], variables: Mapping[str, str], limit_s: float) -> Result:
    """Runs what somebody has allowed, with these variables and no others. Raises as `run` does."""
    out, err = _Output(), _Output()
    try:
        process = await _started(argv, variables, out, err)
        try:
            with anyio.fail_after(limit_s):
                return await _wait(process, out, err)
        except TimeoutError:
            raise Doubt(f"'{argv[0]}' did not end within {limit_s:g} s and was killed") from None
        finally:
            await _end(process)
    finally:
        out.close()
        err.close()


async def _started(argv: tuple[str, ...], env: Mapping[str, str], out: _Output, err: _Output) -> Process:
    try:
        return await open_process(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out.write_end,
            stderr=err.write_end,
            cwd="/",
            env=env,
            start_new_session=True,
        )
    except OSError as why:
        raise Refused(f"'{argv[0]}' could not be started: {why.strerror}") from None
    finally:
        out.give()
        err.give()


async def _wait(process: Process, out: _Output, err: _Output) -> Result:
    # Own pipes, not the library's: what the program started may live on and hold them open for ever.
    async with anyio.create_task_group() as group:
        group.start_soon(out.drain)
        group.start_soon(err.drain)
        code = await process.wait()
        group.cancel_scope.deadline = anyio.current_time() + LAST_WORDS_S
    return Result(exit=code, stdout=out.text, stderr=err.text, cut=out.cut or err.cut)


async def _end(process: Process) -> None:
    """Nothing of a program that did not end by itself stays behind."""
    with anyio.CancelScope(shield=True), anyio.move_on_after(KILL_S):
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await process.aclose()
