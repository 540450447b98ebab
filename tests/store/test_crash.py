"""What a commit promises when the process dies on it, and when two want the same."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from chaos_runner.store import SqliteStore, StoreError, open_store
from tests.store.kit import begin, child, commit, fault, finished, note

COMMIT_AND_HANG = """
store = open_store(Path(sys.argv[1]))
begin(store)
commit(store)
print("committed", flush=True)
sys.stdin.read()
"""

COMMIT_FOREVER = """
store = open_store(Path(sys.argv[1]))
begin(store)
for n in range(100_000):
    commit(store, fault(f"f{n}", target=f"proxy/p{n}"))
    store.append("r1", note("x" * (n * 37 % 5000)), n, n)
    print(n, flush=True)
"""

RACE = """
store = open_store(Path(sys.argv[1]))
run = sys.argv[2]
begin(store, run)
print("ready", flush=True)
sys.stdin.readline()
won = 0
for n in range(20):
    try:
        commit(store, fault(f"{run}-{n}", run=run, target=f"proxy/p{n}"))
        won += 1
    except Busy:
        pass
print(won)
"""


def test_a_fault_whose_runner_was_killed_after_the_commit_is_on_record(state: Path) -> None:
    runner = child(COMMIT_AND_HANG, str(state))
    assert runner.stdout.readline() == "committed\n"
    runner.kill()
    runner.communicate(timeout=10)

    with open_store(state, read_only=True) as store:
        assert [row.id for row in store.open_faults()] == ["f1"]
    with open_store(state) as store:
        assert [row.id for row in store.open_faults()] == ["f1"]
        assert [entry.seq for entry in store.records("r1")] == [1, 2]


@pytest.mark.parametrize("commits", [1, 7, 23])
def test_a_kill_between_commits_tears_nothing(state: Path, commits: int) -> None:
    runner = child(COMMIT_FOREVER, str(state))
    for _ in range(commits):
        assert runner.stdout.readline()
    runner.kill()
    said = commits + len(runner.stdout.read().splitlines())
    runner.communicate(timeout=10)

    with open_store(state) as store:
        rows = store.open_faults()
        entries = store.records("r1")
    assert said <= len(rows) <= said + 1
    assert all(not row.unusable for row in rows)
    intents = [entry.record.fault for entry in entries if type(entry.record).__name__ == "IntentCommitted"]
    assert intents == [row.id for row in rows], "a fault and its record are one commit"


def test_of_two_processes_one_gets_the_target(state: Path) -> None:
    racers = [child(RACE, str(state), run) for run in ("a", "b")]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = [int(finished(racer)) for racer in racers]

    with open_store(state) as store:
        assert sum(won) == 20 == len(store.open_faults())


def test_many_processes_may_make_the_ledger_at_once(state: Path) -> None:
    makers = [
        child("with open_store(Path(sys.argv[1])) as s: begin(s, sys.argv[2])", str(state), f"r{n}") for n in range(4)
    ]
    for maker in makers:
        finished(maker)

    with open_store(state) as store:
        assert sorted(store.find_run("r")) == ["r0", "r1", "r2", "r3"]
    assert not list(state.glob("*new*"))


def test_threads_take_turns(store: SqliteStore) -> None:
    begin(store)

    def write() -> None:
        for _ in range(10):
            store.append("r1", note(), 1.0, 1.0)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert [entry.seq for entry in store.records("r1")] == list(range(1, 32))


def test_a_ledger_locked_by_another_process_is_said_within_seconds_and_casts_no_doubt(
    store: SqliteStore, state: Path
) -> None:
    begin(store)
    code = """
import sqlite3
con = sqlite3.connect(sys.argv[1], isolation_level=None)
con.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
con.close()
"""
    holder = child(code, str(state / "ledger.sqlite"))
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StoreError, match="locked by another process"):
        commit(store)
    assert store.open_faults() == [], "reading goes on"
    holder.communicate("go\n", timeout=10)

    commit(store, fault())
