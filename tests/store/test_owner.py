"""A process is not mistaken for another one."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from chaos_runner.store import Owner, alive, signalled


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


def test_a_signal_reaches_the_very_process_and_no_other_under_its_pid() -> None:
    process = subprocess.Popen(["/bin/sleep", "60"])
    started = int(Path(f"/proc/{process.pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    owner = msgspec.structs.replace(Owner.mine(), pid=process.pid, start_time=started)
    others = [
        {"start_time": started + 1},
        {"boot_id": "an earlier boot"},
        {"host": "x"},
        {"pid": 0},
        {"pid": 2**22 + 1},
    ]
    try:
        for other in others:
            with signalled(msgspec.structs.replace(owner, **other), signal.SIGKILL) as pidfd:
                assert pidfd is None, other
        assert process.poll() is None
        with signalled(owner, signal.SIGKILL) as pidfd:
            assert pidfd is not None
            assert select.select([pidfd], [], [], 10.0)[0]
        assert process.wait(10) == -signal.SIGKILL
        with signalled(owner, signal.SIGKILL) as pidfd:
            assert pidfd is None
    finally:
        process.kill()
        process.wait()


def test_nobody_signals_itself() -> None:
    with signalled(Owner.mine(), signal.SIGKILL) as pidfd:
        assert pidfd is None
