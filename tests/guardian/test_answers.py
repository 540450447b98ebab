"""The runner notices a guardian that no longer answers, and does not take a nap of the whole machine for that."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import anyio
import pytest

from chaos_runner.clock import Clock, nursery
from chaos_runner.drive import ArmError
from chaos_runner.guard import GuardianError, GuardianLine, Silence
from chaos_runner.records import Target
from chaos_runner.store import FaultRow
from tests.guardian import runner
from tests.guardian.bench import TTL_S, Small
from tests.guardian.test_guardian import SLACK_S

ROW = FaultRow(
    id="r.0", run="r", n=0, epoch=1, step=0, kind="noop", version=1, target=Target("noop/a"), aspect="noop", undo={}
)

# Answers as a guardian does, but talks a lot before it says that it is armed.
TALKATIVE = """
import socket, sys; sys.path.insert(0, sys.argv[1])
from chaos_runner import wire
line, lines = socket.socket(fileno=int(sys.argv[2])), wire.Lines(wire.GuardianInbox)
while chunk := line.recv(65536):
    for message in lines.feed(chunk):
        if isinstance(message, wire.Hello):
            line.sendall(wire.encode(wire.Ready(reads=(), pid=1)))
        if isinstance(message, wire.Beat):
            line.sendall(wire.encode(wire.Heard(tick=message.tick)))
        if isinstance(message, wire.Arm):
            line.sendall(wire.encode(wire.Heard(tick=0)) * 3 + wire.encode(wire.{answer}))
"""


def silence(*asked: float) -> Silence:
    one = Silence(5.0)
    for t in asked:
        one.asked(t)
    return one


def test_answers_may_be_owed_for_as_long_as_a_runner_may_be_silent() -> None:
    owed = silence(1, 2, 3, 4, 5, 6)

    assert not owed.too_long(5.3)
    assert owed.too_long(5.9)


def test_any_answer_settles_all() -> None:
    owed = silence(1, 2, 3, 4, 5, 6)
    owed.answered()
    owed.asked(7)

    assert not owed.too_long(12.0)


def test_a_machine_that_slept_gives_both_time_to_wake_up() -> None:
    assert not silence(1, 3600).too_long(3600)
    assert silence(1, 3600, 3601).too_long(3601)


def test_who_was_never_asked_is_not_silent() -> None:
    assert not silence().too_long(1e9)


def test_a_frozen_guardian_is_noticed_and_the_runner_undoes_itself(bench: Small) -> None:
    os.kill(bench.guardian, signal.SIGSTOP)
    took = bench.clean_after(TTL_S + 1 + SLACK_S)

    assert took > TTL_S / 2
    assert bench.heard() == {"state": "CLOSED"}
    os.kill(bench.guardian, signal.SIGCONT)
    assert bench.guardian_gone()


def test_a_guardian_that_answers_is_not_given_up(bench: Small) -> None:
    time.sleep(TTL_S + 1)

    assert bench.toxics()


def test_the_log_of_a_guardian_that_died_without_a_word_is_removed(bench: Small) -> None:
    os.kill(bench.guardian, signal.SIGKILL)

    assert bench.process.wait(10) == 0
    assert not list(bench.state.glob("*.log"))


@pytest.mark.parametrize(("answer", "well"), [("Armed(id='r.0')", True), ("Armed(id='r.1')", False)])
def test_answers_to_beats_are_not_taken_for_the_answer_to_arm(tmp_path: Path, answer: str, well: bool) -> None:
    async def go() -> bool:
        env = runner.environment("http://127.0.0.1:1", None)
        line = GuardianLine(runner.hello(env, tmp_path, TTL_S, Clock().t0), tmp_path / "log")
        line.program = TALKATIVE.format(answer=answer)
        await line.start()
        try:
            for tick in range(3):
                line.beat(tick)
            async with nursery() as group:
                group.start_soon(_ticking, line)  # as the control loop does while a fault is injected
                await line.arm(ROW)
                group.cancel_scope.cancel()
            return line.alive()
        except ArmError:
            return False
        finally:
            await line.bye()

    assert anyio.run(go) is well


async def _ticking(line: GuardianLine) -> None:
    while line.alive():
        line.beat(0)
        await anyio.sleep(0)


def test_a_guardian_that_cannot_be_started_is_a_sentence(tmp_path: Path) -> None:
    async def go() -> None:
        env = runner.environment("http://127.0.0.1:1", None)
        line = GuardianLine(runner.hello(env, tmp_path, TTL_S, Clock().t0), tmp_path / "no such folder" / "log")
        with pytest.raises(GuardianError, match=r"could not be started: .*no such folder"):
            await line.start()
        await line.bye()

    anyio.run(go)


def test_nothing_is_imported_after_ready_whatever_the_undo_needs(tmp_path: Path, api: object) -> None:
    bench = Small(tmp_path / "state", api, "--audited")  # type: ignore[arg-type]
    try:
        bench.kill(signal.SIGKILL)
        bench.clean_after(1 + SLACK_S)
        bench.until(lambda ledger: ledger.run(runner.RUN).state == "ENDED")
        imports = [line.split(" import ") for line in bench.log().splitlines()]
    finally:
        bench.close()

    assert len(imports) > 100
    assert [name for t, name in imports if float(t) > bench.ready_t] == []
