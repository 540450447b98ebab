"""What the documentation tells people to type can be typed."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos_runner.cli.main import COMMANDS
from chaos_runner.proxy.__main__ import arguments
from tests.docs.pages import ROOT, Command, commands

SLOW = {"run", "proxy", "gameday", "mark"}  # and `demo` without a verb: tried by other tests
OURS = [command for command in commands() if command.words[0] == "chaos-runner"]
LIMIT_S = 60


@pytest.mark.parametrize("command", OURS, ids=str)
def test_every_command_in_the_docs_parses(command: Command) -> None:
    name, *words = command.words[1:]
    assert name in COMMANDS
    if name == "proxy":
        arguments(words)
        return
    if name == "gameday":
        name, words = f"gameday_{words[0]}", words[1:]
    parser = argparse.ArgumentParser(exit_on_error=False)
    importlib.import_module(f"chaos_runner.cli.{name}").options(parser)
    parser.parse_args(words)


def test_every_command_is_in_the_docs() -> None:
    assert {command.words[1] for command in OURS} <= set(COMMANDS)
    told = "".join(path.read_text("utf-8") for path in (ROOT / "docs").rglob("*.md"))
    assert [name for name in COMMANDS if f"## {name}\n" not in told] == []


def test_every_make_target_in_the_docs_is_there() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    asked = {word for command in commands() if command.words[0] == "make" for word in command.words[1:]}
    prose = "".join(page.read_text("utf-8") for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"))
    assert asked | set(re.findall(r"`make ([a-z-]+)`", prose)) <= targets


@contextlib.contextmanager
def _demo_ended(folder: Path) -> Iterator[None]:
    """Whatever a tour started is stopped."""
    try:
        yield
    finally:
        for state in folder.rglob(".chaos-runner"):
            _run(["demo", "down", "--state", str(state)], folder)


def _run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "chaos_runner", *words]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def _expanded(words: tuple[str, ...], folder: Path) -> list[str]:
    """As a shell does it."""
    out: list[str] = []
    for word in words:
        out += sorted(str(path.relative_to(folder)) for path in folder.glob(word)) if "*" in word else [word]
    return out


@pytest.mark.world
@pytest.mark.parametrize(
    "page", ["README.md", "docs/ci.md", "docs/guides/first-experiment.md", "docs/guides/abort-rules.md"]
)
def test_a_page_can_be_followed_from_an_empty_folder(page: str, tmp_path: Path) -> None:
    folder = tmp_path
    if "first" not in page:
        (folder / "experiments").symlink_to(ROOT / "experiments")
    with _demo_ended(tmp_path):
        for place, words in commands(page):
            if words[0] == "cd":
                folder /= words[1]
            if words[0] != "chaos-runner" or words[1] in SLOW or words[1:] == ("demo",) or ".yaml:" in place:
                continue
            done = _run(_expanded(words[1:], folder), folder)
            assert done.returncode == 0, f"{place}: {' '.join(words)}\n{done.stdout}{done.stderr}"
