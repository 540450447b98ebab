"""The laws of records and samples: none lost, none changed unnoticed, cheap enough for every tick."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from chaos_runner.records import ClauseCount, Sample
from chaos_runner.store import SqliteStore, StoreError
from chaos_runner.wire import Exemplar
from tests.store.kit import UNDO, begin, commit, fault, note


def tamper(state: Path, statement: str, *values: object) -> None:
    con = sqlite3.connect(state / "ledger.sqlite", isolation_level=None)
    assert con.execute(statement, values).rowcount == 1
    con.close()


def test_records_are_numbered_without_gaps_for_each_run(store: SqliteStore) -> None:
    begin(store)
    begin(store, "r2")
    assert [store.append("r1", note(str(n)), n, n / 3) for n in range(3)] == [2, 3, 4]
    assert store.append("r2", note(), 1.0, 1.0) == 2

    entries = store.records("r1")
    assert [entry.seq for entry in entries] == [1, 2, 3, 4]
    assert [entry.t for entry in entries[1:]] == [0.0, 1 / 3, 2 / 3]
    assert [entry.record for entry in entries[1:]] == [note("0"), note("1"), note("2")]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE record SET payload = CAST(replace(CAST(payload AS TEXT), 'hm', 'hn') AS BLOB) WHERE seq = 2",
        "UPDATE record SET at = at + 1 WHERE seq = 2",
        "UPDATE record SET t = t + 1 WHERE seq = 2",
        "UPDATE record SET crc = crc + 1 WHERE seq = 2",
        "UPDATE record SET payload = 'text' WHERE seq = 2",
        "DELETE FROM record WHERE seq = 2",
    ],
)
@pytest.mark.parametrize("after", [0, 1])
def test_a_changed_or_missing_record_is_an_error_that_names_it(
    store: SqliteStore, state: Path, statement: str, after: int
) -> None:
    begin(store)
    for _ in range(1 + after):
        store.append("r1", note(), 1.0, 1.0)
    tamper(state, statement)

    with pytest.raises(StoreError, match="record 2 of run r1"):
        store.records("r1")


def test_damaged_records_do_not_keep_anybody_from_undoing(store: SqliteStore, state: Path) -> None:
    begin(store)
    commit(store)
    tamper(state, "UPDATE record SET payload = x'00' WHERE seq = 1")

    assert [row.undo for row in store.open_faults()] == [UNDO]
    assert [row.unusable for row in store.unfinished_runs()] == [""]
    store.set_fault_state("f1", 1, "CLOSED")


@pytest.mark.parametrize(
    "change",
    [
        "undo = replace(undo, 'true', 'false')",
        "undo = 'no json'",
        "undo = x'ff'",
        "undo = CAST(x'7bff7d' AS TEXT)",
        "target = 'proxy/other'",
        "uid = ''",
        "aspect = 'enabled'",
        "kind = 'scale'",
        "environment = 'prod'",
        "crc = crc + 1",
        "n = 'x'",
    ],
)
def test_a_damaged_undo_is_shown_but_cannot_be_executed(store: SqliteStore, state: Path, change: str) -> None:
    begin(store)
    commit(store)
    commit(store, fault("f2", target="proxy/other2"))
    tamper(state, f"UPDATE fault SET {change} WHERE id = 'f1'")

    damaged, sound = store.open_faults()
    assert damaged.id == "f1"
    assert damaged.undo == {}
    assert "is damaged and was not executed" in damaged.unusable
    assert (sound.undo, sound.unusable) == (UNDO, "")


def test_a_state_nobody_knows_counts_as_open(store: SqliteStore, state: Path) -> None:
    begin(store)
    commit(store)
    tamper(state, "UPDATE fault SET state = 'CLOSEE'")

    assert [(row.id, row.open) for row in store.open_faults()] == [("f1", True)]


def test_a_run_with_damaged_connections_is_listed_as_unusable(store: SqliteStore, state: Path) -> None:
    begin(store)
    begin(store, "r2")
    tamper(state, "UPDATE run SET connections = replace(connections, 'TOKEN', 'OTHER') WHERE id = 'r1'")

    damaged, sound = store.unfinished_runs()
    assert damaged.connections == {}
    assert "run r1 is damaged" in damaged.unusable
    assert sound.connections == {"toxiproxy": {"token": "env:TOKEN"}}


def sample(check: str, tick: int) -> Sample:
    return Sample(
        check=check,
        tick=tick,
        counts=tuple(ClauseCount(clause=n, good=990, bad=tick % 7, unknown=0) for n in range(3)),
        histogram=tuple((500 + n, 1 + (n * tick) % 300) for n in range(100)),
        exemplars=(Exemplar(at_s=tick, latency_s=1.25, status=503, error="no"),) if tick % 7 else (),
        values={"ready": 2.0},
        scheduled=1000,
    )


def test_samples_come_back_as_they_were_and_in_order(store: SqliteStore) -> None:
    begin(store)
    begin(store, "r2")
    ticks = [[sample("shoppers", n), sample("replicas", n)] for n in range(3)]
    for samples in ticks:
        store.add_samples("r1", samples)
    store.add_samples("r2", iter([sample("x", 1)]))
    store.add_samples("r2", [])

    assert store.samples("r1") == [one for samples in ticks for one in samples]


def test_whoever_follows_a_run_reads_only_what_is_new(store: SqliteStore, state: Path) -> None:
    begin(store)
    for n in range(3):
        store.append("r1", note(str(n)), n, n)
        store.add_samples("r1", [sample("shoppers", n)])
    begin(store, "r2")
    store.add_samples("r2", [sample("x", 9)])

    assert [one.seq for one in store.records("r1", after=2)] == [3, 4]
    assert [one.tick for one in store.samples("r1", after=1)] == [1, 2]
    assert store.records("r1", after=4) == store.samples("r1", after=3) == store.samples("r1", after=99) == []
    tamper(state, "DELETE FROM record WHERE run = 'r1' AND seq = ?", 4)
    with pytest.raises(StoreError, match="record 4 of run r1"):
        store.records("r1", after=2)


def test_a_damaged_sample_is_an_error_that_names_it(store: SqliteStore, state: Path) -> None:
    begin(store)
    store.add_samples("r1", [sample("a", 0), sample("a", 1)])
    con = sqlite3.connect(state / "ledger.sqlite")
    (payload,) = con.execute("SELECT payload FROM sample WHERE place = 2").fetchone()
    con.close()
    assert payload.endswith(b"scheduled\xcd\x03\xe8")  # 1000
    tamper(state, "UPDATE sample SET payload = ? WHERE place = 2", payload[:-1] + b"\xe9")

    with pytest.raises(StoreError, match="sample 2 of run r1"):
        store.samples("r1")


def test_an_hour_at_a_thousand_a_second_stays_small_and_loads_fast(store: SqliteStore, state: Path) -> None:
    begin(store)
    store.add_samples("r1", [sample("shoppers", n) for n in range(3600)])
    began = time.process_time()
    assert len(store.samples("r1")) == 3600
    took = time.process_time() - began
    store.close()

    assert took < 1.0  # 0.1 s on an idle machine
    assert (state / "ledger.sqlite").stat().st_size < 6 << 20
