"""A process is not mistaken for another one."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest

from chaos_runner.store import Owner, alive


def test_this_process_is_alive() -> None:
    assert Owner.mine() == Owner.mine()
    assert Owner.mine().pid == os.getpid()
    assert alive(Owner.mine()) is True


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"start_time": 1}, False),
        ({"boot_id": "an earlier boot"}, False),
        ({"pid": 2**22 + 1}, False),
        ({"host": "x"}, None),
    ],
)
def test_another_start_boot_or_pid_is_dead_and_another_host_unknown(change: dict[str, object], answer: object) -> None:
    assert alive(msgspec.structs.replace(Owner.mine(), **change)) is answer


def test_a_zombie_is_dead() -> None:
    code = (
        "from chaos_runner.store.owner import Owner; o = Owner.mine(); print(o.pid, o.start_time, flush=True); input()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pid, start_time = map(int, process.stdout.readline().split())
    owner = msgspec.structs.replace(Owner.mine(), pid=pid, start_time=start_time)
    assert alive(owner) is True

    process.kill()
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert alive(owner) is False, "before it is reaped"
    process.communicate()
    assert alive(owner) is False
