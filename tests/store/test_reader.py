"""Looking changes nothing, and what is seen is the newest state."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from chaos_runner.store import NoLedger, StoreError, open_store
from chaos_runner.store.reader import Reader
from tests.store.kit import begin, child, commit, fault, finished, note


def prints(state: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of every file; the shared-memory index is no state, SQLite rebuilds it."""
    files = [path for path in state.iterdir() if not path.name.endswith("-shm")]
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def look(state: Path) -> list[str]:
    with open_store(state, read_only=True) as store:
        store.records("r1")
        store.runs()
        return [row.id for row in store.open_faults()]


def test_looking_at_a_closed_ledger_makes_and_changes_no_file(state: Path) -> None:
    with open_store(state) as store:
        begin(store)
        commit(store)
    before = prints(state)
    names = sorted(path.name for path in state.iterdir())

    assert look(state) == ["f1"]
    assert prints(state) == before
    assert sorted(path.name for path in state.iterdir()) == names == ["ballast", "ledger.sqlite"]


def test_looking_at_what_a_killed_run_left_changes_nothing(state: Path) -> None:
    runner = child("s = open_store(Path(sys.argv[1])); begin(s); commit(s); print(1, flush=True); input()", str(state))
    runner.stdout.readline()
    runner.kill()
    runner.communicate(timeout=10)
    before = prints(state)

    assert look(state) == ["f1"]
    assert prints(state) == before


def test_a_reader_sees_every_commit_of_a_live_run(state: Path) -> None:
    with open_store(state) as store, open_store(state, read_only=True) as reader:
        begin(store)
        assert len(reader.records("r1")) == 1
        commit(store)
        assert [row.id for row in reader.open_faults()] == ["f1"]


def test_a_reader_follows_writers_that_come_and_go(state: Path) -> None:
    open_store(state).close()
    with open_store(state, read_only=True) as reader:
        assert reader.runs() == []
        with open_store(state) as store:
            begin(store)
            assert len(reader.runs()) == 1
        with open_store(state) as store:
            commit(store)
        assert [row.id for row in reader.open_faults()] == ["f1"]
    with open_store(state, read_only=True) as reader:
        finished(child("with open_store(Path(sys.argv[1])) as s: begin(s, 'r2')", str(state)))
        assert reader.latest_run() == "r2"


def test_a_reader_in_the_middle_of_comings_and_goings_never_sees_half(state: Path) -> None:
    code = """
for n in range(40):
    with open_store(Path(sys.argv[1])) as s:
        begin(s, f"r{n}", runs_at_once=99)
        commit(s, fault(f"f{n}", run=f"r{n}", target=f"proxy/{n}"))
"""
    open_store(state).close()
    writer = child(code, str(state))
    seen = [0]
    with open_store(state, read_only=True) as reader:
        while writer.poll() is None:
            try:
                seen.append(len(reader.open_faults()))
            except StoreError as why:
                assert "kept changing" in str(why) or "locked" in str(why)
        finished(writer)
        assert len(reader.open_faults()) == 40
    assert seen == sorted(seen)


def test_what_changed_under_a_read_is_read_again(state: Path) -> None:
    open_store(state).close()
    seen = []

    def work(con: sqlite3.Connection) -> int:
        count = "SELECT count(*) FROM run"
        seen.append(con.execute(count).fetchone()[0])
        if len(seen) == 1:
            with open_store(state) as store:
                begin(store)
        return int(con.execute(count).fetchone()[0])

    reader = Reader(state)
    assert reader.read(work) == 1
    assert seen == [0, 1]
    reader.close()


def test_a_reader_writes_nothing(state: Path) -> None:
    with open_store(state) as store:
        begin(store)
    with open_store(state, read_only=True) as reader:
        for write in (
            lambda: commit(reader),
            lambda: reader.append("r1", note(), 1.0, 1.0),
            lambda: begin(reader, "r2"),
        ):
            with pytest.raises(StoreError, match="opened for reading"):
                write()
        with pytest.raises(StoreError, match="opened for reading"):
            reader.commit_intent(fault(), None)


def test_where_nothing_has_run_there_is_nothing_to_read_and_nothing_is_made(state: Path) -> None:
    with pytest.raises(NoLedger, match="nothing has run here"):
        open_store(state, read_only=True)
    assert not state.exists()
    state.mkdir(mode=0o700)
    with pytest.raises(NoLedger, match="nothing has run"):
        open_store(state, read_only=True)
    assert list(state.iterdir()) == []
