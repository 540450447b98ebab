"""The drill's time comes from records, and only its own lever is released."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from chaos_runner import desk
from chaos_runner.conductor import drill, told
from chaos_runner.conductor.course import RunSeen
from chaos_runner.conductor.folder import Folder, Setting
from chaos_runner.conductor.told import Told
from chaos_runner.gameday.facts import Asked, DrillBegan, Entry, HaltAsked, IncidentDeclared
from chaos_runner.records import AbortTripped, FaultInjected, FaultReverted, Record, RunStarted
from chaos_runner.records import Entry as RunEntry
from chaos_runner.store import levers
from tests.conductor.kit import small
from tests.gameday.kit import DAY, entries

SCOPE = "environment.demo"
AT_DESK = desk.reason(DAY, "halt")


def pulled(began: float, at: float, who: str = "abe", *more: object) -> Told:
    """A day in its drill, whose lever was pulled."""
    facts = [
        DrillBegan("r"), Asked(step=-1, question="halt", of=("abort_authority",), kind="ready"),
        HaltAsked(who=who, scope=SCOPE, asked_at=at), *more,
    ]  # fmt: skip
    start, *rest = entries(*facts, of=small(drill=True))  # type: ignore[arg-type]
    return told.read([start, *(Entry(one.day, one.seq, began, 1.0, one.fact) for one in rest)])


def record(n: int, t: float, one: Record) -> RunEntry:
    return RunEntry(run="r", seq=n, at=1000.0 + t, t=t, record=one)  # type: ignore[arg-type]


RECORDS = [
    record(1, 0.0, RunStarted(plan={}, versions={}, actor="x")),
    record(2, 8.0, FaultInjected("f", 0.1)),
    record(3, 20.9, AbortTripped("lever", "abe pulled it", decided_t=20.5)),
    record(4, 21.0, FaultReverted("f", gone_t=20.75)),
]


def test_the_time_is_from_the_pull_to_the_fault_gone() -> None:
    ended = drill.judge("r", pulled(990, 1020.25), RunSeen("over", "ABORTED"), drill.times(RECORDS))

    assert ended.halt_s == 0.5
    assert ended.who == "abe"


@pytest.mark.parametrize(
    ("keep", "seen", "why"),
    [
        (2, RunSeen("over", "HELD", "nothing happened"), "nobody's lever stopped it: it ended HELD: nothing happened"),
        (0, RunSeen("never", why="not started: not steady"), "not started: not steady"),
    ],
)
def test_a_drill_without_a_pull_has_no_time(keep: int, seen: RunSeen, why: str) -> None:
    ended = drill.judge("r", pulled(990, 1020.25), seen, drill.times(RECORDS[:keep]))

    assert ended.halt_s is None
    assert ended.why == why


@pytest.mark.parametrize(
    ("began_ago", "reason", "more", "stays"),
    [
        (5.0, AT_DESK, (), False),
        (-5.0, AT_DESK, (), True),  # it was there before the drill
        (5.0, "orders are lost", (), True),  # pulled elsewhere
        (5.0, AT_DESK, (IncidentDeclared(who="rob", text="it burns"),), True),
    ],
)
def test_only_the_drills_own_lever_is_released(
    tmp_path: Path, began_ago: float, reason: str, more: tuple[object, ...], stays: bool
) -> None:
    levers.pull(tmp_path, SCOPE, "abe", reason)
    levers.pull(tmp_path, "global", "anna", "in earnest")
    day = pulled(time.time() - began_ago, time.time(), "abe", *more)
    drill.release(day, tmp_path, drill.own(day, tmp_path))

    assert [one.scope for one in levers.all(tmp_path)] == ["global"] + ([SCOPE] if stays else [])


def test_a_child_is_seen_alive_whoever_started_it(tmp_path: Path) -> None:
    folder = Folder(tmp_path, "day-1")
    folder.make(Setting("f", "", "r", "/"))
    starter = (
        "import fcntl, subprocess, sys\n"
        "with open(sys.argv[1], 'w+b') as lock:\n"
        "    fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "    print(subprocess.Popen(['sleep', '60'], stdin=lock, stdout=subprocess.DEVNULL, stderr=-3).pid)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", starter, str(folder.lock_of("r"))], capture_output=True, check=True, timeout=30
    )
    child = int(done.stdout)
    try:
        assert folder.lives("r"), "its starter is gone"
    finally:
        subprocess.run(["kill", "-9", str(child)], check=True)
    until = time.monotonic() + 10
    while folder.lives("r") and time.monotonic() < until:
        time.sleep(0.05)
    assert not folder.lives("r")
    assert not folder.lives("another")
