"""Standard streams that are closed, full or left cost the words that were for them, never an exit code or a ledger."""

from __future__ import annotations

import subprocess
import sys

import pytest

RUNS = """
import sys
from chaos_runner.cli import common, main, run
class Args: output = "text"; events = None
class Outcome: why = "all is well"
class Finished: trouble = ("a warning",); outcome = Outcome
def command(name, words):
    for trouble in Finished.trouble:
        common.tell(trouble)
    with common.perhaps_unheard():
        run._say(Finished, "HELD", Args)
    return 4
main._called = command
sys.exit(main.main(["run"]))
"""
FAILS = """
import sys
from chaos_runner.cli import main
from chaos_runner.plan import Refusal
def command(name, words):
    raise Refusal("not started: for the test")
main._called = command
sys.exit(main.main(["run"]))
"""
OPENS = """
import os, sys
from chaos_runner.cli import main
def command(name, words):
    print("a word for nobody")
    return 0 if os.open(os.devnull, os.O_RDONLY) > 2 else 9
main._called = command
sys.exit(main.main(["run"]))
"""


def shell(script: str, redirections: str) -> int:
    command = f'exec "$0" -c "$1" {redirections}'
    return subprocess.run(["/bin/sh", "-c", command, sys.executable, script], timeout=60, check=False).returncode


@pytest.mark.parametrize(
    "redirections", [">/dev/null", ">/dev/full", "2>/dev/full", ">/dev/full 2>&1", ">&-", "2>&-", "<&- >&- 2>&-"]
)
def test_the_exit_code_of_a_run_is_its_outcome_whoever_listens(redirections: str) -> None:
    assert shell(RUNS, redirections) == 4


@pytest.mark.parametrize("redirections", ["2>/dev/full", "2>&-", "<&- >&- 2>&-"])
def test_a_refusal_that_cannot_be_told_is_still_a_refusal(redirections: str) -> None:
    assert shell(FAILS, redirections) == 3


def test_a_result_that_could_not_be_written_is_no_success() -> None:
    assert shell(OPENS, ">/dev/full 2>/dev/null") == 2


@pytest.mark.parametrize("redirections", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_ever_gets_the_number_of_a_standard_stream(redirections: str) -> None:
    assert shell(OPENS, redirections) == 0
