"""What the program says about itself: explanations, schemas, completions and the documents made from them."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from chaos_runner import registry
from chaos_runner.cli import completion
from chaos_runner.cli.main import COMMANDS
from chaos_runner.verdict import EXIT_CODES
from tests.cli.conftest import Call

ROOT = Path(__file__).parents[2]
KINDS = [*registry.faults.names(), *registry.probes.names()]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_listed_and_explained(kind: str, call: Call) -> None:
    assert f"  {kind} " in call("explain").out
    said = call("explain", kind)
    assert said.code == 0
    assert all(len(line) <= 120 for line in said.out.splitlines())


@pytest.mark.parametrize("kind", registry.probes.names())
def test_a_probe_is_explained_with_what_a_clause_may_name(kind: str, call: Call) -> None:
    assert "metrics of the probe:" in call("explain", kind).out


def test_a_part_of_a_file_is_explained_and_a_typo_is_named(call: Call) -> None:
    assert "violated_for" in call("explain", "experiment.abort").out
    assert "did you mean 'toxic'?" in call("explain", "toxik").err
    assert call("explain", "toxic", "-o", "json").json["schemaVersion"] == 1


@pytest.mark.parametrize("kind", ["experiment", "scenario", "config", "checks"])
def test_a_schema_is_draft_7_and_the_committed_one(kind: str, call: Call) -> None:
    said = call("schema", kind)

    jsonschema.Draft7Validator.check_schema(json.loads(said.out))
    assert said.out == (ROOT / f"docs/schema/{kind}.json").read_text("utf-8")


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_bundled_experiment_fits_the_schema(path: Path) -> None:
    schema = json.loads((ROOT / "docs/schema/experiment.json").read_text())
    jsonschema.Draft7Validator(schema).validate(yaml.safe_load(path.read_text()))


def test_the_documents_are_what_the_program_says() -> None:
    contents = runpy.run_path(str(ROOT / "tools/make_docs.py"))["contents"]()

    stale = [name for name, text in contents.items() if (ROOT / "docs" / name).read_text("utf-8") != text]
    assert stale == [], "run: make docs"


def test_every_kind_command_option_and_exit_code_is_in_the_documents() -> None:
    read = {name: (ROOT / f"docs/{name}.md").read_text() for name in ("faults", "probes", "commands", "exit-codes")}

    assert all(f"\n## {kind}\n" in read["faults"] for kind in registry.faults.names())
    assert all(f"\n## {kind}\n" in read["probes"] for kind in registry.probes.names())
    for command in COMMANDS:
        section = read["commands"].partition(f"\n## {command}\n")[2].partition("\n## ")[0]
        assert section
        assert all(name in section for flag in completion.flags(command) for name in flag.names if "h" not in name[:3])
    assert all(f"| {code} | {word} |" in read["exit-codes"] for word, code in EXIT_CODES.items() if word != "UNKNOWN")
    assert all(f"| {code} |" in read["exit-codes"] for code in (2, 3, 70))


def _completed(*words: str) -> list[str]:
    script = (
        'source /dev/stdin; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _chaos_runner; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", "chaos-runner", *words],
        input=completion.SCRIPTS["bash"](),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        cwd="/",
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_options_and_choices() -> None:
    assert _completed("ru") == ["run"]
    assert _completed("") == [*COMMANDS, "--help", "--version"]
    assert _completed("run", "--pl") == ["--plan"]
    assert _completed("new", "x", "--class", "process-") == ["process-killed", "process-paused"]
    assert _completed("demo", "do") == ["down"]
    assert _completed("validate", "/et") == ["/etc"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_parses_in_its_shell(shell: str, call: Call, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(call("completion", shell).out)
    assert all(name in script.read_text() for name in COMMANDS)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", script], check=True, timeout=30)
