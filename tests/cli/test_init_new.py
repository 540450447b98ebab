"""What `init` and `new` write is valid, explains itself, and never replaces anything."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from chaos_runner import files, scenarios
from chaos_runner.cli import templates
from chaos_runner.gameday.scenario import ROLES
from chaos_runner.load import Invalid
from tests.cli.conftest import Call


def test_what_init_writes_is_valid(call: Call, home: Path) -> None:
    said = call("init")

    assert said.code == 0
    for path in ["chaos-runner.yaml", "experiments/slow-payments.yaml", "experiments/checks/shop.yaml"]:
        files.read_any(home / path)
    assert "next: chaos-runner demo up && chaos-runner run experiments/slow-payments.yaml -e demo-resilient" in said.out


def test_init_never_overwrites_and_names_what_it_left_alone(call: Call, home: Path) -> None:
    (home / "chaos-runner.yaml").write_text("mine\n")
    (home / ".gitignore").write_text("*.pyc")

    said = call("init", "-o", "json").json

    assert (home / "chaos-runner.yaml").read_text() == "mine\n"
    assert said["left_alone"] == ["chaos-runner.yaml"]
    assert (home / ".gitignore").read_text() == "*.pyc\n.chaos-runner/\nreports/\n"
    assert call("init", "-o", "json").json["wrote"] == []
    assert (home / ".gitignore").read_text() == "*.pyc\n.chaos-runner/\nreports/\n"


def test_the_modelines_lead_to_schemas_that_the_files_fit(call: Call, home: Path) -> None:
    call("init", "sub/dir")
    call("new", "other", "--class", "hang", "--dir", home / "sub/dir/experiments")

    for path in sorted((home / "sub/dir").rglob("*.yaml")):
        first = path.read_text().splitlines()[0]
        if "$schema=" not in first:
            assert path.name == "other.yaml"  # typed outside of the folder that has the schemas
            continue
        schema = json.loads((path.parent / first.partition("$schema=")[2]).read_text())
        jsonschema.Draft7Validator(schema).validate(yaml.safe_load(path.read_text()))


def test_the_staging_example_is_valid_once_it_is_uncommented(call: Call, home: Path) -> None:
    call("init")
    config = home / "chaos-runner.yaml"
    head, example = config.read_text().split("  # staging:")
    lines = ["  staging:", *(line.replace("  # ", "  ", 1) for line in example.splitlines()[1:])]
    config.write_text(head + "\n".join(lines) + "\n")

    environments = files.read_any(config).value.environments

    assert environments["staging"].confirm == "type-name"
    assert environments["staging"].ceilings.max_duration == 300
    config.write_text(config.read_text().replace("# token:", "token:"))
    assert files.read_any(config).value.environments["staging"].toxiproxy.token == "env:TOXIPROXY_TOKEN"


@pytest.mark.parametrize("failure", templates.classes())
def test_every_class_is_valid_as_written_and_explains_itself(failure: str, call: Call, home: Path) -> None:
    said = call("new", "my-test", "--class", failure, "--service", "stock", "--target", "ledger")

    path = home / "experiments/my-test.yaml"
    experiment = files.read_experiment(path).value
    assert said.code == 0
    assert experiment.service == "stock"
    assert "ledger" in str(experiment.method[0].target)
    assert "because" in experiment.hypothesis
    assert path.read_text().count("#") >= 8
    assert "{{" not in path.read_text()
    assert said.out.endswith("next: edit it, then: chaos-runner plan experiments/my-test.yaml\n")


def test_new_never_overwrites(call: Call, home: Path) -> None:
    call("new", "x", "--class", "hang")
    before = (home / "experiments/x.yaml").read_bytes()

    said = call("new", "x", "--class", "cut-body")

    assert said.code == 2
    assert "is there already" in said.err
    assert (home / "experiments/x.yaml").read_bytes() == before


def test_a_name_that_does_not_fit_leaves_no_file(call: Call, home: Path) -> None:
    said = call("new", "Not_A_Name", "--class", "hang")

    assert said.code == 2
    assert "a-z, 0-9 and -" in said.err
    assert not list(home.rglob("*.yaml"))


def test_new_writes_beside_the_configuration_from_wherever_it_is_typed(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("init")
    monkeypatch.chdir(home / "experiments/checks")

    call("new", "x", "--class", "hang")

    first = (home / "experiments/x.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../.chaos-runner-schema/experiment.json"


def test_list_names_every_class(call: Call) -> None:
    said = call("new", "--list")

    assert said.code == 0
    assert call("new", "--list", "-o", "json").json["classes"] == templates.classes()
    assert all(f"\n{name} " in f"\n{said.out}" for name in templates.classes())


def test_a_broken_template_would_be_noticed(home: Path) -> None:
    bad = templates.experiment("hang", {"modeline": "#", "name": "x", "service": "s", "target": "t", "owner": "o"} | {
        "steady_state": "  a: {probe: httq}"
    })  # fmt: skip
    (home / "bad.yaml").write_text(bad)

    with pytest.raises(Invalid, match="httq"):
        files.read_experiment(home / "bad.yaml")


def test_git_ignores_what_init_says(call: Call, home: Path) -> None:
    subprocess.run(["git", "init", "-q", home], check=True, timeout=30)
    call("init")
    (home / ".chaos-runner").mkdir()
    (home / ".chaos-runner/ledger.sqlite").touch()

    seen = subprocess.run(
        ["git", "-C", home, "status", "--short", "-uall"], check=True, capture_output=True, text=True, timeout=30
    ).stdout

    assert "ledger.sqlite" not in seen
    assert "chaos-runner.yaml" in seen


def test_a_game_day_of_experiments_is_valid_and_not_ready_before_people_are_named(call: Call, home: Path) -> None:
    call("init")
    call("new", "two", "--class", "hang")

    said = call("new", "friday", "--scenario", "experiments/slow-payments.yaml", "experiments/two.yaml")

    path = home / "scenarios/friday.yaml"
    assert said.out.endswith("next: edit it, then: chaos-runner gameday check scenarios/friday.yaml\n")
    read = scenarios.read(path)
    assert [one.loaded.value.name for one in read.played] == ["slow-payments", "two"]
    assert path.read_text().startswith("# yaml-language-server: $schema=../.chaos-runner-schema/scenario.json\n")
    assert "{{" not in path.read_text()
    found = call("gameday", "check", path, "-o", "json").json["findings"]
    nobody = {one["what"] for one in found if one["state"] == "no" and "is nobody" in one["found"]}
    assert nobody == {f"role {role}" for role in ROLES}
    assert all(one["state"] == "ok" for one in found if one["what"].startswith("time of"))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["x", "--class", "hang", "--scenario", "a.yaml"], "or its experiments"),
        (["x"], "or its experiments"),
        (["x", "--scenario", "none.yaml"], "none.yaml: does not exist"),
    ],
)
def test_a_game_day_without_experiments_leaves_no_file(words: list[str], why: str, call: Call, home: Path) -> None:
    said = call("new", *words)
    assert said.code == 2
    assert why in said.err
    assert not list(home.rglob("*.yaml"))
