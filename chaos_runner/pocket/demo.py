"""The demo: a fragile and a resilient world side by side that outlive the terminal, and the file that names them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from chaos_runner.pocket import processes, starting, world

VERSION = 1
WORLDS = {"demo": "fragile", "demo-resilient": "resilient"}
FILE = "demo.json"
PODS = sys.platform == "linux"  # where payments can be pods; elsewhere they are a process
PAYMENTS = (b"chaos_runner.pocket.shop", b"payments")
TURN_WITHIN_S = 60.0


class DemoError(RuntimeError):
    """The demo could not be started, or its file cannot be read."""


class DemoState(msgspec.Struct, frozen=True):
    """What `demo.json` says."""

    version: int
    worlds: dict[str, world.WorldInfo]


def up(state_dir: Path, real_proxy: str | None = None) -> dict[str, Any]:
    """Both worlds, running, and `demo.json` names them. Worlds that run already are left alone."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _turn(state_dir):
        living = _living(state_dir)
        if living is not None and living.worlds.keys() == WORLDS.keys():
            return _plain(living)
        if living is not None:
            _end(living, state_dir)
        state = DemoState(VERSION, _start_all(state_dir, real_proxy))
        world.write_private(state_dir / FILE, msgspec.json.encode(state) + b"\n")
        return _plain(_with_pods(state))


def down(state_dir: Path) -> bool:
    """Ends the worlds and removes the file; False where there was none."""
    if not (state_dir / FILE).exists():
        return False
    with _turn(state_dir):
        state = _load(state_dir)
        if state is None:
            return False
        _end(state, state_dir)
        (state_dir / FILE).unlink(missing_ok=True)
        return True


def read(state_dir: Path) -> dict[str, Any] | None:
    """The worlds that live, as plain values; None where no demo was started."""
    living = _living(state_dir)
    return None if living is None else _plain(living)


def _living(state_dir: Path) -> DemoState | None:
    state = _load(state_dir)
    if state is None:
        return None
    living = {name: info for name, info in state.worlds.items() if info.supervisor().lives()}
    return _with_pods(DemoState(state.version, living))


def _with_pods(state: DemoState) -> DemoState:
    return DemoState(state.version, {name: with_pod(info) for name, info in state.worlds.items()})


def with_pod(info: world.WorldInfo) -> world.WorldInfo:
    """The world with `payments` among its processes, also where that is one of several pods: the oldest there is."""
    if info.cluster is None:
        return info
    pods = [one for one in processes.descendants(info.pid) if processes.runs(one, PAYMENTS)]
    if not pods:
        return info
    oldest = min(pods, key=lambda pod: (pod.start_time, pod.pid))
    return msgspec.structs.replace(info, processes={**info.processes, "payments": oldest})


def _load(state_dir: Path) -> DemoState | None:
    path = state_dir / FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        state = msgspec.json.decode(content, type=DemoState)
    except msgspec.DecodeError as refusal:
        raise DemoError(f"{path}: not the state of a demo: {refusal}; remove the file if no demo runs") from refusal
    if state.version != VERSION:
        raise DemoError(
            f"{path}: version {state.version} was written by another chaos-runner; this one reads {VERSION}"
        )
    return state


def _start_all(state_dir: Path, real_proxy: str | None) -> dict[str, world.WorldInfo]:
    started = {name: _start(state_dir, name, mode, real_proxy) for name, mode in WORLDS.items()}
    try:
        return {name: world.read_info(process) for name, process in started.items()}
    except BaseException as error:
        # They were told to outlive us; that holds for whole demos only.
        processes.end([processes.identify(process.pid) for process in started.values()], world.END_WITHIN_S)
        if isinstance(error, world.WorldError):
            logs = " and ".join(str(_log(state_dir, name)) for name in started)
            raise DemoError(f"{error}; {logs} say more") from error
        raise
    finally:
        for process in started.values():
            starting.let_go(process)


def _start(state_dir: Path, name: str, mode: str, real_proxy: str | None) -> subprocess.Popen[bytes]:
    log, cluster = _log(state_dir, name), _cluster(state_dir, name) if PODS else None
    log.unlink(missing_ok=True)
    if cluster is not None:
        shutil.rmtree(cluster, ignore_errors=True)
        cluster.mkdir(mode=0o700)
    return starting.detached(world.supervisor_argv(mode, real_proxy, cluster=cluster), log, world.environment())


def _cluster(state_dir: Path, name: str) -> Path:
    """The folder of a world's cluster: its kubeconfig, and its pods' logs."""
    return state_dir / f"{name}-cluster"


def _log(state_dir: Path, name: str) -> Path:
    return state_dir / f"{name}.log"


def _end(state: DemoState, state_dir: Path) -> None:
    infos = state.worlds.values()
    processes.end([info.supervisor() for info in infos], world.END_WITHIN_S)
    processes.end([process for info in infos for process in info.everyone()], world.END_WITHIN_S)
    for name in state.worlds:
        shutil.rmtree(_cluster(state_dir, name), ignore_errors=True)
    for info in infos:
        with contextlib.suppress(ChildProcessError):  # only a demo that this very process started is its child
            os.waitpid(info.pid, os.WNOHANG)


def _plain(state: DemoState) -> dict[str, Any]:
    return {
        "version": state.version,
        "worlds": {name: msgspec.to_builtins(info) for name, info in state.worlds.items()},
    }


@contextlib.contextmanager
def _turn(state_dir: Path) -> Iterator[None]:
    """One `up` or `down` at a time."""
    try:
        with starting.turn(state_dir, FILE, TURN_WITHIN_S):
            yield
    except starting.Busy as why:
        raise DemoError(f"another demo command {why}") from None
