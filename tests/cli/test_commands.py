"""Every command explains itself, starts fast, and answers a mistake with a sentence."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from chaos_runner.cli.main import COMMANDS
from tests.cli.conftest import Call

ROOT = Path(__file__).parents[2]
HEAVY = {
    "asyncio",
    "ssl",
    "sqlite3",
    "httpx2",
    "jinja2",
    "rich",
    "apscheduler",
    "trio",
    "anyio._core",
    "cryptography",
    "typing_extensions",
    "inspect",
}
MISTAKES = [
    ("rnu",),
    ("run",),
    ("run", "nothing.yaml"),
    ("run", "--plan", "nothing.json"),
    ("plan", "."),
    ("plan", "nothing.yaml", "--config", "nothing.yaml"),
    ("validate", "/dev/null"),
    ("halt", "staging"),
    ("halt", "environment", "No Name"),
    ("halt", "--run", "r1", "--drill"),
    ("resume", "global"),
    ("resume", "global", "--reason", " "),
    ("resume", "service.shop", "--reason", "never pulled"),
    ("recover", "--forget", "f1"),
    ("recover", "--reason", "because"),
    ("history", "-n", "0"),
    ("history", "--state", "a-file"),
    ("demo", "up", "--state", "a-file"),
    ("report",),
    ("report", "r1", "--out", "a-file/report.html"),
    ("explain", "toxik"),
    ("explain", "experiment..abort"),
    ("schema", "toxic"),
    ("doctor", "-e", "nowhere"),
    ("completion", "tcsh"),
    ("init", "a-file"),
    ("new", "x"),
    ("new", "x", "--class", "hang", "--service", "a: b"),
    ("new", "Not_A_Name", "--class", "hang"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_begins_with_its_promise(command: str, call: Call) -> None:
    module = importlib.import_module(f"chaos_runner.cli.{command}")

    said = call(command, "--help")

    assert said.code == 0
    if hasattr(module, "options"):
        assert (module.__doc__ or "?").splitlines()[0] in said.out
        assert "--help" in said.out


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_a_mistake_is_a_sentence_with_a_code_and_never_a_traceback(words: tuple[str, ...], call: Call) -> None:
    Path("a-file").touch()

    said = call(*words)

    assert said.code in {2, 3}, said
    assert said.err.strip()
    assert said.out == ""
    assert "Traceback" not in said.err
    assert "bug" not in said.err


def test_without_words_the_commands_are_listed_and_nothing_is_done(call: Call) -> None:
    said = call()

    assert said.code == 2
    assert all(f"  {name}" in said.out for name in COMMANDS)


def test_an_unknown_command_names_the_nearest(call: Call) -> None:
    assert "did you mean 'validate'?" in call("valdate").err
    assert "chaos-runner --help" in call("zzzz").err


@pytest.mark.parametrize("words", [["--help"], ["validate", "experiments/slow-payments.yaml"], ["new", "--list"]])
def test_what_is_typed_often_imports_nothing_heavy(words: list[str]) -> None:
    code = f"""\
import sys
from chaos_runner.cli.main import main
try:
    main({words!r})
except SystemExit:
    pass
print(sorted({HEAVY!r} & {{name for name in sys.modules}}), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stderr == "[]\n"


def test_the_reader_may_leave_early() -> None:
    script = f"{sys.executable} -m chaos_runner schema experiment | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "141\n"
    assert done.stderr == ""
