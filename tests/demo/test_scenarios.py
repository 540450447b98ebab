"""`gameday check` of the scenarios that ship, against one world of the demo: each is ready, and nothing is touched."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from chaos_runner import conduct, configure, files, planning, registry
from chaos_runner.plan import Plan
from chaos_runner.pocket import world
from tests.demo import observer, trial

pytestmark = pytest.mark.world
SCENARIOS = sorted(files.bundled("scenarios").glob("*.yaml"))
CHECK_WITHIN_S = 90.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[world.World, Path]]:
    """A fragile shop with its cluster, and the state folder that names it."""
    folder = tmp_path_factory.mktemp("scenarios")
    (folder / "cluster").mkdir(mode=0o700)
    with trial.World("fragile", folder / "cluster") as one:
        trial.name(one.shop, folder / "state")
        yield one.shop, folder
    assert one.left == ()


def check(file: Path, folder: Path) -> tuple[int, dict[str, Any]]:
    argv = [sys.executable, "-P", "-m", "chaos_runner", "gameday", "check", str(file)]
    argv += ["--state", str(folder / "state"), "-o", "json"]
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        env=world.environment(),
        cwd=folder,
        timeout=CHECK_WITHIN_S,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_a_scenario_that_ships_is_ready_for_the_demo(file: Path, place: tuple[world.World, Path]) -> None:
    shop, folder = place
    code, said = check(file, folder)

    assert (code, [one for one in said["findings"] if one["state"] != "ok"]) == (0, [])
    planned = [one["what"] for one in said["findings"] if one["what"].startswith("step ")]
    assert len(planned) == len(said["steps"])
    assert sum(step["worst_case_s"] for step in said["steps"]) < 900, "an afternoon is enough for everybody"
    assert observer.harm(shop.toxiproxy) == []
    assert not (folder / "state" / "ledger.sqlite").exists()


def _again(file: Path, folder: Path) -> bool:
    """Whether the plan of an experiment is the same after it went through a file, as each step of a day does."""
    connections = configure.connect(configure.read(None), "demo", folder / "state")
    experiment = files.read_experiment(file).value

    async def renewed() -> bool:
        filed = msgspec.json.decode(
            msgspec.json.encode(await conduct.make_plan(experiment, "demo", connections, 1)), type=Plan
        )
        env = conduct.open_env("demo", connections)
        try:
            today = await planning.renew(filed, env, registry.faults, registry.probes)
        finally:
            await env.aclose()
        return today.faults == filed.faults

    return anyio.run(renewed)


def test_the_plan_of_every_bundled_experiment_survives_its_file(place: tuple[world.World, Path]) -> None:
    _shop, folder = place
    tried = [file for file in sorted(files.bundled().glob("*.yaml")) if "redis" not in file.stem]
    assert [file.stem for file in tried if not _again(file, folder)] == []
    assert len(tried) >= 20
