"""A lever stops what it concerns, works without a database, and hurts nobody who is not concerned."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from pathlib import Path

import msgspec
import pytest

from chaos_runner.cli import scope
from chaos_runner.cli.stopping import Patience, Stopping, send
from chaos_runner.cli.trouble import Usage
from chaos_runner.records import FaultReverted, RunEnded
from chaos_runner.store import Owner, levers
from chaos_runner.verdict import outcome
from tests.cli import kit
from tests.cli.conftest import Call

SHORT = Patience(term_s=0.3, kill_s=0.6, limit_s=1.5, quiet_s=0.3, dead_s=0.3, blind_s=0.3)


@pytest.mark.parametrize(
    ("words", "lever"),
    [
        ([], "global"),
        (["global"], "global"),
        (["environment.staging"], "environment.staging"),
        (["environment", "staging"], "environment.staging"),
        (["service", "shop"], "service.shop"),
    ],
)
def test_a_scope_may_be_one_word_or_two(words: list[str], lever: str) -> None:
    assert scope.read(words) == lever


@pytest.mark.parametrize(
    "words", [["staging"], ["environment"], ["team.a"], ["service", "A"], ["global", "x"], ["../x"]]
)
def test_anything_else_is_no_scope(words: list[str]) -> None:
    with pytest.raises(Usage, match=r"scope|small letters"):
        scope.read(words)


def test_a_bare_halt_pulls_the_global_lever_and_says_so(call: Call, home: Path) -> None:
    said = call("halt", "--reason", "the pager is hot", "--who", "ann")

    assert said.code == 0
    lever = levers.pulled(home / "state", "any", "any", "any")
    assert lever is not None
    assert (lever.who, lever.reason) == ("ann", "the pager is hot")
    assert f"pulled global: {home}/state/levers/global" in said.err
    assert "chaos-runner resume global --reason WHY" in said.out


def test_halt_in_a_folder_that_no_run_used_warns(call: Call) -> None:
    assert "nothing has run with" in call("halt").err
    assert "nothing has run with" not in call("halt").err


def test_resume_releases_and_keeps_who_and_why(call: Call, home: Path) -> None:
    call("halt", "service", "shop")
    call("halt", "environment.demo")

    said = call("resume", "service", "shop", "--reason", "fixed", "--who", "ann", "-o", "json").json

    assert said["still_pulled"] == ["environment.demo"]
    assert "fixed" in Path(said["kept"]).read_text()
    assert [lever.scope for lever in levers.all(home / "state")] == ["environment.demo"]


@pytest.mark.parametrize("damage", ["garbage", "locked", "open to others"])
def test_a_lever_works_with_a_database_that_cannot_be_used(
    damage: str, call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaos_runner.cli.stopping.PATIENCE", SHORT)
    state = home / "state"
    with kit.run_of(state, kit.gone_owner(), None):
        pass
    ledger = state / "ledger.sqlite"
    lock = sqlite3.connect(ledger, isolation_level=None)
    if damage == "garbage":
        ledger.write_bytes(b"garbage" * 1000)
    elif damage == "locked":
        lock.execute("PRAGMA locking_mode = EXCLUSIVE")
        lock.execute("BEGIN EXCLUSIVE")
    else:
        ledger.chmod(0o644)

    began = time.monotonic()
    said = call("halt")
    lock.close()

    assert levers.pulled(state, "demo", "shop", "x") is not None
    assert said.code in {0, 3}  # a locked database may still be read
    assert (said.code == 3) == ("not watched:" in said.err)
    assert damage == "locked" or said.code == 3
    assert time.monotonic() - began < 10


def test_a_drill_pulls_and_releases(call: Call, home: Path) -> None:
    said = call("halt", "--drill")

    assert said.code == 0
    assert "the drill is over" in said.out
    assert levers.all(home / "state") == ()
    assert len(list((home / "state/levers/released").iterdir())) == 1


def test_a_drill_never_releases_a_lever_that_was_pulled_in_earnest(call: Call, home: Path) -> None:
    call("halt", "--reason", "earnest")

    said = call("halt", "--drill")

    assert said.code == 2
    assert [lever.reason for lever in levers.all(home / "state")] == ["earnest"]


def _wait(state: Path, told: list[str] | None = None, **wanted: str) -> list[object]:
    lever = wanted.get("lever", "global")
    stopping = Stopping(
        state,
        lambda run, service: scope.concerns(lever, run.environment, service, run.experiment),
        (told if told is not None else []).append,
        SHORT,
    )
    return stopping.wait()  # type: ignore[return-value]


def test_a_run_that_does_not_stop_gets_sigterm_then_sigkill(home: Path) -> None:
    told: list[str] = []
    with kit.process(kit.IGNORES_TERM) as (child, owner), kit.run_of(home / "state", owner, home / "mark"):
        (halted,) = _wait(home / "state", told)

        assert child.wait(5) == -signal.SIGKILL
    assert halted.signals == ("SIGTERM", "SIGKILL")
    assert [line.rsplit(" ", 1)[1] for line in told] == ["SIGTERM", "SIGKILL"]
    assert halted.left == (f"noop on noop/thing ({kit.FAULT}, INJECTED)",)


def test_sigterm_is_enough_for_one_that_listens(home: Path) -> None:
    with kit.process("") as (child, owner), kit.run_of(home / "state", owner, home / "mark"):
        _wait(home / "state")

        assert child.wait(5) == -signal.SIGTERM


def test_a_run_without_an_open_fault_is_left_to_measure_its_recovery(home: Path) -> None:
    with kit.process("") as (child, owner), kit.run_of(home / "state", owner, None):
        (halted,) = _wait(home / "state")

        assert child.poll() is None
    assert (halted.signals, halted.left, halted.gone_s) == ((), (), None)


@pytest.mark.parametrize("change", [{"start_time": 1}, {"boot_id": "another"}, {"host": "another"}])
def test_a_pid_that_belongs_to_somebody_else_is_never_signalled(change: dict[str, object]) -> None:
    with kit.process("") as (child, owner):
        assert not send(msgspec.structs.replace(owner, **change), signal.SIGKILL)
        time.sleep(0.05)
        assert child.poll() is None
        assert send(owner, signal.SIGKILL)
        assert child.wait(5) == -signal.SIGKILL
        assert not send(owner, signal.SIGKILL)
    assert not send(Owner.mine(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("lever", "concerned"),
    [
        ("global", True),
        ("environment.demo", True),
        ("environment.staging", False),
        ("service.shop", True),
        ("service.other", False),
        ("experiment.a-file-appears", True),
        ("experiment.other", False),
    ],
)
def test_only_runs_of_the_scope_are_touched(lever: str, concerned: bool, home: Path) -> None:
    with kit.process("") as (child, owner), kit.run_of(home / "state", owner, home / "mark"):
        halted = _wait(home / "state", lever=lever)

        assert bool(halted) is concerned
        assert (child.poll() is not None) is concerned


def test_the_time_to_gone_is_what_was_read_back(home: Path) -> None:
    with kit.run_of(home / "state", Owner.mine(), home / "mark") as ledger:
        waiting = threading.Thread(target=lambda: seen.extend(_wait(home / "state")))
        seen: list[object] = []
        began = time.time()
        waiting.start()
        time.sleep(0.2)
        at = time.time()
        # Read back as gone at t = 7, written down half a second of the run later.
        ledger.set_fault_state(
            kit.FAULT, 1, "CLOSED", record=kit.Stamped(FaultReverted(kit.FAULT, 7.0), at=at + 0.5, t=7.5)
        )
        waiting.join(5)
    (halted,) = seen
    assert halted.faults == 1
    assert halted.gone_s == pytest.approx(at - began, abs=0.1)
    assert halted.left == ()


def test_a_run_that_is_clean_before_the_waiting_begins_has_its_time_all_the_same(home: Path) -> None:
    with kit.run_of(home / "state", Owner.mine(), home / "mark") as ledger:
        pulled_at = time.time()
        time.sleep(0.2)
        ledger.set_fault_state(
            kit.FAULT, 1, "CLOSED", record=kit.Stamped(FaultReverted(kit.FAULT, 7.0), at=pulled_at + 0.2, t=7.0)
        )
        time.sleep(0.1)
        waiting = Stopping(home / "state", lambda _run, _service: True, print, SHORT, pulled_at=pulled_at)
        (halted,) = waiting.wait()

    assert (halted.faults, halted.gone_s) == (1, pytest.approx(0.2, abs=0.01))


def test_what_is_left_is_code_5_and_names_recover(call: Call, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaos_runner.cli.stopping.PATIENCE", SHORT)
    with kit.run_of(home / "state", kit.gone_owner(), home / "mark"):
        said = call("halt")

    assert said.code == 5
    assert "NOT REVERTED: noop on noop/thing" in said.out
    assert "next: chaos-runner recover" in said.out


def test_nobody_is_waited_for_who_cannot_come(home: Path) -> None:
    """Runner and guardian are dead: the person should be typing `recover` by now."""
    patience = msgspec.structs.replace(SHORT, limit_s=60.0)
    with kit.run_of(home / "state", kit.gone_owner(), home / "mark"):
        began = time.monotonic()
        (halted,) = Stopping(home / "state", lambda _run, _service: True, print, patience).wait()

    assert halted.left
    assert time.monotonic() - began < 20


def test_a_guardian_that_takes_over_in_time_is_waited_for(home: Path) -> None:
    patience = msgspec.structs.replace(SHORT, limit_s=10.0, dead_s=5.0, term_s=60.0, kill_s=60.0)
    with kit.run_of(home / "state", kit.gone_owner(), home / "mark") as ledger, kit.process("") as (_child, guardian):
        taken = threading.Timer(0.5, lambda: ledger.take_over(kit.RUN, guardian))
        gone = threading.Timer(1.5, lambda: ledger.set_fault_state(kit.FAULT, 2, "CLOSED"))
        for timer in (taken, gone):
            timer.start()
        (halted,) = Stopping(home / "state", lambda _run, _service: True, print, patience).wait()
        for timer in (taken, gone):
            timer.join()

    assert halted.left == ()


@pytest.mark.parametrize("missing", ["--reason", "--who"])
def test_resume_takes_a_name_and_a_reason(call: Call, home: Path, missing: str) -> None:
    call("halt")
    words = {"--reason": "fixed", "--who": "ann"} | {missing: " "}
    said = call("resume", "global", *(word for pair in words.items() for word in pair))

    assert said.code in {2, 3}
    assert [lever.scope for lever in levers.all(home / "state")] == ["global"]


def test_halting_one_run_pulls_no_lever(call: Call, home: Path) -> None:
    with kit.process("") as (child, owner), kit.run_of(home / "state", owner, home / "mark") as ledger:
        done = threading.Timer(0.5, _closed, [ledger])
        done.start()
        said = call("halt", "--run", kit.RUN[:10], "-o", "json")
        done.join()

        assert child.wait(5) == -signal.SIGTERM
    assert said.code == 0
    assert said.json["runs"][0]["signals"] == ["SIGTERM"]
    assert levers.all(home / "state") == ()


def _closed(ledger: object) -> None:
    ledger.set_fault_state(kit.FAULT, 1, "CLOSED")  # type: ignore[attr-defined]


def test_a_real_run_is_halted_undone_and_aborted(call: Call, home: Path) -> None:
    """The whole way: a run in a process of its own, a lever, the fault gone, exit code 4."""
    mark = home / "mark"
    with kit.listener() as port:
        (home / "x.yaml").write_text(kit.EXPERIMENT.format(port=port, file=mark))
        child = kit.runner("run", "x.yaml", "-e", "demo", "--state", home / "state", cwd=_configured(home))
        try:
            _until(mark.exists, child)
            status = call("status", "-o", "json").json["runs"][0]
            refused = call("run", "x.yaml", "-e", "demo")
            said = call("halt", "experiment", "a-file-appears", "--reason", "enough")
            gone = not mark.exists()
            out, err = child.communicate(timeout=60)
        finally:
            if child.poll() is None:
                os.kill(child.pid, signal.SIGTERM)
                child.communicate(timeout=90)

    assert (status["phase"], status["owner_alive"], status["pid"]) == ("fault (step 1)", True, child.pid)
    assert [fault["target"] for fault in status["faults"]] == ["noop/thing"]
    assert refused.code == 3
    assert said.code == 0, said
    assert gone
    assert "1 fault gone" in said.out
    assert child.returncode == 4, err
    assert out.startswith("ABORTED: ")
    assert "enough" in out
    assert call("recover").code == 0
    assert "ABORTED" in call("history").out
    blocked = call("run", "x.yaml", "-e", "demo")
    assert blocked.code == 3
    assert "chaos-runner resume experiment.a-file-appears --reason WHY" in blocked.err


def _configured(home: Path) -> Path:
    (home / "chaos-runner.yaml").write_text("kind: config/v1\nenvironments: {demo: {}}\n")
    return home


def _until(done: object, child: object, limit_s: float = 40.0) -> None:
    until = time.monotonic() + limit_s
    while time.monotonic() < until and child.poll() is None:  # type: ignore[attr-defined]
        if done():  # type: ignore[operator]
            return
        time.sleep(0.05)
    pytest.fail(f"the run did not get there: {child.communicate(timeout=5) if child.poll() is not None else ''}")  # type: ignore[attr-defined]


def test_an_ended_run_says_how_it_ended(home: Path) -> None:
    with kit.run_of(home / "state", Owner.mine(), home / "mark") as ledger:
        ended = threading.Timer(0.2, lambda: (_closed(ledger), _ended(ledger)))
        ended.start()
        (halted,) = _wait(home / "state")
        ended.join()

    assert halted.left == ()


def _ended(ledger: object) -> None:
    record = RunEnded(outcome=outcome([], stopped_by="lever"))
    ledger.end_run(kit.RUN, 1, "ABORTED", record=kit.stamped(record, 9.0))  # type: ignore[attr-defined]
