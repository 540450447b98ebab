"""A guardian that was frozen reads what came meanwhile before it takes its runner for silent."""

from __future__ import annotations

import socket

import anyio
import pytest

from chaos_runner import wire
from chaos_runner.guardian import Guardian
from chaos_runner.records import Target
from chaos_runner.store import FaultRow

pytestmark = pytest.mark.anyio
TTL_S = 0.2
ROW = FaultRow(
    id="r.0", run="r", n=0, epoch=1, step=0, kind="noop", version=1, target=Target("noop/a"), aspect="noop", undo={},
    reversible=True, expires_at=0.0,
)  # fmt: skip


class Sleepy(Guardian):
    """Is cut off as if its process had been stopped: the time is over before it could read."""

    naps = 1

    async def receive(self) -> wire.Message | None:
        if self.naps:
            self.naps -= 1
            await anyio.sleep_forever()
        return await super().receive()


def armed(line: socket.socket) -> Sleepy:
    line.setblocking(False)
    guardian = Sleepy(line)
    guardian.rows = {ROW.id: ROW}
    return guardian


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_beats_that_waited_while_it_slept_count() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        guardian = armed(theirs)
        ours.sendall(wire.encode(wire.Beat(tick=1)) + wire.encode(wire.Bye()))

        assert await guardian.watch(TTL_S) == ""
        assert guardian.farewell


async def test_a_runner_that_died_meanwhile_is_dead_and_not_silent() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        guardian = armed(theirs)
        ours.close()

        assert await guardian.watch(TTL_S) == "the runner died"


async def test_a_line_on_which_nothing_came_is_silence() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert await armed(theirs).watch(TTL_S) == "the runner was silent for 0.2 s"
