"""A project begins at its configuration file, wherever in it somebody stands."""

from __future__ import annotations

from pathlib import Path

from chaos_runner import project


def test_the_nearest_file_upwards_is_the_one(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / project.FILE).touch()
    assert project.find(deep) == tmp_path / project.FILE

    (deep / project.FILE).touch()
    assert project.find(deep) == deep / project.FILE


def test_a_folder_of_that_name_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / project.FILE).touch()
    (tmp_path / "a" / project.FILE).mkdir()

    assert project.find(tmp_path / "a") == tmp_path / project.FILE
