"""The file: durable or refused, damaged or read, and readable by every later version."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from chaos_runner.store import StoreError, database, open_store, schema
from tests.store.kit import UNDO, begin, commit, note

GOLDEN = Path(__file__).parent / "golden"


def ledger(state: Path) -> Path:
    """A closed ledger with an open fault."""
    with open_store(state) as store:
        begin(store)
        commit(store)
    return state / "ledger.sqlite"


def test_the_pragmas_are_what_they_must_be(state: Path) -> None:
    with open_store(state) as store:
        con = store._db._con
        assert con.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert con.execute("PRAGMA synchronous").fetchone() == (2,)
        assert con.execute("PRAGMA busy_timeout").fetchone() == (1000,)
        assert con.isolation_level is None


def test_a_pragma_that_did_not_take_is_noticed() -> None:
    con = sqlite3.connect(":memory:")  # knows no write-ahead log
    with pytest.raises(StoreError, match="journal_mode = memory instead of wal"):
        database.make_durable(con)
    con.close()


def test_synchronous_is_compared_too() -> None:
    class Deaf(sqlite3.Connection):
        def execute(self, statement: str, *rest: object) -> sqlite3.Cursor:
            if statement == "PRAGMA synchronous = FULL":
                statement = "PRAGMA synchronous = NORMAL"
            return super().execute(statement, *rest)

    con = sqlite3.connect("", factory=Deaf)
    with pytest.raises(StoreError, match=r"(journal_mode|synchronous) = "):
        database.make_durable(con)
    con.close()


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda path: path.write_bytes(b""), "is empty, so what it knew is lost"),
        (lambda path: path.write_bytes(b"garbage" * 1000), "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:4096] + bytes(len(path.read_bytes()) - 4096)), "is damaged"),
    ],
)
def test_a_damaged_ledger_is_never_taken_for_a_clean_one(
    state: Path, damage: object, says: str, read_only: bool
) -> None:
    path = ledger(state)
    damage(path)
    with pytest.raises(StoreError, match=says):
        open_store(state, read_only=read_only)


def test_a_page_of_the_fault_table_that_was_lost_is_noticed(state: Path) -> None:
    path = ledger(state)
    con = sqlite3.connect(path)
    [(page,)] = con.execute("SELECT rootpage FROM sqlite_master WHERE name = 'fault'").fetchall()
    con.close()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : (page - 1) * 4096 + 8] = (
        b"\x0d\x00\x00\x00\x00\x10\x00\x00"  # a valid page without rows
    )
    path.write_bytes(content)

    with pytest.raises(StoreError, match=r"the ledger is damaged \(fault"):
        open_store(state)


def test_a_ledger_without_its_tables_is_not_started_anew(state: Path) -> None:
    state.mkdir(mode=0o700)
    con = sqlite3.connect(state / "ledger.sqlite")
    con.executescript("CREATE TABLE x (y); DROP TABLE x; VACUUM;")
    con.close()
    (state / "ledger.sqlite").chmod(0o600)

    with pytest.raises(StoreError, match="lost its tables"):
        open_store(state)


def test_a_log_without_its_ledger_is_not_written_over(state: Path) -> None:
    ledger(state).unlink()
    (state / "ledger.sqlite-wal").write_bytes(b"x")

    with pytest.raises(StoreError, match=r"is gone, but its ledger\.sqlite-wal is still there"):
        open_store(state)
    with pytest.raises(StoreError, match="is gone; faults may be left"):
        open_store(state, read_only=True)


def test_another_program_s_file_is_left_alone(state: Path) -> None:
    state.mkdir(mode=0o700)
    path = state / "ledger.sqlite"
    con = sqlite3.connect(path)
    con.execute("CREATE TABLE bookmarks (url)")
    con.close()
    path.chmod(0o600)
    before = path.read_bytes()

    with pytest.raises(StoreError, match="not a ledger of chaos-runner"):
        open_store(state)
    assert path.read_bytes() == before


def test_a_newer_ledger_is_refused_with_both_versions(state: Path) -> None:
    path = ledger(state)
    con = sqlite3.connect(path, isolation_level=None)
    con.execute("INSERT INTO schema VALUES (7, 0.0, '9.9.9')")
    con.close()

    for read_only in (False, True):
        with pytest.raises(StoreError, match=r"schema version 7, written by chaos-runner 9\.9\.9; .* up to 3"):
            open_store(state, read_only=read_only)


def test_the_first_version_s_ledger_still_opens(state: Path) -> None:
    """golden/v1.sqlite was written once by version 1 and is never made again."""
    state.mkdir(mode=0o700)
    shutil.copyfile(GOLDEN / "v1.sqlite", state / "ledger.sqlite")
    (state / "ledger.sqlite").chmod(0o600)

    with pytest.raises(StoreError, match="older schema version 1: `chaos-runner recover` brings it up to date"):
        open_store(state, read_only=True)
    for read_only in (False, True):
        with open_store(state, read_only=read_only) as store:
            [row] = store.open_faults("demo")
            assert (row.id, row.undo, row.unusable) == ("f1", UNDO, "")
            assert store.run("r1").connections == {"toxiproxy": {"token": "env:TOKEN"}}
            assert [entry.seq for entry in store.records("r1")] == [1, 2, 3]
            assert [sample.check for sample in store.samples("r1")] == ["shoppers"]
            assert [line.headline for line in store.runs()] == ["HELD", ""]


def test_a_migration_runs_once_and_keeps_the_rows(state: Path) -> None:
    path = ledger(state)
    ran = []

    def to_4(con: sqlite3.Connection) -> None:
        ran.append(4)
        con.execute("ALTER TABLE run ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'")

    con = sqlite3.connect(path, isolation_level=None)
    for _ in range(2):
        schema.migrate(con, (*schema.MIGRATIONS, to_4))
    assert con.execute("SELECT id, colour FROM run").fetchall() == [("r1", "grey")]
    assert con.execute("SELECT version FROM schema").fetchall() == [(1,), (2,), (3,), (4,)]
    con.close()
    assert ran == [4]


def test_a_migration_that_fails_changes_nothing(state: Path) -> None:
    path = ledger(state)

    def broken(con: sqlite3.Connection) -> None:
        con.execute("DROP TABLE summary")
        con.execute("nonsense")

    con = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(con, (*schema.MIGRATIONS, broken))
    con.close()

    with open_store(state) as store:
        assert len(store.runs()) == 1


def _replaced(path: Path) -> None:
    path.rename(path.with_name("old"))
    shutil.copyfile(path.with_name("old"), path)
    path.chmod(0o600)


@pytest.mark.parametrize("name", ["ledger.sqlite", "ledger.sqlite-wal"])
@pytest.mark.parametrize("spoil", [Path.unlink, _replaced])
def test_a_ledger_that_is_not_ours_any_more_takes_no_intent(state: Path, name: str, spoil: object) -> None:
    with open_store(state) as store:
        begin(store)
        spoil(state / name)

        with pytest.raises(StoreError, match=f"{name} was removed or replaced while in use"):
            commit(store)
        with pytest.raises(StoreError, match="removed or replaced"):
            store.append("r1", note(), 1.0, 1.0)


def test_a_state_folder_that_was_moved_away_takes_no_intent_and_is_taken_up_again_once_back(state: Path) -> None:
    with open_store(state) as store:
        begin(store)
        state.rename(state.with_name("moved"))
        with pytest.raises(StoreError, match="removed or replaced"):
            commit(store)
        state.with_name("moved").rename(state)

        with pytest.raises(StoreError, match="so nothing new is begun"):
            commit(store)
        assert store.append("r1", note(), 1.0, 1.0) == 2  # what belongs to undoing is written


def test_an_intent_whose_file_lost_its_name_during_the_commit_is_none(state: Path) -> None:
    with open_store(state) as store:
        begin(store)

        def removed_meanwhile(con: sqlite3.Connection) -> None:
            con.execute("UPDATE run SET headline = ''")
            (state / "ledger.sqlite").unlink()

        with pytest.raises(StoreError, match="removed or replaced"):
            store._db.write(removed_meanwhile)


def test_other_processes_that_open_close_and_checkpoint_leave_it_ours(state: Path) -> None:
    with open_store(state) as store:
        begin(store)
        for n in range(3):
            with open_store(state) as other:
                other.append("r1", note(), 1.0, 1.0)
            con = sqlite3.connect(state / "ledger.sqlite")
            con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            con.close()
            store.append("r1", note(f"{n}"), 1.0, 1.0)
        commit(store)


def test_asking_whether_it_is_ours_costs_microseconds(state: Path) -> None:
    with open_store(state) as store:
        began = time.process_time()
        for _ in range(1000):
            store._db._check_ours()

    assert time.process_time() - began < 0.5  # 6 microseconds each on an idle machine


def test_closing_twice_is_fine_and_a_closed_store_says_so(state: Path) -> None:
    store = open_store(state)
    begin(store)
    store.close()
    store.close()

    with pytest.raises(StoreError, match="closed"):
        store.append("r1", note(), 1.0, 1.0)
    with pytest.raises(StoreError, match="closed"):
        store.runs()
