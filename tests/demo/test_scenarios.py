"""`gameday check` of the scenarios that ship, against one world of the demo: each is ready, and nothing is touched."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos_runner import files
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
