"""The worker as a process and its pipe: it obeys one runner and never outlives it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

import anyio
import pytest

from chaos_runner import wire
from chaos_runner.worker import client
from chaos_runner.worker.session import EXIT_ALONE, EXIT_DONE, EXIT_REFUSED, Outbox, Session

S = 1_000_000_000
CLAUSES = (wire.LoadClause("success"),)


def plan(port: int, **with_) -> wire.LoadPlan:
    return wire.LoadPlan("c", "127.0.0.1", port, 50, 1.0, CLAUSES, tick_s=0.1, **with_)


class Clock:
    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


async def ended(says: list[bytes], *, after_s: float = 0, close: bool = False) -> tuple[int, str]:
    """How a session ends that hears this, on a clock that then jumps."""
    clock = Clock()
    inbox, outbox = os.pipe(), os.pipe()
    try:
        session = Session(inbox[0], outbox[1], "asyncio", clock)
        for line in says:
            os.write(inbox[1], line)
        await asyncio.sleep(0.05)
        clock.now_ns = int(after_s * S)
        if close:
            os.close(inbox[1])
        return await asyncio.wait_for(session.over, 5)
    finally:
        asyncio.get_running_loop().remove_reader(inbox[0])
        for fd in (inbox[0], *outbox, *(() if close else (inbox[1],))):
            os.close(fd)


def test_the_end_of_the_pipe_ends_the_worker():
    assert asyncio.run(ended([], close=True)) == (EXIT_DONE, "")


def test_ten_seconds_without_a_word_end_the_worker():
    code, why = asyncio.run(ended([wire.encode(wire.Beat(1))], after_s=10.1))

    assert code == EXIT_ALONE
    assert "no word" in why


def test_stop_before_a_load_ends_the_worker():
    assert asyncio.run(ended([wire.encode(wire.Stop())]))[0] == EXIT_DONE


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b'{"type":"Hello"}\n',
        wire.encode(wire.Load(plan(1), t0_ns=0, version=99)),
        wire.encode(wire.Load(plan(1, path="no slash"), t0_ns=0)),
        wire.encode(wire.Load(plan(1), t0_ns=9 * S)) * 2,
    ],
)
def test_what_cannot_be_obeyed_is_refused_with_a_sentence(line):
    code, why = asyncio.run(ended([line]))

    assert code == EXIT_REFUSED
    assert why.startswith("load not started: ")


def test_a_reader_that_stops_reading_is_noticed_and_never_waited_for():
    clock, (reading, writing) = Clock(), os.pipe()
    os.set_blocking(writing, False)
    outbox = Outbox(writing, clock)
    clock.now_ns = S
    for _ in range(40):
        outbox.put(wire.Beat(10**3000))
    assert not outbox.overdue()

    clock.now_ns = 12 * S

    assert outbox.overdue()
    os.read(reading, 65536)
    outbox.flush()
    assert not outbox.overdue()
    for fd in (reading, writing):
        os.close(fd)


# --- with the real process -------------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@BOTH
def test_a_load_is_measured_and_nothing_is_left(backend, port):
    async def run() -> tuple[list[wire.Tick], int]:
        ticks: list[wire.Tick] = []
        with anyio.fail_after(20):
            async with client.spawn() as worker, anyio.create_task_group() as tasks:

                async def listen() -> None:
                    ticks.extend([tick async for tick in worker.ticks()])

                await worker.start(plan(port))
                tasks.start_soon(listen)
                await anyio.sleep(0.5)
                await worker.beat()
                await worker.stop()
        return ticks, worker.pid

    ticks, pid = anyio.run(run, backend=backend)

    assert not alive(pid)
    assert [t.n for t in ticks if t.last] == list(range(len(ticks)))
    assert sum(t.scheduled for t in ticks) >= 20
    assert sum(sum(t.counts[0]) for t in ticks) == sum(t.scheduled for t in ticks)
    assert sum(t.counts[0][1] for t in ticks) == 0


@BOTH
def test_cancelling_leaves_no_worker_even_a_frozen_one(backend, port):
    async def run() -> tuple[int, float]:
        with anyio.move_on_after(0.2) as scope:
            scope.deadline = anyio.current_time() + 20
            async with client.spawn() as worker:
                await worker.start(plan(port))
                os.kill(worker.pid, signal.SIGSTOP)
                began = time.monotonic()
                scope.cancel()
                await anyio.sleep(10)
        return worker.pid, time.monotonic() - began

    pid, took_s = anyio.run(run, backend=backend)

    assert not alive(pid)
    assert took_s < 2.5


@BOTH
def test_a_worker_that_dies_says_why(backend):
    async def run() -> None:
        with anyio.fail_after(20):
            async with client.spawn() as worker:
                await worker.start(plan(1, path="no slash"))
                async for _ in worker.ticks():
                    pass

    with pytest.raises(client.WorkerDied, match=r"ended with 2: load not started: .*'no slash'"):
        anyio.run(run, backend=backend)


@BOTH
def test_a_worker_that_was_killed_is_no_end_of_the_load(backend, port):
    async def run() -> None:
        with anyio.fail_after(20):
            async with client.spawn() as worker:
                await worker.start(plan(port))
                os.kill(worker.pid, signal.SIGKILL)
                async for _ in worker.ticks():
                    pass

    with pytest.raises(client.WorkerDied, match="ended with -9"):
        anyio.run(run, backend=backend)


def test_a_worker_never_outlives_a_killed_runner(port):
    code = (
        "import anyio, sys\n"
        "from chaos_runner.worker import client\n"
        "async def main():\n"
        "    async with client.spawn() as worker:\n"
        "        print(worker.pid, flush=True)\n"
        "        await anyio.sleep(60)\n"
        "anyio.run(main)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as runner:
        pid = int(runner.stdout.readline())
        assert alive(pid)
        runner.kill()
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)

    assert not alive(pid)


def test_the_worker_needs_nothing_of_the_package_but_wire():
    code = "import sys, chaos_runner.worker.__main__; print(*sorted(m for m in sys.modules))"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    ours = {n for n in names if n.startswith("chaos_runner.") and not n.startswith("chaos_runner.worker")}
    assert ours == {"chaos_runner.wire"}
    assert not {"anyio", "httpx2", "yaml", "jinja2", "rich"} & set(names)


def test_the_plain_loop_can_be_asked_for(port):
    async def run() -> tuple[str, wire.Tick]:
        async with client.spawn(("asyncio",)) as worker:
            await worker.start(plan(port))
            ticks = worker.ticks()
            first = await anext(ticks)
            await ticks.aclose()
            return worker.loop, first

    loop, tick = anyio.run(run)

    assert loop == "asyncio"
    assert tick.scheduled == 5
