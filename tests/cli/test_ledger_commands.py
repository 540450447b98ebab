"""`status`, `history` and `recover` tell the truth about living, dead and damaged runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos_runner import store
from chaos_runner.records import RunEnded
from chaos_runner.store import Owner, levers
from chaos_runner.verdict import outcome
from tests.cli import kit
from tests.cli.conftest import Call


@pytest.mark.parametrize("command", ["status", "history", "recover"])
def test_where_nothing_ran_is_no_error_and_nothing_is_made(command: str, call: Call, home: Path) -> None:
    said = call(command)

    assert said.code == 0
    assert "nothing has run" in said.out + said.err
    assert not (home / "state").exists()


def test_a_living_run_shows_its_phase_its_owner_and_its_faults(call: Call, home: Path) -> None:
    with kit.run_of(home / "state", Owner.mine(), home / "mark"):
        said = call("status")

    assert said.code == 0
    assert "fault (step 1)" in said.out
    assert "noop on noop/thing" in said.out
    assert f"pid {Owner.mine().pid} alive" in said.out


def test_what_a_dead_run_left_is_code_5_with_the_command_to_run(call: Call, home: Path) -> None:
    with kit.run_of(home / "state", kit.gone_owner(), home / "mark"):
        pass

    said = call("status")
    assert said.code == 5
    assert "left behind by dead runs:" in said.out
    assert said.out.endswith("next: chaos-runner recover\n")
    assert call("status", "-o", "json").json["leftovers"][0]["fault"] == kit.FAULT


def test_recover_undoes_it_and_says_what(call: Call, home: Path) -> None:
    with kit.run_of(home / "state", kit.gone_owner(), home / "mark"):
        pass

    said = call("recover")

    assert said.code == 0
    assert not (home / "mark").exists()
    assert f"{kit.RUN} (demo): 1 fault undone and read back" in said.out
    assert call("status").code == 0
    assert call("recover").out == "nothing to recover: no dead run left anything behind\n"


def test_recover_leaves_the_living_and_other_environments_alone(call: Call, home: Path) -> None:
    with kit.run_of(home / "state", Owner.mine(), home / "mine"):
        pass
    with kit.run_of(home / "state", kit.gone_owner(), home / "other", environment="staging", run="r2"):
        pass

    assert call("recover", "-e", "demo").code == 0
    assert (home / "mine").exists()
    assert (home / "other").exists()


def test_what_cannot_be_undone_is_code_5_until_somebody_gives_up_on_it(call: Call, home: Path) -> None:
    folder = home / "locked"
    folder.mkdir()
    with kit.run_of(home / "state", kit.gone_owner(), folder / "mark"):
        pass
    (folder / "mark").unlink()
    folder.rmdir()
    folder.write_text("")  # where the fault was there is no folder any more: nobody can tell

    said = call("recover", "--patience", "500ms")
    assert said.code == 5
    assert "NOT REVERTED:" in said.out
    assert "chaos-runner recover --forget FAULT --reason WHY" in said.out

    forgot = call("recover", "--forget", kit.FAULT, "--reason", "the disk is gone", "--who", "ann")
    assert forgot.code == 0
    assert "forgot" in forgot.out
    assert call("status").code == 0
    with store.open_store(home / "state", read_only=True) as ledger:
        assert ledger.faults(kit.RUN)[0].state == "FORGOTTEN"


def test_levers_are_told_even_when_the_ledger_is_damaged(call: Call, home: Path) -> None:
    with kit.run_of(home / "state", kit.gone_owner(), None):
        pass
    levers.pull(home / "state", "environment.demo", "ann\x1b[31m", "hot\x07")
    (home / "state/ledger.sqlite").write_bytes(b"garbage" * 1000)

    said = call("status")

    assert said.code == 3
    assert "lever environment.demo pulled by ann" in said.out
    assert "chaos-runner resume environment.demo --reason WHY" in said.out
    assert "cannot tell everything" in said.err
    assert "nothing is running" not in said.out
    assert "\x1b" not in said.out
    assert "\x07" not in said.out


def test_history_is_newest_first_with_verdict_duration_and_report(call: Call, home: Path) -> None:
    for n, environment in enumerate(["demo", "staging", "demo"]):
        with kit.run_of(home / "state", kit.gone_owner(), None, environment=environment, run=f"r{n}") as ledger:
            if n < 2:
                record = RunEnded(outcome=outcome([], stopped_by="lever"))
                ledger.end_run(f"r{n}", 1, "ABORTED", record=kit.stamped(record, 9.0))
    (home / "reports").mkdir()
    (home / "reports/r1.html").touch()

    lines = call("history").out.splitlines()
    assert lines[0].split() == ["started", "experiment", "environment", "verdict", "took", "run", "report"]
    assert ["r2" in lines[1], "r1" in lines[2], "r0" in lines[3]] == [True] * 3
    assert "UNFINISHED" in lines[1]
    assert lines[2].split()[-2:] == ["r1", "reports/r1.html"]
    assert [run["run"] for run in call("history", "-n", "1", "-o", "json").json["runs"]] == ["r2"]
    assert [run["run"] for run in call("history", "-e", "staging", "-o", "json").json["runs"]] == ["r1"]
    assert call("history", "--experiment", "other", "-o", "json").json["runs"] == []
