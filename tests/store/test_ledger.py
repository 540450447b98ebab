"""The laws of runs and faults: who may write, what is taken, and what can never be undone by accident."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from chaos_runner import lifecycle
from chaos_runner.records import FaultForgotten, Outcome, RunEnded
from chaos_runner.store import Busy, Fenced, Owner, SqliteStore, Store, StoreError
from tests.store.kit import UNDO, begin, commit, fault, injected, intent, note, stamped


def test_sqlite_keeps_every_promise_of_a_store(store: SqliteStore) -> None:
    a_store: Store = store
    promised = {name for name in vars(Store) if not name.startswith("_") or name in {"__enter__", "__exit__"}}

    assert all(hasattr(a_store, name) for name in promised)


def test_a_committed_intent_can_be_read_back_whole(store: SqliteStore) -> None:
    begin(store)
    row = commit(store)

    [found] = store.open_faults()
    assert found.undo == UNDO
    assert found.environment == "demo"
    assert found == msgspec.structs.replace(row, environment="demo", updated_at=found.updated_at)
    assert [type(entry.record).__name__ for entry in store.records("r1")] == ["RunStarted", "IntentCommitted"]


@pytest.mark.parametrize("now", sorted(lifecycle.OPEN))
def test_an_open_fault_holds_its_aspect(store: SqliteStore, now: lifecycle.State) -> None:
    begin(store)
    begin(store, "r2")
    commit(store)
    store.set_fault_state("f1", 1, now)

    with pytest.raises(Busy, match=rf"fault f1 of run r1, which is {now}") as refused:
        commit(store, fault("f2", run="r2"))
    assert (refused.value.run, refused.value.fault) == ("r1", "f1")
    assert len(store.records("r2")) == 1, "the record of a refused intent is not kept"


@pytest.mark.parametrize("over", ["CLOSED", "SPENT"])
def test_a_closed_fault_gives_its_aspect_free_and_stays_closed(store: SqliteStore, over: lifecycle.State) -> None:
    begin(store)
    commit(store)
    store.set_fault_state("f1", 1, over)
    store.set_fault_state("f1", 1, over)
    commit(store, fault("f2"))

    with pytest.raises(StoreError, match=f"is {over} and cannot become UNDOING"):
        store.set_fault_state("f1", 1, "UNDOING")
    assert [(row.id, row.open, row.outcome) for row in store.faults("r1")] == [("f1", False, ""), ("f2", True, "")]


def test_the_same_target_in_another_environment_is_another_target(store: SqliteStore) -> None:
    begin(store)
    begin(store, "r2", environment="staging")
    commit(store)
    commit(store, fault("f2", run="r2"))

    assert [row.id for row in store.open_faults(environment="staging")] == ["f2"]
    assert [row.id for row in store.open_faults(run_id="r1")] == ["f1"]


def test_every_state_is_either_open_or_closed() -> None:
    closed = {state for state in get_args(lifecycle.State) if not msgspec.structs.replace(fault(), state=state).open}

    assert closed == set(get_args(lifecycle.State)) - lifecycle.OPEN


def test_a_stale_owner_can_write_nothing(store: SqliteStore) -> None:
    begin(store)
    commit(store)
    assert store.take_over("r1", Owner.mine()) == 2
    before = store.records("r1")

    for write in (
        lambda: commit(store, fault("f2", target="proxy/other")),
        lambda: store.set_fault_state("f1", 1, "INJECTED", injected()),
        lambda: store.append("r1", note(), 1.0, 1.0, epoch=1),
        lambda: store.end_run("r1", 1, "HELD"),
    ):
        with pytest.raises(Fenced, match="its epoch is 2, not 1"):
            write()
    assert store.records("r1") == before
    assert [row.state for row in store.faults("r1")] == ["INTENT"]


def test_nothing_is_injected_in_a_run_that_is_recovering_or_over(store: SqliteStore) -> None:
    begin(store)
    store.take_over("r1", Owner.mine())
    with pytest.raises(Fenced, match="is RECOVERING, not RUNNING"):
        commit(store, fault(epoch=2))

    store.end_run("r1", 2, "ABORTED")
    with pytest.raises(Fenced, match="is ENDED, not RUNNING"):
        commit(store, fault(epoch=2))


def test_of_two_who_saw_the_same_dead_owner_one_takes_over(store: SqliteStore) -> None:
    begin(store)
    store.take_over("r1", Owner.mine(), seen=1)

    with pytest.raises(Fenced, match="taken over by somebody else"):
        store.take_over("r1", Owner.mine(), seen=1)


def test_runs_at_once_is_a_ceiling(store: SqliteStore) -> None:
    begin(store, "r1", runs_at_once=1)
    begin(store, "r2", environment="other", runs_at_once=1)
    with pytest.raises(Busy, match="allows 1 runs at a time; under way: r1") as refused:
        begin(store, "r3", runs_at_once=1)
    assert refused.value.run == "r1"

    store.end_run("r1", 1, "HELD")
    assert begin(store, "r3", runs_at_once=1) == 1


def test_a_run_ends_once_and_leaves_its_summary(store: SqliteStore) -> None:
    begin(store)
    ended = RunEnded(outcome=Outcome("DEVIATED", "criterion", "CLEAN"))
    store.end_run("r1", 1, "ABORTED", record=stamped(ended, 60.0), figures={"halt_s": 0.25})

    [line] = store.runs()
    assert (line.headline, line.finding, line.stopped_by, line.cleanup) == ("ABORTED", "DEVIATED", "criterion", "CLEAN")
    assert (line.started_at, line.ended_at, line.figures) == (1000.0, 1060.0, {"halt_s": 0.25})
    with pytest.raises(Fenced, match="is ENDED"):
        store.end_run("r1", 1, "HELD")


def test_a_run_that_ended_with_something_left_is_unfinished(store: SqliteStore) -> None:
    begin(store)
    begin(store, "r2", environment="other")
    commit(store)
    store.set_fault_state("f1", 1, "STUCK")
    store.end_run("r1", 1, "NOT_REVERTED")
    assert [row.id for row in store.unfinished_runs("demo")] == ["r1"]

    epoch = store.take_over("r1", Owner.mine())
    store.set_fault_state("f1", epoch, "CLOSED")
    assert [row.id for row in store.unfinished_runs()] == ["r2"]


def test_a_run_ends_once_whoever_takes_it_over_later(store: SqliteStore) -> None:
    begin(store)
    store.end_run("r1", 1, "ABORTED")
    epoch = store.take_over("r1", Owner.mine())

    with pytest.raises(Fenced, match="is ENDED"):
        store.end_run("r1", epoch, "NOT_REVERTED")
    assert store.run("r1").headline == "ABORTED"


def test_forgetting_takes_a_reason_and_a_name_and_is_on_record(store: SqliteStore) -> None:
    begin(store)
    commit(store)
    with pytest.raises(StoreError, match="a reason and a name"):
        store.forget("f1", " ", "ops")
    with pytest.raises(StoreError, match="cannot be set to FORGOTTEN"):
        store.set_fault_state("f1", 1, "FORGOTTEN")

    store.forget("f1", "the proxy is scrapped", "ops")
    assert store.open_faults() == []
    last = store.records("r1")[-1]
    assert last.record == FaultForgotten(fault="f1", reason="the proxy is scrapped", who="ops")
    assert last.t >= 1.0, "it comes after what was there"
    with pytest.raises(StoreError, match="nothing to forget"):
        store.forget("f1", "again", "ops")


def test_only_an_intent_is_committed_and_only_once(store: SqliteStore) -> None:
    begin(store)
    with pytest.raises(StoreError, match="only an INTENT"):
        commit(store, msgspec.structs.replace(fault(), state="INJECTED"))
    commit(store)
    store.set_fault_state("f1", 1, "CLOSED")

    with pytest.raises(StoreError, match=r"fault\.id"):
        commit(store)
    store.append("r1", note(), 1.0, 1.0)
    commit(store, fault("f2"))  # a refused row casts no doubt on the disk


def test_what_is_not_there_is_named(store: SqliteStore) -> None:
    for write, what in (
        (lambda: commit(store), "there is no run r1"),
        (lambda: store.append("r1", note(), 1.0, 1.0), "there is no run r1"),
        (lambda: store.set_fault_state("f9", 1, "UNDOING"), "there is no fault f9"),
        (lambda: store.forget("f9", "x", "y"), "there is no fault f9"),
        (lambda: store.take_over("r1", Owner.mine()), "there is no run r1"),
    ):
        with pytest.raises(StoreError, match=what):
            write()
    assert store.run("r1") is None
    assert store.latest_run() is None


def test_an_undo_that_is_not_plain_json_is_refused(store: SqliteStore) -> None:
    begin(store)
    row = msgspec.structs.replace(fault(), undo={"code": object()})

    with pytest.raises(StoreError, match="cannot be written as JSON"):
        store.commit_intent(row, intent(fault()))
    assert store.open_faults() == []


def test_the_history_is_newest_first_and_runs_are_found_by_prefix(store: SqliteStore) -> None:
    for run in ("ab1", "ab2", "cd%"):
        begin(store, run, environment="other" if run == "ab2" else "demo")

    assert [line.run for line in store.runs()] == ["cd%", "ab2", "ab1"]
    assert [line.run for line in store.runs(limit=1)] == ["cd%"]
    assert [line.run for line in store.runs(environment="other", experiment="slow-payments")] == ["ab2"]
    assert store.runs(experiment="x") == []
    assert store.find_run("ab") == ["ab2", "ab1"]
    assert store.find_run("%") == []
    assert store.latest_run() == "cd%"
