"""The tcp, command and process probes."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from chaos_runner import expect
from chaos_runner.api import Env, Refused, Unknown
from chaos_runner.environment import Environment, ProcessRef
from chaos_runner.probes.command import CommandProbe
from chaos_runner.probes.process import ProcessProbe
from chaos_runner.probes.tcp import TcpProbe
from chaos_runner.records import Sample

pytestmark = pytest.mark.anyio
CLAUSES = (expect.clause("success >= 99%"), expect.clause("p95 <= 200ms"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Echo:
    """Answers what it is told, after a while, to every line."""

    def __init__(self) -> None:
        self.answer = b"+PONG\r\n"
        self.wait_s = 0.0
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self.threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                if connection.recv(1000):
                    time.sleep(self.wait_s)
                    connection.sendall(self.answer)
                    connection.recv(1)
            except OSError:
                return

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(5)


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


def ping(echo: Echo, **more: object) -> TcpProbe:
    return TcpProbe(address=echo.address, send="PING\r\n", expect="+PONG", **more)  # type: ignore[arg-type]


async def test_a_connection_that_answers_as_wanted_is_a_success(echo: Echo) -> None:
    said = await ping(echo).read(Env("e", Environment()))
    assert said.values["success"] is True
    assert said.values["latency"] == said.latency_s


async def test_a_connection_alone_is_enough_where_nothing_is_expected(echo: Echo) -> None:
    said = await TcpProbe(service="redis").read(Env("e", Environment(services={"redis": echo.address})))
    assert said.values["success"] is True


@pytest.mark.parametrize("answer", [b"-ERR\r\n", b"", b"x" * 200_000])
async def test_another_answer_is_no_success(answer: bytes, echo: Echo) -> None:
    echo.answer = answer
    said = await ping(echo, timeout=0.5).read(Env("e", Environment()))
    assert said.values["success"] is False


async def test_no_connection_and_no_answer_have_no_time(echo: Echo) -> None:
    echo.wait_s = 0.8
    assert (await ping(echo, timeout=0.2).read(Env("e", Environment()))).latency_s is None
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"127.0.0.1:{gone.getsockname()[1]}"
    said = await TcpProbe(address=address).read(Env("e", Environment()))
    assert (said.values["success"], said.latency_s) == (False, None)
    assert "refused" in said.values["error"]


async def test_tcp_at_a_rate_is_open_loop_and_counts_every_attempt(echo: Echo) -> None:
    echo.wait_s = 0.5  # far above the interval of the attempts
    probe = ping(echo, rate=20.0, timeout=2.0)
    samples: list[Sample] = []
    async with probe.stream(Env("e", Environment()), "redis", CLAUSES, time.monotonic_ns()) as stream:
        for _ in range(11):
            await anyio.sleep(0.2)
            samples += stream.take()
        samples += await stream.finish()
    assert [sample.tick for sample in samples] == sorted({sample.tick for sample in samples})
    first = samples[0]
    assert first.scheduled == 20
    assert (first.counts[0].good, first.counts[1].bad) == (20, 20)
    assert sum(sample.scheduled for sample in samples) == echo.connections
    assert all(sum((c.good, c.bad, c.unknown)) == sample.scheduled for sample in samples for c in sample.counts)


def test_tcp_fields_that_cannot_be_meant_are_problems() -> None:
    for probe in (TcpProbe(), TcpProbe(address="h:1", rate=500.0), TcpProbe(address="h:1", timeout=60.0)):
        assert list(probe.problems())
    assert not list(TcpProbe(address="h:1", rate=50.0).problems())
    with pytest.raises(Refused, match="link-local"):
        TcpProbe(address="169.254.169.254:80").reads(Env("e", Environment()))


def script(folder: Path, text: str) -> str:
    path = folder / "tell"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


async def test_a_command_tells_its_exit_its_words_and_its_json(tmp_path: Path) -> None:
    path = script(tmp_path, """echo '{"lag": {"max": 4}}'; exit 3""")
    said = await CommandProbe(argv=(path,)).read(Env("e", Environment(commands=(path,))))
    assert (said.values["exit"], said.values["json.lag.max"]) == (3, 4)
    assert said.values["stdout"] == '{"lag": {"max": 4}}'


async def test_a_command_that_cannot_tell_is_unknown(tmp_path: Path) -> None:
    path = script(tmp_path, "sleep 20")
    allowed = Env("e", Environment(commands=(path,)))
    for probe, env, words in (
        (CommandProbe(argv=(path,), timeout=0.2), allowed, "did not end"),
        (CommandProbe(argv=("/bin/true",)), allowed, "not among the commands"),
    ):
        with pytest.raises(Unknown, match=words):
            await probe.read(env)
    with pytest.raises(Refused):
        CommandProbe(argv=("/bin/true",)).reads(allowed)
    script(tmp_path, "head -c 100000 /dev/zero")
    with pytest.raises(Unknown, match="more than 65536 bytes"):
        await CommandProbe(argv=(path,)).read(allowed)


async def test_a_process_tells_how_it_is_until_it_is_gone() -> None:
    busy = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    started = int(Path(f"/proc/{busy.pid}/stat").read_text().rpartition(")")[2].split()[19])
    env = Env("e", Environment(processes={"shop": ProcessRef(pid=busy.pid, start_time=started)}))
    probe = ProcessProbe(process="shop")
    try:
        first = await probe.read(env)
        assert first.values["alive"] is True
        assert "cpu" not in first.values  # nothing to compare with yet
        await anyio.sleep(0.5)
        second = await probe.read(env)
        assert 0.05 < second.values["cpu"] < 1.5
        assert second.values["rss"] > 1_000_000
        os.kill(busy.pid, signal.SIGSTOP)
        with anyio.fail_after(5):
            while (await probe.read(env)).values["state"] != "stopped":
                await anyio.sleep(0.02)
    finally:
        busy.kill()
        busy.wait(5)
    gone = await probe.read(env)
    assert gone.values == {"alive": False, "state": "dead"}
    with pytest.raises(Refused, match="has no process 'cart'"):
        ProcessProbe(process="cart").reads(env)
    await env.aclose()
