"""`validate` of chaos-runner.yaml looks into all that its schedules name, and says where each mistake stands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chaos_runner import files

CONFIG = """\
kind: config/v1
environments: {here: {}}
calendars:
  work: {days: mon-fri, between: "10:00-15:00", timezone: UTC, except: ["2026-12-25", "file:freeze.yaml"]}
schedules:
  - {name: one, experiment: fine.yaml, environment: here, calendar: work, every: 2 workdays}
  - file:schedules
"""
FILE = """\
kind: schedules/v1
schedules:
  - {name: two, experiment: fine.yaml, environment: here, calendar: work, every: 2 workdays}
  - {name: three, experiment: fine.yaml, environment: here, calendar: always, cron: "0 9 * * *"}
"""
FREEZE = "kind: closed/v1\nclosed: [2026-12-24..2026-12-26 Christmas]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "chaos-runner.yaml").write_text(CONFIG)
    (tmp_path / "schedules").mkdir()
    (tmp_path / "schedules" / "team.yaml").write_text(FILE)
    (tmp_path / "freeze.yaml").write_text(FREEZE)
    experiment = (files.bundled() / "slow-payments.yaml").read_text()
    shoppers = "{probe: tcp, with: {service: shop}, expect: [success >= 99%]}"
    (tmp_path / "fine.yaml").write_text(experiment.replace('{use: "checks/shop.yaml#shoppers"}', shoppers))
    return tmp_path


def validated(folder: Path) -> tuple[int, list[dict[str, Any]]]:
    argv = [sys.executable, "-m", "chaos_runner", "validate", "chaos-runner.yaml", "-o", "json"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_configuration_whose_schedules_can_run_is_valid(folder: Path) -> None:
    assert validated(folder) == (0, [])


@pytest.mark.parametrize(
    ("file", "old", "new", "place", "said"),
    [
        ("chaos-runner.yaml", "fine.yaml", "gone.yaml", ("chaos-runner.yaml", 6), "there is no file gone.yaml"),
        ("schedules/team.yaml", "fine.yaml", "gone.yaml", ("schedules/team.yaml", 3), "there is no file gone.yaml"),
        ("schedules/team.yaml", "calendar: work", "calendar: wrok", ("schedules/team.yaml", 3), "did you mean 'work'"),
        ("schedules/team.yaml", "name: three", "name: one", ("schedules/team.yaml", 4), "is named 'one' too"),
        ("schedules/team.yaml", "0 9 * * *", "0 25 * * *", ("schedules/team.yaml", 4), ""),
        (
            "schedules/team.yaml",
            "here, calendar: always",
            "there, calendar: always",
            ("schedules/team.yaml", 4),
            "there",
        ),
        ("fine.yaml", "latency: 400ms", "latncy: 400ms", ("fine.yaml", 23), "did you mean 'latency'"),
        ("freeze.yaml", "2026-12-24", "2026-13-24", ("chaos-runner.yaml", 4), "nothing runs by this calendar"),
        ("chaos-runner.yaml", "file:freeze.yaml", "file:gone.ics", ("chaos-runner.yaml", 4), "nothing runs by this"),
        ("chaos-runner.yaml", "file:schedules", "file:nothing.yaml", ("nothing.yaml", 0), "does not exist"),
    ],
)
def test_a_mistake_in_anything_that_a_schedule_names_is_a_problem_with_its_place(
    folder: Path, file: str, old: str, new: str, place: tuple[str, int], said: str
) -> None:
    replace(folder / file, old, new)

    code, problems = validated(folder)

    assert code == 2
    [one] = problems
    assert (str(folder / one["file"]).removeprefix(f"{folder}/"), one["line"]) == place
    assert said in one["message"]


def test_mistakes_of_several_files_come_together(folder: Path) -> None:
    replace(folder / "chaos-runner.yaml", "fine.yaml", "gone.yaml")
    replace(folder / "schedules/team.yaml", "fine.yaml", "lost.yaml")

    assert [(Path(one["file"]).name, one["line"]) for one in validated(folder)[1]] == [
        ("chaos-runner.yaml", 6),
        ("team.yaml", 3),
    ]
