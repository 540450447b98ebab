"""Laws of the lease and of claims: one leads, one claims, and who was taken over can claim nothing."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from chaos_runner.records import Outcome, RunEnded, RunStarted
from chaos_runner.schedule import pace
from chaos_runner.scheduler import growth, past
from chaos_runner.store import (
    Fenced,
    Owner,
    Reading,
    SlotRow,
    SqliteStore,
    Stamped,
    Store,
    StoreError,
    open_store,
    slots,
)

DUE = 1_800_000_000.0


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(state: Path) -> Iterator[SqliteStore]:
    with open_store(state, allow_tmpfs=True) as one:
        yield one


def slot(run: str = "r1", instant: float = DUE, schedule: str = "slow") -> SlotRow:
    return SlotRow(schedule, instant, "RUN", run=run, environment="demo", service="shop")


def skip(instant: float = DUE, why: str = "armed: no") -> SlotRow:
    return SlotRow("slow", instant, "SKIP", reason=why)


def elapse(state: Path, seconds: float) -> None:
    """Time passes for every stamp and lease of the store."""
    con = sqlite3.connect(state / "ledger.sqlite", isolation_level=None)
    con.execute("UPDATE lease SET until_boot_s = until_boot_s - ?", (seconds,))
    for place, stamp in con.execute("SELECT place, stamp FROM slot WHERE stamp <> ''").fetchall():
        boot, at = stamp.split()
        con.execute("UPDATE slot SET stamp = ? WHERE place = ?", (f"{boot} {float(at) - seconds:.3f}", place))
    con.close()


def run_ended(store: Store, run: str, finding: str, headline: str, stopped_by: str = "nothing") -> None:
    stamped = Stamped(RunStarted(plan={}, versions={}, actor="me"), at=DUE, t=0.0)
    epoch = store.begin_run(
        run,
        environment="demo",
        experiment="slow",
        owner=Owner.mine(),
        connections={},
        deadline_at=DUE,
        runs_at_once=9,
        record=stamped,
    )
    outcome = Outcome(finding, stopped_by, "CLEAN", "")  # type: ignore[arg-type]
    store.end_run(run, epoch, headline, record=Stamped(RunEnded(outcome=outcome), at=DUE + 60, t=60.0))


def test_one_holds_the_lease_and_the_others_see_who(store: SqliteStore) -> None:
    mine, theirs = store.hold_lease("a", 5), store.hold_lease("b", 5)

    assert (mine.holder, mine.epoch) == ("a", 1)
    assert (theirs.holder, theirs.epoch) == ("a", 1)
    assert store.hold_lease("a", 5).epoch == 1


def test_a_lapsed_lease_changes_hands_with_a_new_epoch(state: Path, store: SqliteStore) -> None:
    store.hold_lease("a", 5)
    elapse(state, 5.1)

    taken = store.hold_lease("b", 5)

    assert (taken.holder, taken.epoch) == ("b", 2)
    assert store.hold_lease("a", 5).holder == "b"


def test_a_lease_of_an_earlier_boot_has_lapsed(state: Path, store: SqliteStore) -> None:
    store.hold_lease("a", 5)
    con = sqlite3.connect(state / "ledger.sqlite", isolation_level=None)
    con.execute("UPDATE lease SET boot_id = 'another', until_boot_s = 1e12")
    con.close()

    assert store.hold_lease("b", 5).holder == "b"


def test_a_released_lease_is_free_at_once(store: SqliteStore) -> None:
    store.release_lease("a", store.hold_lease("a", 5).epoch)

    assert store.hold_lease("b", 5).holder == "b"


def test_only_the_holder_says_how_far_slots_are_decided(store: SqliteStore) -> None:
    store.hold_lease("a", 5)
    store.hold_lease("a", 5, DUE)
    store.hold_lease("b", 5, DUE + 99)

    lease = store.lease()
    assert lease is not None
    assert lease.decided_until == DUE


def test_a_slot_is_claimed_once_for_all_time(store: SqliteStore) -> None:
    epoch = store.hold_lease("a", 5).epoch

    assert store.claim_slot(slot("r1"), epoch) is True
    assert store.claim_slot(slot("r2"), epoch) is False
    assert store.add_skips([skip()], epoch) == 0
    assert [one.run for one in store.slots()] == ["r1"]


def test_a_skipped_slot_is_never_claimed(store: SqliteStore) -> None:
    epoch = store.hold_lease("a", 5).epoch

    assert store.add_skips([skip(), skip(DUE + 60)], epoch) == 2
    assert store.claim_slot(slot(), epoch) is False


def test_who_was_taken_over_can_neither_claim_nor_skip(state: Path, store: SqliteStore) -> None:
    old = store.hold_lease("a", 5).epoch
    elapse(state, 5.1)
    store.hold_lease("b", 5)

    with pytest.raises(Fenced, match="does not lead any more"):
        store.claim_slot(slot(), old)
    with pytest.raises(Fenced, match="does not lead any more"):
        store.add_skips([skip()], old)
    assert store.slots() == []


def test_who_let_the_lease_lapse_claims_nothing_even_if_nobody_took_it(state: Path, store: SqliteStore) -> None:
    epoch = store.hold_lease("a", 5).epoch
    elapse(state, 5.1)

    with pytest.raises(Fenced):
        store.claim_slot(slot(), epoch)


def test_one_process_attaches_to_a_claim(store: SqliteStore) -> None:
    store.claim_slot(slot(), store.hold_lease("a", 5).epoch)

    assert store.attach_slot("r1", Owner.mine()).schedule == "slow"
    with pytest.raises(Fenced, match="it is ATTACHED"):
        store.attach_slot("r1", Owner.mine())
    with pytest.raises(Fenced, match="no slot was claimed"):
        store.attach_slot("r9", Owner.mine())


def test_an_old_claim_cannot_be_attached(state: Path, store: SqliteStore) -> None:
    store.claim_slot(slot(), store.hold_lease("a", 5).epoch)
    elapse(state, slots.CLAIM_S + 1)

    with pytest.raises(Fenced, match="older than"):
        store.attach_slot("r1", Owner.mine())


def test_a_claim_whose_process_never_came_is_lost(state: Path, store: SqliteStore) -> None:
    store.claim_slot(slot(), store.hold_lease("a", 5).epoch)
    assert store.settle_slots() == []
    elapse(state, slots.CLAIM_S + 1)

    assert [(one.state, one.run) for one in store.settle_slots()] == [("LOST", "r1")]
    assert store.going_slots() == []


def test_an_attached_process_that_died_before_its_run_began_is_lost(store: SqliteStore) -> None:
    store.claim_slot(slot(), store.hold_lease("a", 5).epoch)
    store.attach_slot("r1", Owner.nobody())

    assert [one.state for one in store.settle_slots()] == ["LOST"]
    assert store.blocked() == []


@pytest.mark.parametrize(
    ("headline", "blocks"),
    [("HELD", False), ("UNKNOWN", False), ("DEVIATED", True), ("ABORTED", True), ("NOT_REVERTED", True)],
)
def test_a_failure_blocks_until_somebody_acknowledges_it(store: SqliteStore, headline: str, blocks: bool) -> None:
    store.claim_slot(slot(), store.hold_lease("a", 5).epoch)
    store.attach_slot("r1", Owner.mine())
    run_ended(store, "r1", "DEVIATED", headline)

    assert [one.state for one in store.settle_slots()] == ["ENDED"]
    assert [one.run for one in store.blocked()] == (["r1"] if blocks else [])
    assert store.settle_slots() == []
    if blocks:
        with pytest.raises(StoreError, match="a name and a reason"):
            store.acknowledge("slow", "", "why")
        store.acknowledge("slow", "ann", "mended", "T-1")
        assert store.blocked() == []
        assert [(one.acknowledged_by, one.ticket) for one in store.blocked(acknowledged=True)] == [("ann", "T-1")]


@pytest.mark.parametrize(
    ("finding", "headline", "stopped_by", "blocks"),
    [
        ("UNKNOWN", "ABORTED", "lever", False),
        ("UNKNOWN", "ABORTED", "person", False),
        ("DEVIATED", "ABORTED", "lever", True),
        ("DEVIATED", "ABORTED", "person", True),
        ("UNKNOWN", "NOT_REVERTED", "lever", True),
        ("DEVIATED", "ABORTED", "criterion", True),
        *(("UNKNOWN", "ABORTED", why, True) for why in ("blind", "deadline", "guardian", "doubt", "bug", "died")),
    ],
)
def test_what_people_stopped_while_nothing_was_violated_is_no_failure(
    store: SqliteStore, finding: str, headline: str, stopped_by: str, blocks: bool
) -> None:
    store.claim_slot(slot(), store.hold_lease("a", 5).epoch)
    store.attach_slot("r1", Owner.mine())
    run_ended(store, "r1", finding, headline, stopped_by)
    store.settle_slots()

    [row] = store.slots()
    assert (row.headline, row.stopped_by, row.halted) == (headline, stopped_by, not blocks)
    assert bool(store.blocked()) is blocks
    assert past.of([row], 0.0).failures == int(blocks)
    assert len(growth.outcomes([row])) == int(blocks)


@pytest.mark.parametrize("settled_first", [True, False])
def test_a_run_that_refused_itself_is_refused_with_its_reason_whoever_is_first(
    store: SqliteStore, settled_first: bool
) -> None:
    store.claim_slot(slot(), store.hold_lease("a", 5).epoch)
    store.attach_slot("r1", Owner.mine())
    run_ended(store, "r1", "UNKNOWN", "NOT_STARTED")
    if settled_first:
        store.settle_slots()
    store.end_slot("r1", "REFUSED", "not started: the baseline is not steady")
    store.settle_slots()
    store.end_slot("r1", "REFUSED", "another word")

    [row] = store.slots()
    assert (row.state, row.reason) == ("REFUSED", "not started: the baseline is not steady")
    assert store.blocked() == []
    assert growth.outcomes([row]) == []
    assert past.of([row], 0.0) == pace.Past()


def test_what_people_stopped_neither_ends_nor_lengthens_a_row_of_failures() -> None:
    ended = {"state": "ENDED", "headline": "ABORTED"}
    failed, halted = slot(), slot()
    failed = replace(failed, **ended, stopped_by="criterion", finding="DEVIATED")
    halted = replace(halted, **ended, stopped_by="lever", finding="UNKNOWN")
    held = replace(slot(), state="ENDED", headline="HELD", finding="HELD")

    assert past.of([halted, failed, halted, failed, held, failed], 0.0).failures == 2


def test_a_run_that_goes_on_stays_attached(store: SqliteStore) -> None:
    store.claim_slot(slot(), store.hold_lease("a", 5).epoch)
    store.attach_slot("r1", Owner.mine())

    assert store.settle_slots() == []
    assert [one.run for one in store.going_slots()] == ["r1"]


def test_as_many_runs_are_looked_at_as_a_window_may_have(store: SqliteStore) -> None:
    epoch = store.hold_lease("a", 60).epoch
    many = past.RUNS_MAX + 20
    for n in range(many):
        store.claim_slot(slot(f"r{n}", DUE + n), epoch)

    assert past.of(past.runs(store, ["slow"], many)["slow"], 0.0).in_window == many


def test_what_one_schedule_did_is_found_without_a_look_at_all_the_others(store: SqliteStore, state: Path) -> None:
    epoch = store.hold_lease("a", 60).epoch
    store.claim_slot(replace(slot("r1"), readings=(Reading("armed", True),)), epoch)
    store.add_skips([replace(skip(DUE + n), schedule=f"s{n % 7}") for n in range(1, 200)], epoch)
    asked: list[str] = []
    with contextlib.closing(sqlite3.connect(state / "ledger.sqlite")) as con:
        con.set_trace_callback(asked.append)
        [row] = slots.slots(con, "slow", "RUN", 100, readings=False)
        [full] = slots.slots(con, "slow", "RUN", 100, readings=True)
        [query] = {text.replace("'[]'", "s.readings") for text in asked}
        steps = [step[3] for step in con.execute(f"EXPLAIN QUERY PLAN {query}")]

    assert (row.run, row.readings) == ("r1", ())
    assert [one.gate for one in full.readings] == ["armed"]
    assert any(step.startswith("SEARCH s USING INDEX") and "schedule=?" in step for step in steps), steps
    assert len(store.slots(limit=1000)) == 200
    assert len(store.slots("s3", "SKIP", 1000)) == 29
    assert len(store.slots(None, "RUN", 1000)) == 1


def test_freshness_counts_only_conclusive_runs(store: SqliteStore) -> None:
    epoch = store.hold_lease("a", 5).epoch
    for n, finding in enumerate(("HELD", "UNKNOWN")):
        store.claim_slot(slot(f"r{n}", DUE + n), epoch)
        store.attach_slot(f"r{n}", Owner.mine())
        run_ended(store, f"r{n}", finding, finding)
        store.settle_slots()

    assert store.last_conclusive() == {"slow": DUE + 60}
    assert [one.ended_at for one in store.slots()] == [DUE + 60, DUE + 60]


def test_arming_and_pausing_are_kept_with_who_said_so(store: SqliteStore) -> None:
    store.arm("demo", "ann", DUE)
    store.pause("slow", "ben", "holidays")

    assert store.armed()["demo"].who == "ann"
    assert store.paused()["slow"].reason == "holidays"
    assert (store.disarm("demo"), store.disarm("demo")) == (True, False)
    assert (store.unpause("slow"), store.unpause("slow")) == (True, False)
    with pytest.raises(StoreError, match="takes a name"):
        store.arm("demo", " ", DUE)
