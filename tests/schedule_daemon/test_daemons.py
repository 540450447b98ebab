"""Laws of the daemon, with real processes: what it starts outlives it, what it may not start it says; never twice."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos_runner.store import SlotRow, levers
from tests.schedule_daemon import rig
from tests.schedule_daemon.rig import Rig

LONG_S = 90.0  # on a busy machine


def wait(look: Callable[[], Any], limit_s: float = LONG_S) -> Any:
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    msg = "it did not come to that"
    raise AssertionError(msg)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Rig]:
    with rig.rig(tmp_path, environments=("one",), hold_s=20) as there:
        yield there


def rows(one: Rig) -> list[SlotRow]:
    with one.store() as store:
        return store.slots(limit=1000)


def skipped(one: Rig, why: str) -> bool:
    return any(row.decision == "SKIP" and row.reason.startswith(why) for row in rows(one)[:3])


def harmed(one: Rig) -> str:
    """The run that has a fault on the proxy now."""
    with one.store() as store:
        faults = [fault.run for fault in store.open_faults() if fault.state == "INJECTED"]
    return faults[0] if faults else ""


def health(one: Rig, log: Path) -> dict[str, Any]:
    port = next(json.loads(line)["port"] for line in log.read_text().splitlines() if '"listens"' in line)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
        return json.loads(answer.read())


def test_unarmed_nothing_runs_and_a_bad_file_keeps_the_old_schedules(one: Rig) -> None:
    with one.store():
        pass
    daemon = one.start("--listen", "0")
    log = one.folder / "daemon-1.log"
    wait(lambda: skipped(one, "armed: one is not armed"))
    good = (one.folder / "chaos-runner.yaml").read_text()

    (one.folder / "chaos-runner.yaml").write_text(good + "nonsense: [")
    daemon.send_signal(signal.SIGHUP)
    told = wait(lambda: health(one, log)["files"])
    before = len(rows(one))
    wait(lambda: len(rows(one)) > before)

    assert "chaos-runner.yaml" in told
    assert health(one, log)["schedules"] == 1
    (one.folder / "chaos-runner.yaml").write_text(good)
    daemon.send_signal(signal.SIGHUP)
    wait(lambda: not health(one, log)["files"])
    assert one.injected() == {}
    one.kill(daemon, signal.SIGTERM)
    assert daemon.returncode == 0


def test_a_run_outlives_its_daemon_and_a_lever_stops_it_and_what_comes_after(one: Rig) -> None:
    one.arm()
    daemon = one.start()
    run = wait(lambda: harmed(one))
    one.kill(daemon)
    assert harmed(one) == run

    pulled = time.monotonic()
    levers.pull(one.state, "global", "a test", "enough")
    wait(lambda: not one.toxics(), 15)
    gone_s = time.monotonic() - pulled
    one.start()
    wait(lambda: skipped(one, "levers: a test pulled global: enough"))

    assert gone_s < 10  # a tick and a request; the tools print it
    levers.release(one.state, "global", "a test", "over")
    with one.store() as store:
        assert store.slot_of(run).headline == "ABORTED"
        assert store.blocked() == []  # nothing was violated: nobody has to look
    assert f"ABORTED   {run}  stopped by a lever; nothing was violated" in one.say("history").stdout
    again = wait(lambda: next((row.run for row in rows(one) if row.run and row.run != run), ""))
    assert again
    for process in list(one.daemons.values()):
        one.kill(process, signal.SIGTERM)
    levers.pull(one.state, "global", "a test", "the end")
    one.settle()
    assert one.toxics() == []
    assert all(count == 1 for count in one.injected().values())


def test_a_daemon_that_is_stopped_with_abort_undoes_its_run_first_and_blocks_nothing(one: Rig) -> None:
    one.arm()
    daemon = one.start("--on-stop", "abort")
    run = wait(lambda: harmed(one))
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(LONG_S) == 0

    assert one.toxics() == []
    with one.store() as store:
        row = store.slot_of(run)
        assert (row.state, row.headline, row.stopped_by) == ("ENDED", "ABORTED", "person")
        assert store.blocked() == []
        assert store.open_faults() == []


def test_a_daemon_that_is_stopped_with_finish_leaves_its_run_going(one: Rig) -> None:
    one.arm()
    daemon = one.start("--on-stop", "finish")
    run = wait(lambda: harmed(one))
    one.kill(daemon, signal.SIGTERM)

    assert daemon.returncode == 0
    assert harmed(one) == run
    levers.pull(one.state, "global", "a test", "the end")
    one.settle()
    assert one.toxics() == []


def test_three_daemons_killed_stopped_and_resumed_run_no_slot_twice_and_leave_nothing(tmp_path: Path) -> None:
    with rig.rig(tmp_path, environments=("one", "two")) as there:
        done = rig.trial(there, 25.0, seed=7)

    assert done.twice == []
    assert (done.left, done.toxics) == (0, [])
    assert done.takeovers >= 1
    assert done.injected
    slots = [(row.schedule, row.instant) for row in done.slots]
    assert len(slots) == len(set(slots))
