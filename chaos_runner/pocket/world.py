"""A world: the shop's four services and a proxy before payments and catalog, as one thing that starts and ends.

A world is held together by its supervisor, a process of its own; this is the handle on it. `python -m` runs one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from chaos_runner.pocket import starting
from chaos_runner.pocket.processes import ProcessId, end

VERSION = 1
READY_WITHIN_S = 45.0  # with a pocket cluster, on a busy machine
END_WITHIN_S = 8.0  # the supervisor gives its children 3 s to end by themselves
LINE_BYTES_MAX = 64 * 1024


class WorldError(RuntimeError):
    """A world did not come up."""


class Api(msgspec.Struct, frozen=True):
    """Where the proxy is told what to do."""

    url: str


class Cluster(msgspec.Struct, frozen=True):
    """The pocket cluster of a world, as an environment names it."""

    kubeconfig: str
    context: str
    uid: str


class WorldInfo(msgspec.Struct, frozen=True):
    """What there is to know about a running world; `services["shop"]` is its edge, the gateway."""

    version: int
    mode: str
    pid: int
    start_time: int
    toxiproxy: Api
    services: dict[str, str]
    processes: dict[str, ProcessId]
    cluster: Cluster | None = None

    def supervisor(self) -> ProcessId:
        """The process that holds the world together."""
        return ProcessId(self.pid, self.start_time)

    def everyone(self) -> list[ProcessId]:
        """All processes of the world, the supervisor first."""
        return [self.supervisor(), *self.processes.values()]


class World:
    """A running world; it ends with `close()`, or with the process that holds this object."""

    def __init__(self, info: WorldInfo, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self.info = info
        self.shop = info.services["shop"]
        self.services = info.services
        self.toxiproxy = info.toxiproxy.url
        self._process = process
        self._log = log

    def log(self) -> str:
        """What the processes wrote to stderr so far."""
        return _read(self._log)

    def close(self) -> None:
        """Ends the world and waits until it is gone."""
        starting.end(self._process, END_WITHIN_S)
        end(self.info.everyone(), END_WITHIN_S)
        self._log.close()

    async def stop(self) -> None:
        """Like `close`, without holding up the loop."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def start_world(
    mode: str,
    real_proxy: str | None = None,
    *,
    proxy_command: Sequence[str] | None = None,
    cluster: Path | None = None,
) -> World:
    """A world that is ready, with the embedded proxy or a real Toxiproxy server. Raises WorldError.

    With a folder for it, payments are pods of a pocket cluster.
    """
    log = tempfile.TemporaryFile("a+b", prefix="chaos-runner-world-")  # noqa: SIM115 - the world closes it
    argv = supervisor_argv(mode, real_proxy, proxy_command, cluster)
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True, env=environment()
    )
    try:
        return World(read_info(process), process, log)
    except BaseException as error:
        starting.end(process, END_WITHIN_S)
        said = _read(log)[-2000:]
        log.close()
        if isinstance(error, WorldError):
            raise WorldError(f"{error}\n{said}".rstrip()) from error
        raise


@contextlib.asynccontextmanager
async def up(mode: str, real_proxy: str | None = None, cluster: Path | None = None) -> AsyncIterator[World]:
    """A world for the length of a block."""
    world = await asyncio.to_thread(start_world, mode, real_proxy, cluster=cluster)
    try:
        yield world
    finally:
        await world.stop()


def supervisor_argv(
    mode: str,
    real_proxy: str | None = None,
    proxy_command: Sequence[str] | None = None,
    cluster: Path | None = None,
) -> list[str]:
    """The command line of a supervisor."""
    argv = [sys.executable, "-P", "-m", "chaos_runner.pocket.world", "--mode", mode]
    if real_proxy is not None:
        argv += ["--real-proxy", real_proxy]
    if proxy_command is not None:
        argv += ["--proxy-command", json.dumps(list(proxy_command))]
    if cluster is not None:
        argv += ["--cluster", str(cluster)]
    return argv


def environment() -> dict[str, str]:
    """Our own environment, in which children find this package also where it is a checkout that nobody installed."""
    home = Path(__file__).resolve().parents[2]
    if home.name.endswith("-packages"):
        return dict(os.environ)
    paths = [str(home), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def read_info(process: subprocess.Popen[bytes], within_s: float = READY_WITHIN_S) -> WorldInfo:
    """The JSON line of a supervisor that was just started."""
    line = starting.first_line(process, within_s, LINE_BYTES_MAX)
    try:
        return msgspec.json.decode(line, type=WorldInfo)
    except msgspec.DecodeError as refusal:
        why = f"its supervisor said {line[:200]!r}" if line else "its supervisor ended, or said nothing in time"
        raise WorldError(f"not started: {why}") from refusal


def write_private(path: Path, content: bytes) -> None:
    """Replaces the file in one step; only its owner can read it."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - mode at birth
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _read(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode("utf-8", "replace")


if __name__ == "__main__":
    from chaos_runner.pocket import supervisor

    sys.exit(supervisor.main())
