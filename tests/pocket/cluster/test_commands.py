"""`chaos-runner pocket`: up, status, kubeconfig, down; and what it leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chaos_runner.pocket.cluster import handle
from tests.pocket.cluster.kit import Client

pytestmark = pytest.mark.world


def pocket(state: Path, *words: str) -> tuple[int, str, str]:
    argv = [sys.executable, "-P", "-m", "chaos_runner", "pocket", *words, "--state", str(state)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False)
    return done.returncode, done.stdout, done.stderr


def test_it_comes_up_once_stays_and_goes(tmp_path: Path) -> None:
    state = tmp_path / ".chaos-runner"
    assert pocket(state, "status")[0] == 3
    assert pocket(state, "kubeconfig")[0] == 3
    try:
        code, out, err = pocket(state, "up", "-o", "json")
        assert code == 0, err
        first = json.loads(out)
        again = json.loads(pocket(state, "up", "-o", "json")[1])
        info = handle.read(state)
        assert info is not None
        path = Path(pocket(state, "kubeconfig")[1].strip())

        assert again["pid"] == first["pid"], "one that runs is left alone"
        assert first["nodes"] == ["pocket-1", "pocket-2", "pocket-3"]
        assert (path, path.stat().st_mode & 0o777) == (Path(info.kubeconfig), 0o600)
        assert (state / "pocket.json").stat().st_mode & 0o777 == 0o600
        assert Client(info).get("/api/v1/namespaces/kube-system")["metadata"]["uid"] == first["uid"]
        assert info.tokens["pocket-admin"] not in out
    finally:
        told = pocket(state, "down")
    assert told[0] == 0
    assert not any(process.lives() for process in info.everyone())
    assert not (state / "pocket.json").exists()
    assert not path.exists()
    assert "no pocket cluster was running here" in pocket(state, "down")[1]


def test_two_at_once_are_one_cluster(tmp_path: Path) -> None:
    argv = [sys.executable, "-P", "-m", "chaos_runner", "pocket", "up", "-o", "json", "--state", str(tmp_path)]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE) for _ in range(2)]
    try:
        pids = {json.loads(one.communicate(timeout=90)[0])["pid"] for one in both}
    finally:
        handle.down(tmp_path)

    assert len(pids) == 1


def test_a_state_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "pocket.json").write_text("{}")
    code, _, err = pocket(tmp_path, "status")

    assert code == 3
    assert "not the state of a pocket cluster" in err
