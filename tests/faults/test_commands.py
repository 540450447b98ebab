"""Commands and the noop: what runs, with what, for how long, and what its exit status means."""

from __future__ import annotations

import stat
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from chaos_runner.api import Absent, Doubt, Drifted, Env, Present, Refused, Undo, Unreadable
from chaos_runner.clients import commands
from chaos_runner.environment import Environment
from chaos_runner.faults.command import CommandFault, CommandSelector
from chaos_runner.faults.noop import Noop, NoopSelector
from chaos_runner.records import Target
from chaos_runner.testing import check_fault

pytestmark = pytest.mark.anyio
MARK = "cx.run-1.1.4102444800"
CACHE = CommandSelector(name="cache")


class Folder:
    """A directory with scripts in `bin`, and the harm beside it."""

    def __init__(self, folder: Path) -> None:
        self.harm = folder / "harm"
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.harm.mkdir()

    def script(self, name: str, text: str) -> str:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    def env(self) -> Env:
        return Env("here", Environment(commands=tuple(str(path) for path in sorted(self.bin.iterdir()))))

    def fault(self, **changes: Any) -> CommandFault:
        file = self.harm / "file"
        fields = {
            "do": (self.script("do", f"echo $CHAOS_MARK $CHAOS_TARGET > {file}"),),
            "undo": (self.script("undo", f"rm -f {file}"),),
            "verify": (self.script("verify", f"test ! -e {file}"),),
        }
        return CommandFault(**(fields | changes))

    async def state(self) -> Any:
        return {path.name: path.read_text() for path in self.harm.iterdir()}

    async def disturb(self) -> None:
        (self.harm / "theirs").write_text("somebody else's")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def undo_of(fault: CommandFault) -> Undo:
    return Undo("command", 1, MARK, Target("command/cache"), {})


async def test_a_command_keeps_the_promises_of_a_fault(folder: Folder) -> None:
    fault = folder.fault()
    await check_fault(fault, CACHE, folder.env(), folder)
    await fault.inject(folder.env(), undo_of(fault))
    assert (folder.harm / "file").read_text() == f"{MARK} command/cache\n"


async def test_a_noop_keeps_the_promises_of_a_fault(folder: Folder) -> None:
    await check_fault(Noop(file=str(folder.harm / "noop")), NoopSelector(name="x"), folder.env(), folder)


async def test_a_noop_never_touches_a_file_of_somebody_else(folder: Folder) -> None:
    path = folder.harm / "noop"
    fault = Noop(file=str(path))
    undo = await fault.prepare(folder.env(), Target("noop/x"), MARK)
    path.write_text("somebody else's")
    with pytest.raises(Refused):
        await fault.inject(folder.env(), undo)
    await fault.revert(folder.env(), undo)
    assert await fault.observe(folder.env(), undo) == Absent(drift=f"{path} is somebody else's")
    path.write_text(MARK[:5])
    assert isinstance(await fault.observe(folder.env(), undo), Drifted)
    await fault.revert(folder.env(), undo)
    assert not path.exists()


def test_a_noop_wants_an_absolute_path() -> None:
    assert list(Noop(file="x").problems())
    assert not list(Noop(file="/x").problems())


async def test_a_program_that_the_operator_did_not_allow_never_runs(folder: Folder) -> None:
    fault = folder.fault()
    env = Env("here", Environment(commands=(fault.undo[0], fault.verify[0])))
    rights = await fault.rights(env, Target("command/cache"))
    assert not rights.allowed
    assert "is not among the commands" in rights.why
    with pytest.raises(Refused):
        await fault.inject(env, undo_of(fault))
    assert await folder.state() == {}


async def test_arguments_are_words_and_never_a_shell_s(folder: Folder) -> None:
    echo = folder.script("echo", 'printf "%s|" "$@"')
    result = await commands.run(folder.env(), (echo, "a b", "$(id)", ";rm", "*"), 5)
    assert result.stdout == "a b|$(id)|;rm|*|"


async def test_a_program_gets_a_bare_environment_and_no_input(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    show = folder.script("show", "env; pwd; cat")
    result = await commands.run(folder.env(), (show,), 5, {"CHAOS_MARK": "m"})
    assert "secret" not in result.stdout
    assert {"CHAOS_MARK=m", "LANG=C.UTF-8", "/"} <= set(result.stdout.splitlines())


async def test_a_program_that_does_not_end_is_killed_with_all_it_started(folder: Folder) -> None:
    pid = folder.harm / "pid"
    slow = folder.script("slow", f"sleep 60 & echo $! > {pid}; wait")
    began = time.monotonic()
    with pytest.raises(Doubt, match="did not end within"):
        await commands.run(folder.env(), (slow,), 0.5)
    assert time.monotonic() - began < 4
    with anyio.fail_after(5):
        while _alive(int(pid.read_text())):
            await anyio.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def test_what_a_program_leaves_running_does_not_hold_us_up(folder: Folder) -> None:
    spawner = folder.script("spawner", "sleep 3 & echo done")
    began = time.monotonic()
    assert (await commands.run(folder.env(), (spawner,), 5)).stdout == "done\n"
    assert time.monotonic() - began < 2.5


async def test_much_output_is_cut_and_never_blocks_the_program(folder: Folder) -> None:
    loud = folder.script("loud", "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; exit 3")
    result = await commands.run(folder.env(), (loud,), 10)
    assert (result.exit, len(result.stdout), len(result.stderr), result.cut) == (3, 65536, 65536, True)


async def test_a_do_that_fails_may_have_done_half(folder: Folder) -> None:
    fault = folder.fault(do=(folder.script("do2", "echo no disk >&2; exit 4"),))
    with pytest.raises(Doubt, match="ended with 4: no disk"):
        await fault.inject(folder.env(), undo_of(fault))


async def test_an_undo_that_fails_is_no_undo(folder: Folder) -> None:
    fault = folder.fault(undo=(folder.script("undo2", "exit 1"),))
    with pytest.raises(Doubt):
        await fault.revert(folder.env(), undo_of(fault))


@pytest.mark.parametrize(("code", "kind"), [(0, Absent), (1, Present), (2, Unreadable), (127, Unreadable)])
async def test_verify_speaks_by_its_exit_status(code: int, kind: type, folder: Folder) -> None:
    fault = folder.fault(verify=(folder.script("verify2", f"exit {code}"),))
    env = folder.env()
    assert isinstance(await fault.observe(env, undo_of(fault)), kind)
    if code:
        with pytest.raises(Refused):
            await fault.prepare(env, Target("command/cache"), MARK)


async def test_a_verify_that_hangs_cannot_tell(folder: Folder) -> None:
    fault = folder.fault(verify=(folder.script("verify2", "sleep 30"),), timeout=0.3)
    assert isinstance(await fault.observe(folder.env(), undo_of(fault)), Unreadable)


def test_a_command_has_a_limit_that_a_run_can_wait_for(folder: Folder) -> None:
    assert list(folder.fault(timeout=60.0).problems())
    assert not list(folder.fault().problems())


async def test_a_file_that_cannot_be_run_is_said_so(folder: Folder) -> None:
    broken = folder.script("broken", "")
    Path(broken).write_bytes(b"\x7fELFnothing")
    with pytest.raises(Refused, match="could not be started"):
        await commands.run(folder.env(), (broken,), 1)
    Path(broken).chmod(0o600)
    assert "not an executable file" in commands.check(folder.env(), (broken,))
