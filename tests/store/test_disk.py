"""Where a ledger may lie, and what happens when there is no room left."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from chaos_runner.store import SqliteStore, StoreError, disk, open_store
from tests.store.kit import begin, child, commit, fault, finished, note


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_everything_is_private_whatever_the_umask(state: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with open_store(state) as store:
            begin(store)
            assert mode(state) == 0o700
            assert {path.name: mode(path) for path in state.iterdir()} == dict.fromkeys(
                ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "ballast"], 0o600
            )
    finally:
        os.umask(before)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_folder_or_ledger_open_to_others_is_refused_with_the_command_that_helps(state: Path, read_only: bool) -> None:
    open_store(state).close()
    state.chmod(0o750)
    with pytest.raises(StoreError, match=r"open to other users \(mode 750\): chmod 700"):
        open_store(state, read_only=read_only)
    state.chmod(0o700)
    (state / "ledger.sqlite").chmod(0o640)
    with pytest.raises(StoreError, match=r"open to other users \(mode 640\): chmod 600"):
        open_store(state, read_only=read_only)


def test_a_folder_of_somebody_else_is_refused(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(state).close()
    monkeypatch.setattr(os, "geteuid", lambda: state.stat().st_uid + 1)

    with pytest.raises(StoreError, match="belongs to user"):
        open_store(state)


@pytest.mark.parametrize("kind", [0x6969, 0xFF534D42, 0xFE534D42, 0x517B, 0x01021997, 0x65735546])
def test_file_systems_that_lose_commits_are_refused(kind: int) -> None:
    with pytest.raises(StoreError, match="does not keep a ledger safe: point --state to a local disk"):
        disk.judge_file_system(kind, Path("state"), allow_tmpfs=True)


def test_local_disks_are_silent_and_a_container_layer_is_noted() -> None:
    assert disk.judge_file_system(0xEF53, Path("state"), allow_tmpfs=False) == ()
    [sentence] = disk.judge_file_system(0x794C7630, Path("state"), allow_tmpfs=False)
    assert "container" in sentence


def test_memory_is_refused_unless_it_is_allowed_and_then_said() -> None:
    shm = Path("/dev/shm")  # the one tmpfs that every Linux has
    if not os.access(shm, os.W_OK) or disk._file_system(shm) not in disk.TMPFS:
        pytest.skip("/dev/shm is no writable tmpfs here")
    state = shm / f"chaos-runner-test-{os.getpid()}"
    try:
        with pytest.raises(StoreError, match="in memory"):
            open_store(state)
        with open_store(state, allow_tmpfs=True) as store:
            assert ["in memory" in sentence for sentence in store.warnings] == [True]
    finally:
        shutil.rmtree(state)


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot open the ledger"):
        open_store(tmp_path / "file" / "state")


def test_scarce_room_refuses_runs_but_not_recovery(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(state) as store:
        begin(store)
        commit(store)
    monkeypatch.setattr(disk, "ROOM_BYTES", 1 << 60)

    with open_store(state) as store:
        assert ["make room" in sentence for sentence in store.warnings] == [True]
        with pytest.raises(StoreError, match="make room"):
            begin(store, "r2")
        epoch = store.take_over("r1", store.run("r1").owner)
        store.set_fault_state("f1", epoch, "CLOSED")


LIMITED = """
import resource
store = open_store(Path(sys.argv[1]))
begin(store)
commit(store)
wal = Path(sys.argv[1], "ledger.sqlite-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (wal + 60_000, wal + 60_000))
try:
    store.append("r1", note("x" * 300_000), 1.0, 1.0)
except StoreError as why:
    print(why)
try:
    commit(store, fault("f2", target="proxy/other"))
except StoreError as why:
    print(why)
store.set_fault_state("f1", 1, "UNDONE", injected())
print([row.state for row in store.open_faults()], len(store.records("r1")))
"""


def test_after_a_failed_write_nothing_is_injected_and_undoing_goes_on(state: Path) -> None:
    failed, refused, rest = finished(child(LIMITED, str(state))).splitlines()

    assert "failed: disk I/O error" in failed
    assert refused.startswith("an earlier write failed, so nothing new is begun")
    assert rest == "['UNDONE'] 3"


FULL = """
import os, subprocess
mount = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "none", mount], check=True)
state = mount / "state"
store = open_store(state, allow_tmpfs=True)
begin(store)
commit(store)
with open(mount / "filler", "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(bytes(4096))
    except OSError as why:
        print(why.strerror)
for write in (
    lambda: commit(store, fault("f2", target="x" * 200_000)),
    lambda: store.append("r1", note("y" * 200_000), 1.0, 1.0),
    lambda: commit(store, fault("f3", target="proxy/3")),
    lambda: store.add_samples("r1", []) or begin(store, "r2"),
):
    try:
        print("written" if write() else "", (state / "ballast").exists())
    except StoreError as why:
        print(why, (state / "ballast").exists())
with open_store(state, allow_tmpfs=True) as recovery:
    epoch = recovery.take_over("r1", Owner.mine())
    recovery.set_fault_state("f1", epoch, "CLOSED", stamped(note("z" * 100_000), 3.0))
    print([row.state for row in recovery.faults("r1")], len(recovery.records("r1")))
"""


def test_on_a_full_disk_the_ballast_goes_to_the_undo_alone(tmp_path: Path) -> None:
    namespace = ("unshare", "--map-root-user", "--mount")
    try:
        subprocess.run([*namespace, "true"], check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("no mount namespaces here, so no disk to fill")
    out = finished(child(FULL, str(tmp_path), before=namespace)).splitlines()

    assert out[0] == "No space left on device"
    assert out[1].startswith("the disk is full")
    assert out[1].endswith(" True"), "an intent does not spend the ballast"
    assert out[2] == "written False"
    assert out[3].startswith("an earlier write failed, so nothing new is begun")
    assert "make room" in out[4]
    assert out[5] == "['CLOSED'] 4"


def test_the_ballast_is_laid_again_when_there_is_room(state: Path) -> None:
    open_store(state).close()
    assert disk.drop_ballast(state)
    assert not disk.drop_ballast(state)
    open_store(state).close()

    assert (state / "ballast").stat().st_blocks * 512 >= disk.BALLAST_BYTES


def test_rows_survive_a_refused_second_write(store: SqliteStore) -> None:
    begin(store)
    commit(store)
    with pytest.raises(StoreError):
        commit(store, fault("f2"))
    store.append("r1", note(), 1.0, 1.0)

    assert [row.id for row in store.open_faults()] == ["f1"]
