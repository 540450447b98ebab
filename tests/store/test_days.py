"""Laws of the store's game days and digests."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path

import pytest

from chaos_runner.gameday.facts import DayEnded, DayStarted, Said
from chaos_runner.records import Noted, Outcome, RunEnded
from chaos_runner.store import Busy, Digest, Fenced, Owner, SqliteStore, StoreError, open_store
from tests.store.kit import begin, stamped

STARTED = DayStarted(scenario={}, file="x.yaml", files={}, versions={}, actor="me")


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return open_store(tmp_path / "state", allow_tmpfs=True)


def _begin(store: SqliteStore, day: str = "day-1") -> int:
    return store.begin_day(day, scenario="outage", environment="demo", owner=Owner.mine(), fact=STARTED)


def test_facts_keep_the_order_in_which_the_store_took_them(store: SqliteStore) -> None:
    _begin(store)
    assert [store.say("day-1", Said(who="ann", text=str(n))) for n in range(3)] == [2, 3, 4]
    told = store.facts("day-1")
    assert [one.seq for one in told] == [1, 2, 3, 4]
    assert [one.seq for one in store.facts("day-1", after=3)] == [4]
    assert told[0].fact == STARTED
    assert all(later.t >= one.t >= 0 for one, later in itertools.pairwise(told))


def test_one_day_at_a_time(store: SqliteStore) -> None:
    epoch = _begin(store)
    with pytest.raises(Busy, match="day-1 is not over"):
        _begin(store, "day-2")
    store.end_day("day-1", epoch, DayEnded(how="finished"))
    assert _begin(store, "day-2") == 1
    assert [one.id for one in store.days()] == ["day-2", "day-1"]
    assert store.find_day("day-") == ["day-2", "day-1"]


def test_whoever_was_taken_over_conducts_no_more_and_may_still_speak(store: SqliteStore) -> None:
    old = _begin(store)
    new = store.take_day("day-1", Owner.mine(), seen=old)
    with pytest.raises(Fenced):
        store.say("day-1", Said(who="conductor", text="late"), epoch=old)
    with pytest.raises(Fenced):
        store.take_day("day-1", Owner.mine(), seen=old)
    store.say("day-1", Said(who="ann", text="early"))
    store.end_day("day-1", new, DayEnded(how="stopped"))
    assert store.say("day-1", Said(who="ann", text="after the end")) == 4
    with pytest.raises(Fenced):
        store.take_day("day-1", Owner.mine(), seen=new)


def test_a_damaged_or_missing_fact_is_named(store: SqliteStore, tmp_path: Path) -> None:
    _begin(store)
    store.say("day-1", Said(who="ann", text="one"))
    with sqlite3.connect(tmp_path / "state" / "ledger.sqlite") as con:
        con.execute("UPDATE fact SET payload = replace(payload, 'one', 'two') WHERE seq = 2")
    with pytest.raises(StoreError, match="fact 2 of game day day-1"):
        store.facts("day-1")
    with sqlite3.connect(tmp_path / "state" / "ledger.sqlite") as con:
        con.execute("DELETE FROM fact WHERE seq = 2")
    with pytest.raises(StoreError, match="gap"):
        store.facts("day-1")
    with pytest.raises(StoreError, match="no game day"):
        store.say("day-9", Said(who="ann", text="?"))


def test_a_digest_is_missing_until_it_was_made_from_all_records(store: SqliteStore) -> None:
    epoch = begin(store)
    assert store.undigested(1) == []
    end = RunEnded(outcome=Outcome(finding="HELD", stopped_by="nothing", cleanup="CLEAN"))
    store.end_run("r1", epoch, "HELD", record=stamped(end, 9.0))
    assert store.undigested(1) == ["r1"]
    store.add_digests([Digest("r1", 1, 2, b"{}")])
    assert store.undigested(1) == []
    assert store.undigested(2) == ["r1"]
    store.append("r1", Noted(who="ann", text="later"), at=1.0, t=1.0)
    assert store.undigested(1) == ["r1"]
    store.add_digests([Digest("r1", 1, 3, b"new")])
    assert [one.payload for one in store.digests(1)] == [b"new"]
