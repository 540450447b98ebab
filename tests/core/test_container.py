"""Where a guardian ends together with its runner, nobody counts on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaos_runner import container

NOWHERE = Path("/nonexistent")


@pytest.mark.parametrize(
    ("environment", "mounted", "pid", "survives"),
    [
        ({}, False, 4711, True),
        ({container.IN_POD: "198.18.64.1"}, False, 4711, False),  # a pod without its account's token
        ({}, True, 4711, False),  # a pod whose environment was cleared
        ({}, False, 1, False),  # docker run
    ],
)
def test_a_guardian_survives_its_runner_unless_a_pod_or_a_container_ends_with_it(
    environment: dict[str, str], mounted: bool, pid: int, survives: bool, tmp_path: Path
) -> None:
    account = tmp_path if mounted else NOWHERE
    assert container.guardian_survives(environment, account, pid) is survives


PLAN = """\
kind: experiment/v1
name: e
hypothesis: it stays up
steady_state:
  up: {probe: tcp, with: {address: "127.0.0.1:1"}, expect: [success >= 50%], interval: 500ms}
baseline: 10s
blast_radius: {at_once: 1, in_total: 1, max_duration: 1m}
method:
  - {fault: noop, target: {name: x}, with: {file: FILE}, for: 10s}
recovery: {within: 30s}
"""


def test_in_a_pod_a_plan_says_so_and_a_run_that_counts_on_a_guardian_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(PLAN.replace("FILE", str(tmp_path / "harm")))
    (tmp_path / "chaos-runner.yaml").write_text("kind: config/v1\nenvironments: {lab: {}}\n")
    in_pod = os.environ | {container.IN_POD: "198.18.64.1"}

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "chaos_runner", *words]
        return subprocess.run(argv, cwd=tmp_path, env=in_pod, capture_output=True, text=True, timeout=60, check=False)

    planned = call("plan", "e.yaml")
    assert planned.returncode == 0, planned.stderr
    assert "undo layers  runner: " in planned.stdout
    assert "it is not counted" in planned.stdout

    run = call("run", "e.yaml", "--no-report")
    assert run.returncode == 3, run.stdout + run.stderr
    assert "the layer 'guardian' is required" in run.stderr
    assert "require: {layer: runner}" in run.stderr
    assert not (tmp_path / "harm").exists()
