"""Laws of signals, over a real socket: only a clear yes is one, and each is asked once for a service at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from chaos_runner.environment import Environment, Gates, Signal
from chaos_runner.scheduler.gates import Asked
from chaos_runner.scheduler.signals import FRESH_S, NAMES, Signals
from chaos_runner.store import Reading
from tests.proxy.toxi import LOOP, free_port

ASKED = Asked("slow", "slow-payments", "demo", "shop", 0.0)


@contextlib.contextmanager
def server(status: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    there = ThreadingHTTPServer((LOOP, 0), Handler)
    Thread(target=there.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://{LOOP}:{there.server_port}", seen
    finally:
        there.shutdown()
        there.server_close()


def read(gates: Gates, *asked: Asked) -> list[tuple[Reading, ...]]:
    async def all_of_them() -> list[tuple[Reading, ...]]:
        async with Signals() as signals:
            environment = Environment(gates=gates)
            return list(await asyncio.gather(*(signals.read(one, environment) for one in asked or (ASKED,))))

    return asyncio.run(all_of_them())


def external(gates: Gates) -> Reading:
    [readings] = read(gates)
    return readings[NAMES.index("external")]


@pytest.mark.parametrize(
    ("status", "body", "ok", "why"),
    [
        (200, b'{"ok": true}', True, ""),
        (200, b'{"ok": true, "reason": "go", "more": 1}', True, ""),
        (200, b'{"ok": false, "reason": "release day"}', False, "release day"),
        (200, b'{"ok": false}', False, "it said no"),
        (200, b'{"ok": 1}', False, "not answer"),
        (200, b'{"ok": "true"}', False, "not answer"),
        (200, b"{}", False, "not answer"),
        (200, b"yes", False, "not answer"),
        (200, b"", False, "not answer"),
        (200, b'{"ok": true' + b" " * 70_000 + b"}", False, "no answer"),
        (500, b'{"ok": true}', False, "it answered 500"),
        (302, b'{"ok": true}', False, "it answered 302"),
    ],
)
def test_only_a_clear_yes_is_a_yes(status: int, body: bytes, ok: bool, why: str) -> None:
    with server(status, body) as (url, _):
        reading = external(Gates(external=Signal(url=url)))

    assert reading.ok is ok
    assert why in reading.why


def test_a_gate_that_nobody_answers_is_a_no() -> None:
    reading = external(Gates(external=Signal(url=f"http://{LOOP}:{free_port()}")))

    assert (reading.ok, reading.value) == (False, "no answer")


def test_a_signal_that_nobody_configured_is_a_no_and_one_not_used_keeps_its_reason() -> None:
    nobody = external(Gates())
    assert (nobody.ok, nobody.value) == (False, "not configured")
    assert "gates.external" in nobody.why
    reading = external(Gates(external=Signal(not_used="we have none")))
    assert (reading.ok, reading.value) == (True, "not used: we have none")


@pytest.mark.parametrize(("status", "ok"), [(200, True), (204, True), (503, False)])
def test_a_health_page_counts_by_its_status(status: int, ok: bool) -> None:
    with server(status, b"") as (url, _):
        assert external(Gates(external=Signal(answers=url))).ok is ok


def test_each_signal_is_asked_once_for_a_service_at_an_instant() -> None:
    many = [Asked(f"s{n}", "x", "demo", f"service{n % 3}", 0.0) for n in range(60)]
    with server(200, b'{"ok": true}') as (url, seen):
        answers = read(Gates(external=Signal(url=url + "/{service}")), *many)

    assert sorted(seen) == ["/service0", "/service1", "/service2"]
    assert all(readings[-1].ok for readings in answers)


def test_an_answer_counts_for_two_seconds_and_is_then_asked_for_again() -> None:
    async def thrice(url: str) -> list[float]:
        async with Signals() as signals:
            environment = Environment(gates=Gates(external=Signal(url=url)))
            seen = [(await signals.read(ASKED, environment))[-1] for _ in range(2)]
            await asyncio.sleep(FRESH_S + 0.1)
            seen.append((await signals.read(ASKED, environment))[-1])
            return [one.asked_at for one in seen]

    with server(200, b'{"ok": true}') as (url, asked):
        first, second, third = asyncio.run(thrice(url))

    assert len(asked) == 2
    assert first == second
    assert third >= first + FRESH_S
