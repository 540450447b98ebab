"""A store that fails forbids injecting and never delays undoing; who dies at any write is undone by others."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from chaos_runner.api import Reading
from chaos_runner.plan import Refusal
from chaos_runner.records import Entry, PhaseBegan
from tests.engine.conftest import MEMORY
from tests.engine.kit import Crash, Rig, experiment, harm, travels


def trace() -> list[str]:
    """The writes of a run that is stopped by its criterion, in order."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        rig = Rig(Path(folder) / "state")
        rig.run(experiment())
        rig.close()
    names = ("append", "commit_intent", "set_fault_state", "end_run", "add_samples", "begin_run")
    return [line for line in rig.log if line.split(" ")[0] in names]


WRITES = trace()
INTENT = 1 + next(n for n, line in enumerate(WRITES) if line.startswith("commit_intent"))
NTH = range(1, len(WRITES) + 1)


def word(n: int) -> str:
    return f"{n}-{WRITES[n - 1].replace(' ', '-')}"


@pytest.mark.parametrize("n", NTH, ids=word)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_dead_at_every_write(rig: Rig, n: int, moment: str) -> None:
    setattr(rig.store, f"dies_{moment}", n)
    with travels(Crash):
        rig.run(experiment())
    rig.resurrect()
    begun = rig.ledger.run("r1") is not None
    told = rig.recover(watch=True)

    assert not rig.harmed
    assert set(rig.states()) <= {"CLOSED"}
    assert rig.ledger.unfinished_runs() == []
    assert [one.left for one in told] in ([], [()])
    if begun:
        assert rig.names()[-1] in {"RunEnded", "FaultClosed"}
    assert rig.recover() == []


@pytest.mark.parametrize("n", NTH, ids=word)
def test_a_full_disk_at_every_write(rig: Rig, n: int) -> None:
    rig.store.full_from = n
    if n < INTENT:
        with travels(Exception):
            outcome = rig.run(experiment())
            raise AssertionError(outcome) if outcome.finding != "UNKNOWN" else RuntimeError(outcome.why)
        assert rig.world.count("inject") == 0
    else:
        rig.run(experiment())
    assert not rig.harmed
    assert not rig.guard.rows
    rig.store.full_from = float("inf")
    rig.recover()
    assert rig.ledger.unfinished_runs() == [] or rig.states() == ["WATCHING"]


def test_a_finding_that_could_not_be_written_is_none(rig: Rig) -> None:
    rig.well()

    def listen(entry: Entry) -> None:
        if isinstance(entry.record, PhaseBegan) and entry.record.phase == "ended":
            rig.store.full_from = 0

    rig.on_entry = listen
    outcome = rig.run(experiment())

    assert (outcome.finding, outcome.stopped_by) == ("UNKNOWN", "nothing")
    assert outcome.why.startswith("not written: ")
    assert rig.ledger.run("r1").state == "RUNNING"  # the next run will find and end it


def test_a_step_does_not_begin_with_a_store_that_fails(rig: Rig) -> None:
    rig.well()
    rig.store.full_from = 1 + max(n for n, line in enumerate(WRITES[:INTENT]) if line == "append PhaseBegan")
    outcome = rig.run(experiment())

    assert rig.world.count("prepare") == 0
    assert outcome.stopped_by == "doubt"


def test_a_store_that_fails_in_the_window_stops_the_run_and_delays_nothing(rig: Rig) -> None:
    rig.well()
    rig.at(10.5, lambda: setattr(rig.store, "full_from", 0))
    outcome = rig.run(experiment(harm(for_=60.0)))

    assert (outcome.stopped_by, outcome.finding) == ("doubt", "UNKNOWN")
    assert "the store cannot be written" in outcome.why
    reverts = [t for t, operation, _key in rig.world.asked if operation == "revert"]
    assert reverts[0] <= 11.5
    assert any("RunEnded" in line for line in rig.engine.course.journal.trouble)


@pytest.mark.parametrize(("begins", "ends"), [(16.9, 17.9), (16.9, 24.5)])
def test_what_cannot_be_written_for_a_while_is_written_later_in_order_and_at_its_time(
    rig: Rig, begins: float, ends: float
) -> None:
    rig.world.reading = lambda _name, t: Reading({"success": not 15.5 < t < 27.0})
    rig.at(begins, lambda: setattr(rig.store, "full_from", rig.store.writes + 2))
    rig.at(ends, lambda: setattr(rig.store, "full_until", 0))
    rig.run(experiment())

    assert rig.states() == ["CLOSED"]
    assert rig.engine.course.journal.trouble == []
    assert rig.ledger.run("r1").state == "ENDED"
    written = {type(entry.record).__name__: entry.t for entry in rig.ledger.records("r1")}
    heard = {type(entry.record).__name__: entry.t for entry in rig.entries}
    assert written == heard
    assert written["FaultReverted"] == 17.0


def test_a_run_that_was_taken_over_injects_nothing_more(rig: Rig) -> None:
    rig.well()
    rig.at(12.0, lambda: rig.ledger.take_over("r1", rig.owner))
    outcome = rig.run(experiment(harm(), harm(place="other")))

    assert outcome.finding == "UNKNOWN"
    assert rig.world.count("inject") == 1
    assert not rig.harmed


@pytest.mark.parametrize("gone", [shutil.rmtree, lambda folder: folder.rename(folder.with_name("elsewhere"))])
def test_a_state_folder_that_vanishes_in_the_window_stops_the_run_and_delays_nothing(rig: Rig, gone: object) -> None:
    rig.well()
    folder = rig.ledger._db.path.parent
    rig.at(10.5, lambda: gone(folder))
    outcome = rig.run(experiment(harm(for_=60.0), harm(place="other")))

    assert (outcome.stopped_by, outcome.finding) == ("doubt", "UNKNOWN")
    assert "removed or replaced while in use" in outcome.why
    assert not rig.harmed
    assert rig.world.count("inject") == 1
    assert next(t for t, operation, _key in rig.world.asked if operation == "revert") <= 11.5
    assert any("RunEnded" in line for line in rig.engine.course.journal.trouble)


def test_a_ledger_that_was_replaced_in_the_baseline_lets_nothing_in(rig: Rig) -> None:
    rig.well()
    path = rig.ledger._db.path

    def replace() -> None:
        shutil.copyfile(path, path.with_name("copy"))
        path.with_name("copy").replace(path)

    rig.at(2.5, replace)
    with travels(Refusal, "removed or replaced while in use"):
        rig.run(experiment())

    assert rig.world.count("inject") == 0


def test_a_ledger_that_vanishes_after_the_last_fault_gives_no_held(rig: Rig) -> None:
    rig.well()

    def listen(entry: Entry) -> None:
        if isinstance(entry.record, PhaseBegan) and entry.record.phase == "ended":
            rig.ledger._db.path.unlink()

    rig.on_entry = listen
    outcome = rig.run(experiment())

    assert outcome.finding == "UNKNOWN"
    assert outcome.why.startswith("not written: ")
