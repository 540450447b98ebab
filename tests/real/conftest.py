"""A real Redis behind a real Toxiproxy, and a folder from which a person would run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from chaos_runner import files
from chaos_runner.pocket import world
from tests.demo import observer
from tests.proxy import toxi

CONFIGURATION = """\
kind: config/v1
environments:
  cache:
    toxiproxy: {{url: "http://127.0.0.1:{api}"}}
    services: {{redis: "127.0.0.1:{front}"}}
"""
QUICKER = {"rate: 20/s": "rate: 50/s", "baseline: 15s": "baseline: 7s", "for: 20s": "for: 9s"}
TIGHTER = {"p95 <= 250ms": "p95 <= 50ms"}
RUN_WITHIN_S = 120.0


class Ran(NamedTuple):
    """One run of experiments/redis-slow.yaml, and what was there afterwards."""

    answer: dict[str, Any]
    code: int
    said: str
    toxics: list[str]
    open_rows: list[str]
    fastest_pong_ms: float
    connections: int


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[int]:
    """The port of a Redis that keeps nothing."""
    server = shutil.which("redis-server")
    assert server is not None
    port = toxi.free_port()
    with (folder / "redis.log").open("wb") as log:
        argv = [server, "--port", str(port), "--bind", toxi.LOOP, "--save", "", "--dir", str(folder)]
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        toxi.wait_until(lambda: toxi.can_connect(port))
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


@contextlib.contextmanager
def proxied(folder: Path, port: int) -> Iterator[tuple[toxi.Api, int]]:
    """A real Toxiproxy with a proxy `redis`, and the port of that."""
    api = toxi.start_real(folder / "toxiproxy.log")
    try:
        yield api, observer.port_of(api.make("redis", f"{toxi.LOOP}:{port}")["listen"])
    finally:
        toxi.stop(api)


@contextlib.contextmanager
def running(folder: Path, edits: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """`chaos-runner run` on the bundled file with these edits."""
    file = folder / "redis-slow.yaml"
    text = (files.bundled() / file.name).read_text(encoding="utf-8")
    for old, new in edits.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
    argv = [
        sys.executable,
        "-P",
        "-m",
        "chaos_runner",
        "run",
        str(file),
        "--state",
        str(folder / "state"),
        "-o",
        "json",
    ]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=world.environment()
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()  # it undoes first


def say(port: int, command: bytes) -> bytes:
    """One piece of what Redis answers."""
    with socket.create_connection((toxi.LOOP, port), timeout=5) as line:
        line.sendall(command)
        return line.recv(65536)


def pong_ms(port: int) -> float:
    """How long one PING takes."""
    began = time.monotonic()
    assert say(port, b"PING\r\n") == b"+PONG\r\n"
    return (time.monotonic() - began) * 1000


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """The bundled experiment and a tightened copy, side by side on servers of their own."""
    missing = [] if toxi.REAL.exists() else [f"no Toxiproxy server at {toxi.REAL}"]
    missing += [] if shutil.which("redis-server") else ["no redis-server"]
    if missing:
        reason = f"{' and '.join(missing)}: `make real` installs both"
        (pytest.fail if os.environ.get("REQUIRE_REAL") == "1" else pytest.skip)(reason)
    found = {}
    with contextlib.ExitStack() as stack:
        started = {}
        for name, edits in {"as it is": QUICKER, "tightened": QUICKER | TIGHTER}.items():
            folder = tmp_path_factory.mktemp("redis")
            port = stack.enter_context(redis(folder))
            api, front = stack.enter_context(proxied(folder, port))
            (folder / "chaos-runner.yaml").write_text(CONFIGURATION.format(api=api.port, front=front))
            started[name] = folder, port, api, front, stack.enter_context(running(folder, edits))
        for name, (folder, port, api, front, process) in started.items():
            found[name] = _seen(process, folder, port, api, front)
    return found


def _seen(process: subprocess.Popen[str], folder: Path, port: int, api: toxi.Api, front: int) -> Ran:
    out, said = process.communicate(timeout=RUN_WITHIN_S)
    info = dict(line.split(":", 1) for line in say(port, b"INFO stats\r\n").decode().splitlines() if ":" in line)
    return Ran(
        answer=json.loads(out) if out.strip() else {},
        code=process.returncode,
        said=said,
        toxics=observer.harm(f"http://{toxi.LOOP}:{api.port}"),
        open_rows=observer.open_rows(folder / "state"),
        fastest_pong_ms=min(pong_ms(front) for _ in range(20)),
        connections=int(info["total_connections_received"]),
    )


@pytest.fixture(scope="module")
def ground_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the cases of a module have their servers; only where there is a real one."""
    if not toxi.REAL.exists():
        reason = f"no Toxiproxy server at {toxi.REAL}: build it with `make real` or set TOXIPROXY_SERVER"
        (pytest.fail if os.environ.get("REQUIRE_REAL") == "1" else pytest.skip)(reason)
    return tmp_path_factory.mktemp("toxiproxy")
