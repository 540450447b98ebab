"""Every command of a checkout finds the same state."""

from __future__ import annotations

from pathlib import Path

from chaos_runner.store.state import state_dir


def test_the_option_wins_over_the_variable_and_the_variable_over_the_config(tmp_path: Path) -> None:
    (tmp_path / "chaos-runner.yaml").write_text("")
    environ = {"CHAOS_RUNNER_STATE": str(tmp_path / "b")}

    assert state_dir("a", environ, tmp_path) == tmp_path / "a"
    assert state_dir(None, environ, tmp_path) == tmp_path / "b"
    assert state_dir(None, {"CHAOS_RUNNER_STATE": ""}, tmp_path) == tmp_path / ".chaos-runner"


def test_the_state_lies_beside_the_nearest_config_upwards(tmp_path: Path) -> None:
    (tmp_path / "chaos-runner.yaml").write_text("")
    deep = tmp_path / "team" / "experiments"
    deep.mkdir(parents=True)
    assert state_dir(None, {}, deep) == tmp_path / ".chaos-runner"

    (tmp_path / "team" / "chaos-runner.yaml").write_text("")
    assert state_dir(None, {}, deep) == tmp_path / "team" / ".chaos-runner"


def test_without_a_config_the_state_is_here_and_nothing_is_made(tmp_path: Path) -> None:
    assert state_dir(None, {}, tmp_path) == tmp_path / ".chaos-runner"
    assert list(tmp_path.iterdir()) == []
