"""Whoever dies in the middle of a step's fault: the fault goes away, no record is lost, and the day can be ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from chaos_runner.gameday.facts import ConductorBegan
from chaos_runner.records import GuardianReady, RunEnded
from tests.conductor.rig import CLI, Rig, kill

Rigged = Callable[..., Rig]


def test_a_killed_conductors_run_goes_on_and_one_other_takes_the_day_up(rigged: Rigged) -> None:
    rig = rigged(hold_s=8)
    rig.to_checkpoint()
    rig.to_fault()
    before = rig.facts()
    rig.kill_conductor()
    assert rig.faults["one"].exists(), "the run does not depend on its conductor"
    rivals = [
        subprocess.Popen(
            [*CLI, "gameday", "resume", "--detach"], cwd=rig.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    said = [one.communicate(timeout=90) for one in rivals]
    assert sorted(one.returncode for one in rivals) == [0, 3], said
    assert len([fact for fact in rig.facts() if isinstance(fact, ConductorBegan)]) == 2
    assert rig.cli("gameday", "resume", "--detach").returncode == 3, "it lives"
    rig.until_asked("ready")

    day = rig.day()
    assert rig.facts()[: len(before)] == before
    assert not rig.faults["one"].exists()
    assert day.steps[1].state == "ended"
    assert day.steps[1].headline in {"HELD", "UNKNOWN"}
    with rig.store() as ledger:
        ended = [entry.record for entry in ledger.records(day.steps[1].runs[0]) if isinstance(entry.record, RunEnded)]
    assert [one.by for one in ended] == ["runner"]
    rig.say("go")
    rig.until(lambda: rig.day().asked and rig.day().asked.step > 0)  # type: ignore[union-attr]
    rig.say("skip it was shown --step 3")
    if rig.day().asked and rig.day().asked.kind == "outcome":  # type: ignore[union-attr]
        rig.say("go")
    over = rig.until_over()
    assert over.ended is not None
    assert over.ended.how == "finished"


def test_a_child_that_has_not_begun_its_run_is_waited_for_by_the_next_conductor(rigged: Rigged) -> None:
    rig = rigged()
    rig.to_checkpoint()
    rig.to_prediction()
    rig.say("go")
    rig.until(rig.child)
    child = rig.child()
    os.kill(child, signal.SIGSTOP)
    try:
        with rig.store() as ledger:
            assert ledger.run(rig.told().steps[1].run) is None
        rig.kill_conductor()
        assert rig.cli("gameday", "resume", "--detach").returncode == 0
        time.sleep(2)
        assert rig.day().steps[1].state == "going"
    finally:
        os.kill(child, signal.SIGCONT)
    rig.until(rig.faults["one"].exists)


@pytest.mark.parametrize(
    "guardian",
    [pytest.param(True, marks=pytest.mark.campaign), False],
    ids=["guardian lives", "guardian too"],
)
def test_with_conductor_and_runner_killed_the_fault_goes_away_all_the_same(rigged: Rigged, guardian: bool) -> None:
    rig = rigged(hold_s=50)
    rig.to_checkpoint()
    rig.to_fault()
    run = rig.day().steps[1].runs[0]
    with rig.store() as ledger:
        row = ledger.run(run)
        ready = [entry.record for entry in ledger.records(run) if isinstance(entry.record, GuardianReady)]
    assert row is not None
    if not guardian:
        kill(ready[0].pid)
    rig.kill_conductor()
    kill(row.owner.pid)
    if guardian:
        rig.until(lambda: not rig.faults["one"].exists())
    assert rig.cli("gameday", "status").returncode == 3, "nobody conducts"
    assert rig.cli("gameday", "resume", "--detach").returncode == 0
    rig.until(lambda: rig.day().steps[1].state == "ended")

    assert not rig.faults["one"].exists()
    with rig.store() as ledger:
        assert {row.state for row in ledger.open_faults(run_id=run)} <= {"WATCHING"}, "it is undone, and still watched"
        assert [entry for entry in ledger.records(run) if isinstance(entry.record, RunEnded)]
    rig.until_asked("ready")


def test_a_day_whose_conductor_died_is_ended_by_its_facilitator(rigged: Rigged) -> None:
    rig = rigged(hold_s=50)
    rig.to_checkpoint()
    rig.to_fault()
    rig.kill_conductor()
    done = rig.cli("gameday", "end", "--by", "fay", "--reason", "enough for today")

    assert done.returncode == 0, done.stderr
    assert not rig.faults["one"].exists(), "it was undone before the day ended"
    over = rig.day()
    assert over.ended is not None
    assert (over.ended.how, over.ended.who, over.ended.why) == ("stopped", "fay", "enough for today")
    assert over.steps[1].headline == "ABORTED"
