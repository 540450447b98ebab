"""No name, note or reason of a run can command a terminal or forge a line there, whichever command prints it."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import msgspec
import pytest

from chaos_runner import store
from chaos_runner.cli import live
from chaos_runner.history import fold
from chaos_runner.records import Noted
from chaos_runner.render import story, text
from chaos_runner.store import Owner, Stamped
from tests.cli.conftest import Call
from tests.render.hostile import STRINGS, benign, poisoned
from tools.sample_history import HISTORIES, START, History

UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
SINCE = 40.0


def kept(state: Path, run_id: str, history: History, word: str, *, ended: bool) -> None:
    """A run in the store whose every word begins with `word`: environment, experiment, host, notes and all."""
    owner = Owner.mine() if ended else Owner(f"{word}boot", 1, 1, f"{word}host")
    first, *rest, last = [Stamped(record=one.record, at=one.at, t=one.t) for one in history.entries]
    note = Stamped(record=Noted(f"{word}who", f"{word}what"), at=START + SINCE, t=SINCE)
    with store.open_store(state, allow_tmpfs=True) as ledger:
        epoch = ledger.begin_run(
            run_id, environment=f"{word}staging", experiment=f"{word}slow", owner=owner, connections={},
            deadline_at=START + 99, runs_at_once=1, record=first,
        )  # fmt: skip
        for one in [*rest, note]:
            ledger.append(run_id, one.record, one.at, one.t, epoch)
        ledger.add_samples(run_id, history.samples)
        if ended:
            ledger.end_run(run_id, epoch, story.headline(fold(history.entries)), record=last)


def lines(shown: str) -> int:
    assert not UNSAFE.search(shown), repr(UNSAFE.search(shown))
    return shown.count("\n")


COMMANDS = {
    "history": ("history",),
    "status": ("status",),
    "markdown": ("report", "r1", "--format", "markdown", "--out", "-"),
    "diff": ("report", "diff", "r1", "r0"),
    "history as json": ("history", "-o", "json"),
    "status as json": ("status", "-o", "json"),
    "json": ("report", "r1", "--format", "json", "--out", "-"),
    "junit": ("report", "r1", "--format", "junit", "--out", "-"),
}


@pytest.mark.parametrize("bad", STRINGS)
def test_what_commands_print_has_no_control_bytes_and_no_line_of_its_own(home: Path, call: Call, bad: str) -> None:
    seen = {}
    for folder, word in (("plain", benign("")), ("hostile", bad)):
        state = home / folder
        for run_id, name in (("r0", "held"), ("r1", "deviated")):
            kept(state, run_id, poisoned(HISTORIES[name](), lambda plain, word=word: word + plain), word, ended=True)
        kept(state, "r2", poisoned(HISTORIES["crashed"](), lambda plain, word=word: word + plain), word, ended=False)
        for name, words in COMMANDS.items():
            said = call(*words, "--state", state)
            seen[folder, name] = said.code, lines(said.out), lines(said.err)

    for name in COMMANDS:
        (code, out, err), (usual, most, told) = seen["hostile", name], seen["plain", name]
        assert (code, err) == (usual, told), name
        assert out <= most, f"{name}: a word of the run made a line"


@pytest.mark.parametrize("bad", [*STRINGS, "\U0001fffe\x9b\ufeff"])
def test_harmless_json_says_the_same(bad: str) -> None:
    document = msgspec.json.encode({bad: [bad, "a"]})

    assert json.loads(text.harmless_json(document)) == {bad: [bad, "a"]}
    assert not UNSAFE.search(text.harmless_json(document).decode())


def test_there_is_something_to_print(home: Path, call: Call) -> None:
    """The words that are poisoned do reach these commands."""
    state = home / "state"
    kept(state, "r1", poisoned(HISTORIES["deviated"](), lambda plain: "\x1b[31mred" + plain), "\x1b[31mred", ended=True)
    kept(state, "r2", HISTORIES["crashed"](), "\x1b[31mred", ended=False)
    for name in ("history", "status", "markdown"):
        assert "␛[31mred" in call(*COMMANDS[name], "--state", state).out.replace("\\[", "["), name


@pytest.mark.parametrize("bad", STRINGS)
def test_the_lines_of_a_going_run_are_one_for_each_record(bad: str) -> None:
    history = poisoned(HISTORIES["deviated"](), lambda plain: bad + plain)
    written = io.BytesIO()
    shown = live.Lines(written.write)  # type: ignore[arg-type]
    shown.deal([*history.entries, bad.replace("\n", " ")])

    assert lines(written.getvalue().decode()) == len(history.entries) + 1
