"""Paused and killed processes: exactly the one that was meant, never the runner, and always let go again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from chaos_runner.api import Absent, Env, Present, Refused
from chaos_runner.clients import processes
from chaos_runner.environment import Environment, ProcessRef
from chaos_runner.faults._processes import ProcessSelector
from chaos_runner.faults.process_kill import ProcessKill
from chaos_runner.faults.process_pause import ProcessPause
from chaos_runner.testing import check_fault

pytestmark = pytest.mark.anyio
MARK = "cx.run-1.1.4102444800"
VICTIM = ProcessSelector(process="victim")


class ProcessWorld:
    """A sleeping process with a pid file, and a neighbour."""

    def __init__(self, folder: Path) -> None:
        self.pid_file = folder / "victim.pid"
        self.started: list[subprocess.Popen[bytes]] = []
        self.start()
        self.neighbour = self.spawn()
        self.env = self.env_of(ProcessRef(pid_file=str(self.pid_file)))

    def spawn(self) -> subprocess.Popen[bytes]:
        self.started.append(subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"]))
        return self.started[-1]

    def start(self) -> None:
        self.victim = self.spawn()
        self.pid_file.write_text(f"{self.victim.pid}\n")

    def env_of(self, ref: ProcessRef) -> Env:
        return Env("here", Environment(processes={"victim": ref}))

    async def state(self) -> Any:
        return [processes.read(one.pid).stopped for one in (self.victim, self.neighbour)]

    async def disturb(self) -> None:
        os.kill(self.neighbour.pid, signal.SIGSTOP)
        with anyio.fail_after(5):
            while not processes.read(self.neighbour.pid).stopped:
                await anyio.sleep(0.01)

    def close(self) -> None:
        for one in self.started:
            one.kill()
            one.wait(5)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ProcessWorld]:
    world = ProcessWorld(tmp_path)
    yield world
    world.close()


async def test_a_pause_keeps_the_promises_of_a_fault(world: ProcessWorld) -> None:
    await check_fault(ProcessPause(), VICTIM, world.env, world)


async def test_a_kill_keeps_the_promises_of_a_fault(world: ProcessWorld) -> None:
    undo = await check_fault(ProcessKill(), VICTIM, world.env, world)
    proof = await ProcessKill().effect(world.env, undo, {})
    assert proof is not None
    assert proof.how == "exchange"
    assert await ProcessKill().replaced(world.env, undo) == ""
    world.start()
    assert await ProcessKill().replaced(world.env, undo) == f"pid {world.victim.pid}"


async def test_a_pause_is_shown_by_the_kernel(world: ProcessWorld) -> None:
    pause = ProcessPause()
    (target,) = await pause.targets(world.env, VICTIM)
    undo = await pause.prepare(world.env, target, MARK)
    assert await pause.effect(world.env, undo, {}) is None
    await pause.inject(world.env, undo)
    assert await pause.effect(world.env, undo, {}) is not None
    await pause.revert(world.env, undo)


async def test_a_process_that_died_while_paused_needs_no_undo(world: ProcessWorld) -> None:
    pause = ProcessPause()
    (target,) = await pause.targets(world.env, VICTIM)
    undo = await pause.prepare(world.env, target, MARK)
    await pause.inject(world.env, undo)
    world.victim.kill()
    world.victim.wait(5)
    await pause.revert(world.env, undo)
    assert await pause.observe(world.env, undo) == Absent(drift="process/victim ended")


async def test_a_pid_that_was_given_away_is_never_signalled(world: ProcessWorld) -> None:
    pause = ProcessPause()
    (target,) = await pause.targets(world.env, VICTIM)
    undo = await pause.prepare(world.env, target, MARK)
    other = processes.read(world.neighbour.pid).identity
    stolen = msgspec.structs.replace(undo, before=undo.before | {"pid": other.pid, "start_time": other.start_time - 1})
    with pytest.raises(Refused, match="belongs to another one"):
        await pause.inject(world.env, stolen)
    await anyio.sleep(0.05)
    assert await world.state() == [False, False]
    os.kill(other.pid, signal.SIGSTOP)
    await pause.revert(world.env, stolen)
    with anyio.fail_after(5):
        while not processes.read(other.pid).stopped:
            await anyio.sleep(0.01)


async def test_another_boot_is_another_process(world: ProcessWorld) -> None:
    pause = ProcessPause()
    (target,) = await pause.targets(world.env, VICTIM)
    undo = await pause.prepare(world.env, target, MARK)
    old = msgspec.structs.replace(undo, before=undo.before | {"boot_id": "another"})
    with pytest.raises(Refused):
        await pause.inject(world.env, old)


async def test_a_process_that_was_restarted_since_the_plan_is_refused(world: ProcessWorld) -> None:
    (target,) = await ProcessKill().targets(world.env, VICTIM)
    world.start()
    with pytest.raises(Refused, match="it was restarted"):
        await ProcessKill().prepare(world.env, target, MARK)


@pytest.mark.parametrize("pid", [1, os.getpid(), os.getppid()], ids=["init", "itself", "its parent"])
async def test_the_runner_s_own_are_never_touched(pid: int, world: ProcessWorld) -> None:
    env = world.env_of(ProcessRef(pid=pid, start_time=processes.read(pid).identity.start_time))
    with pytest.raises(Refused, match="the runner's own, or init"):
        await ProcessPause().targets(env, VICTIM)


async def test_references_that_cannot_be_trusted_are_refused(world: ProcessWorld) -> None:
    pid = world.victim.pid
    os.utime(world.pid_file, (1, 1))
    for ref, words in (
        (ProcessRef(pid_file=str(world.pid_file)), "older than the process"),
        (ProcessRef(pid=pid), "needs a pid_file, or both"),
        (ProcessRef(pid=pid, start_time=1), "belongs to another one"),
        (ProcessRef(pid_file=__file__), "holds no pid"),
        (ProcessRef(pid_file="/nonexistent"), "there is no /nonexistent"),
    ):
        with pytest.raises(Refused, match=words):
            await ProcessPause().targets(world.env_of(ref), VICTIM)
    with pytest.raises(Refused, match="has no process 'victim'; it has: none"):
        await ProcessPause().targets(Env("e", Environment()), VICTIM)


async def test_a_stopped_or_dead_process_is_refused(world: ProcessWorld) -> None:
    (target,) = await ProcessPause().targets(world.env, VICTIM)
    undo = await ProcessPause().prepare(world.env, target, MARK)
    await ProcessPause().inject(world.env, undo)
    assert await ProcessPause().observe(world.env, undo) == Present()
    with pytest.raises(Refused, match="already stopped"):
        await ProcessPause().prepare(world.env, target, MARK)
    world.victim.kill()  # a zombie until somebody waits for it
    with anyio.fail_after(5):
        while processes.read(world.victim.pid).alive:
            await anyio.sleep(0.01)
    with pytest.raises(Refused, match="is dead"):
        await ProcessPause().prepare(world.env, target, MARK)


async def test_a_process_of_another_user_is_not_ours_to_signal(
    monkeypatch: pytest.MonkeyPatch, world: ProcessWorld
) -> None:
    def forbidden(_pid: int, _number: int) -> None:
        raise PermissionError

    (target,) = await ProcessPause().targets(world.env, VICTIM)
    with monkeypatch.context() as patched:
        patched.setattr(os, "kill", forbidden)
        rights = await ProcessPause().rights(world.env, target)
    assert not rights.allowed
    assert "may not send signals" in rights.why
