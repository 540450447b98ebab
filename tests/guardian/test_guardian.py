"""Real processes: whatever dies, the toxic goes away within its bound, and who undid it says so."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import sqlite3
import time
from pathlib import Path

import anyio
import pytest

from chaos_runner.clock import Clock
from chaos_runner.guard import GuardianError, GuardianLine
from chaos_runner.records import FaultReverted, RunEnded
from tests.guardian import runner
from tests.guardian.bench import TTL_S, Small
from tests.proxy import toxi

SLACK_S = 2.0  # two cores, and other people's jobs


def ended(bench: Small) -> RunEnded:
    bench.until(lambda ledger: ledger.run(runner.RUN).state == "ENDED")
    with bench.ledger() as ledger:
        entries = ledger.records(runner.RUN)
        assert all(earlier.t <= later.t + 0.5 for earlier, later in itertools.pairwise(entries))
        records = [entry.record for entry in entries]
    assert [record.by for record in records if isinstance(record, FaultReverted)] == ["guardian"]
    ends = [record for record in records if isinstance(record, RunEnded)]
    assert len(ends) == 1
    return ends[0]


def test_a_killed_runner_is_undone_within_a_second(bench: Small) -> None:
    bench.kill(signal.SIGKILL)

    assert bench.clean_after(1 + SLACK_S) < 1 + SLACK_S
    end = ended(bench)
    assert (end.by, end.outcome.stopped_by, end.outcome.cleanup) == ("guardian", "died", "WATCHING")
    assert end.outcome.why == "the runner died"
    with bench.ledger() as ledger:
        assert [row.state for row in ledger.faults(runner.RUN)] == ["WATCHING"]


def test_a_killed_process_group_does_not_take_the_guardian_with_it(bench: Small) -> None:
    os.killpg(bench.process.pid, signal.SIGKILL)

    bench.clean_after(1 + SLACK_S)
    assert ended(bench).by == "guardian"


def test_a_run_that_died_before_its_fault_is_ended_before_the_guardian_goes(bench: Small) -> None:
    bench.ask("undo")
    assert bench.heard() == {"state": "CLOSED"}
    bench.kill(signal.SIGKILL)

    assert bench.guardian_gone()
    with bench.ledger() as ledger:
        run = ledger.run(runner.RUN)
        assert (run.state, run.headline) == ("ENDED", "ABORTED")


def test_a_stopped_runner_is_undone_after_its_silence_and_never_wakes_up(bench: Small) -> None:
    bench.kill(signal.SIGSTOP)
    took = bench.clean_after(TTL_S + 1 + SLACK_S)

    assert took > TTL_S / 2
    assert bench.process.wait(5) == -signal.SIGKILL
    assert ended(bench).outcome.why == f"the runner was silent for {TTL_S:g} s"


def test_the_signals_of_terminals_do_not_end_a_guardian(bench: Small) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(bench.guardian, number)

        assert not bench.guardian_gone(0.5)
        assert bench.toxics()


def test_a_dead_guardian_is_seen_by_the_runner_which_undoes_itself(bench: Small) -> None:
    os.kill(bench.guardian, signal.SIGKILL)

    bench.clean_after(1 + SLACK_S)
    assert bench.heard() == {"state": "CLOSED"}


def test_a_run_that_ends_well_leaves_no_process_and_no_word(bench: Small) -> None:
    bench.ask()

    assert bench.heard() == {"state": "CLOSED"}
    assert bench.guardian_gone()
    assert bench.process.wait(10) == 0
    assert not list(bench.state.glob("*.log"))


def test_a_guardian_that_was_busy_when_its_run_ended_well_does_not_say_it_died(bench: Small) -> None:
    os.kill(bench.guardian, signal.SIGSTOP)
    bench.ask()
    assert bench.heard() == {"state": "CLOSED"}
    assert bench.process.wait(10) == 0
    time.sleep(0.2)
    os.kill(bench.guardian, signal.SIGCONT)

    assert bench.guardian_gone()
    with bench.ledger() as ledger:
        assert ledger.run(runner.RUN).headline == "HELD"
        assert [type(entry.record) for entry in ledger.records(runner.RUN)].count(RunEnded) == 1


def test_a_locked_ledger_does_not_delay_the_undo_and_is_told_afterwards(bench: Small) -> None:
    with sqlite3.connect(bench.state / "ledger.sqlite", isolation_level=None) as held:
        held.execute("BEGIN IMMEDIATE")
        bench.kill(signal.SIGKILL)
        bench.clean_after(1 + SLACK_S)
        time.sleep(2.5)
        held.execute("ROLLBACK")
    held.close()

    assert ended(bench).by == "guardian"


def test_a_deleted_ledger_does_not_keep_the_toxic_alive(bench: Small) -> None:
    for path in bench.state.glob("ledger*"):
        path.unlink()
    bench.kill(signal.SIGKILL)

    bench.clean_after(1 + SLACK_S)


def test_a_full_disk_does_not_keep_the_toxic_alive(bench: Small) -> None:
    resource.prlimit(bench.guardian, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    bench.kill(signal.SIGKILL)
    bench.clean_after(1 + SLACK_S)

    with bench.ledger() as ledger:
        assert [row.state for row in ledger.faults(runner.RUN)] == ["INJECTED"]
    resource.prlimit(bench.guardian, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert ended(bench).by == "guardian"


def test_a_file_in_the_place_of_the_state_folder_does_not_keep_the_toxic_alive(bench: Small) -> None:
    bench.state.rename(bench.state.with_name("moved"))
    bench.state.write_text("not a folder")
    bench.kill(signal.SIGKILL)

    bench.clean_after(1 + SLACK_S)


def test_a_frozen_target_is_undone_when_it_thaws(bench: Small) -> None:
    bench.api.process.send_signal(signal.SIGSTOP)
    bench.kill(signal.SIGKILL)
    time.sleep(3.0)
    bench.api.process.send_signal(signal.SIGCONT)

    bench.clean_after(6.0)


def test_a_guardian_that_cannot_read_its_endpoint_is_not_ready(tmp_path: Path) -> None:
    env = runner.environment(f"http://127.0.0.1:{toxi.free_port()}", None)

    async def start() -> None:
        line = GuardianLine(runner.hello(env, tmp_path, TTL_S, Clock().t0), tmp_path / "log")
        try:
            with pytest.raises(GuardianError, match=r"the guardian is not ready: .*not sent"):
                await line.start()
            with anyio.fail_after(10):
                while line.alive():
                    await anyio.sleep(0.02)
        finally:
            await line.bye()

    anyio.run(start)


def test_a_kind_that_the_guardian_does_not_know_is_not_ready(tmp_path: Path, api: toxi.Api) -> None:
    env = runner.environment(f"http://127.0.0.1:{api.port}", None)

    async def start() -> None:
        said = runner.hello(env, tmp_path, TTL_S, Clock().t0)
        import msgspec

        line = GuardianLine(msgspec.structs.replace(said, kinds=("no_such_fault",)), tmp_path / "log")
        try:
            with pytest.raises(GuardianError, match="no_such_fault"):
                await line.start()
        finally:
            await line.bye()

    anyio.run(start)


def test_a_guardian_without_its_libraries_is_an_error_that_names_its_log(tmp_path: Path) -> None:
    env = runner.environment("http://127.0.0.1:1", None)

    async def start() -> None:
        line = GuardianLine(runner.hello(env, tmp_path, TTL_S, Clock().t0), tmp_path / "log")
        line.program = "import sys; sys.exit('no such library')"
        with pytest.raises(GuardianError, match=r"did not start: it ended \(its log: .*log\)"):
            await line.start()
        await line.bye()

    anyio.run(start)
    assert "no such library" in (tmp_path / "log").read_text()


def test_nothing_of_the_runner_but_its_own_line_is_handed_down(bench: Small) -> None:
    held = [str(path.readlink()) for path in Path(f"/proc/{bench.guardian}/fd").iterdir()]

    assert not [name for name in held if "ledger" in name]
    assert sum("pidfd" in name for name in held) == 1
