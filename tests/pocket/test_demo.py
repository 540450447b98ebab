"""Laws of the demo: it outlives its terminal, one file names it, and `down` leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chaos_runner import configure
from chaos_runner.pocket import demo, processes, world
from tests.pocket.test_world import gone, listens, until

pytestmark = pytest.mark.world
pods = pytest.mark.skipif(not demo.PODS, reason="the pocket cluster needs Linux")


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    demo.down(tmp_path / "state")


def infos(state: dict[str, Any]) -> list[world.WorldInfo]:
    return [msgspec.convert(value, world.WorldInfo) for value in state["worlds"].values()]


def test_both_worlds_outlive_the_command_that_started_them(state_dir: Path) -> None:
    code = f"from pathlib import Path; from chaos_runner.pocket import demo; demo.up(Path({str(state_dir)!r}))"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=world.environment(), timeout=60)
    state = demo.read(state_dir)

    assert state is not None
    assert {name: info["mode"] for name, info in state["worlds"].items()} == demo.WORLDS
    assert all(listens(info.services["shop"]) for info in infos(state))
    assert demo.down(state_dir)
    assert all(map(gone, infos(state)))
    assert demo.read(state_dir) is None


def test_up_again_finds_the_demo_and_down_again_finds_none(state_dir: Path) -> None:
    state = demo.up(state_dir)

    assert demo.up(state_dir) == state == demo.read(state_dir)
    assert stat.S_IMODE((state_dir / demo.FILE).stat().st_mode) == 0o600
    assert demo.down(state_dir)
    assert not demo.down(state_dir)


def test_a_world_that_died_is_not_offered_and_up_replaces_it(state_dir: Path) -> None:
    first = demo.up(state_dir)
    os.kill(first["worlds"]["demo"]["pid"], signal.SIGKILL)
    assert until(lambda: (demo.read(state_dir) or {"worlds": ()})["worlds"].keys() == {"demo-resilient"})
    second = demo.up(state_dir)

    assert second["worlds"].keys() == demo.WORLDS.keys()
    assert all(map(gone, infos(first)))


def test_a_frozen_supervisor_is_ended_too(state_dir: Path) -> None:
    state = demo.up(state_dir)
    os.kill(state["worlds"]["demo"]["pid"], signal.SIGSTOP)

    assert demo.down(state_dir)
    assert all(map(gone, infos(state)))


def test_without_a_demo_there_is_nothing_to_read_or_end(tmp_path: Path) -> None:
    assert demo.read(tmp_path) is None
    assert not demo.down(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1}', json.dumps({"version": 2, "worlds": {}})])
def test_a_file_that_is_no_demo_state_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / demo.FILE).write_text(content)

    with pytest.raises(demo.DemoError, match=r"demo\.json"):
        demo.read(tmp_path)


def test_down_never_touches_a_process_that_took_over_a_pid(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as bystander:
        stale = world.WorldInfo(1, "fragile", bystander.pid, 1, world.Api("http://127.0.0.1:9"), {}, {})
        state = demo.DemoState(demo.VERSION, {"demo": stale})
        (tmp_path / demo.FILE).write_bytes(msgspec.json.encode(state))

        assert demo.read(tmp_path) == {"version": 1, "worlds": {}}
        assert demo.down(tmp_path)
        assert bystander.poll() is None
        bystander.kill()


@pods
def test_each_environment_has_the_cluster_of_its_world_and_down_leaves_no_folder(state_dir: Path) -> None:
    demo.up(state_dir)
    clusters = [
        configure.connect(configure.Configuration(configure.BUILT_IN, None), name, state_dir).cluster
        for name in demo.WORLDS
    ]

    assert all(one is not None and one.uid and Path(one.kubeconfig.removeprefix("file:")).exists() for one in clusters)
    assert clusters[0] != clusters[1]
    demo.down(state_dir)
    assert [path.name for path in state_dir.iterdir() if path.is_dir()] == []


@pods
def test_the_process_payments_is_the_oldest_of_its_pods(state_dir: Path) -> None:
    name = "demo"
    first = demo.up(state_dir)["worlds"][name]
    pod = processes.ProcessId(**first["processes"]["payments"])
    os.kill(pod.pid, signal.SIGKILL)
    assert until(lambda: not pod.lives())

    other = demo.read(state_dir)
    assert other is not None
    assert processes.ProcessId(**other["worlds"][name]["processes"]["payments"]).lives()
