"""Whole runs that would hit everything, and may hit few: counted on the wire by somebody who trusts no counter."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from chaos_runner import conduct
from tests import again
from tests.gates.bench import ROOT
from tests.gates.wire import Exchange, Relay
from tests.proxy import toxi

CONFIG = """
kind: config/v1
environments:
  here: {{toxiproxy: {{url: "http://127.0.0.1:{api}"}}, services: {{shop: "{shop}"}}}}
"""
EXPERIMENT = """
kind: experiment/v1
name: few
hypothesis: whoever is not among the few that may be hit notices nothing
steady_state:
  users:
    probe: http
    with: {{service: shop, rate: 40/s, timeout: 4s}}
    expect: [success >= 95%]
baseline: 6s
blast_radius: {{at_once: 1, in_total: 1, max_duration: 60s}}
method:
  - name: few are hit
    fault: {fault}
    target: {{proxy: p}}
    with: {{{fields}}}
    for: 12s
recovery: {{within: 20s}}
"""
LATE_S = 0.8
CASES = {
    "connections": ("toxic", f"type: latency, latency: {LATE_S}s, max_affected: 3", 3),
    "requests": ("http_error", "status: 503, max_affected: 4", 4),
}


class Answering(BaseHTTPRequestHandler):
    """Answers at once, and keeps the connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


class Ran(NamedTuple):
    """What a run said, what was seen on the wire, and what its report says."""

    code: int
    said: str
    exchanges: list[Exchange]
    requests: int
    figures: dict[str, float]
    report: str
    again: str = ""


@contextlib.contextmanager
def shop() -> Iterator[int]:
    server = ThreadingHTTPServer((toxi.LOOP, 0), Answering)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def ran(folder: Path, fault: str, fields: str) -> Ran:
    folder.mkdir()
    api = toxi.start_embedded(folder / "log")
    try:
        with shop() as port, Relay(toxi.port_of(api.make("p", f"{toxi.LOOP}:{port}"))) as relay:
            (folder / "chaos-runner.yaml").write_text(CONFIG.format(api=api.port, shop=relay.url))
            (folder / "e.yaml").write_text(EXPERIMENT.format(fault=fault, fields=fields))
            argv = [sys.executable, "-m", "chaos_runner", "run", "e.yaml", "--reports", "reports", "-o", "json"]
            env = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
            done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)
            assert done.stdout, done.stderr
            run = json.loads(done.stdout)["run"]
            past, page = conduct.past(run, folder / ".chaos-runner"), folder / "reports" / f"{run}.html"
            evidence = past.evidence[0].figures if past.evidence else {}
            return Ran(done.returncode, done.stderr, relay.exchanges, relay.requests, evidence, page.read_text())
    finally:
        toxi.stop(api)


def measured(folder: Path, fault: str, fields: str) -> Ran:
    """As `ran`, once more where too little was measured."""
    result, why = again.once(
        lambda n: ran(folder.with_name(f"{folder.name}-{n}"), fault, fields), lambda ran: (ran.code, ran.said)
    )
    return result._replace(again=why)


@pytest.fixture(scope="module")
def results(ground: Path) -> Iterator[dict[str, Future[Ran]]]:
    """Both at once: a run mostly waits."""
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(measured, ground / name, fault, fields) for name, (fault, fields, _) in CASES.items()}


def affected(exchanges: list[Exchange]) -> set[int]:
    """The connections that were slow for a while: a machine that is slow by itself is so with all of them."""
    slow = {one.connection: [] for one in exchanges if one.took > LATE_S * 0.95}  # type: dict[int, list[Exchange]]
    for number in slow:
        mine = [one for one in exchanges if one.connection == number]
        late = [one for one in mine if one.took > LATE_S * 0.95]
        among = [one for one in mine if late[0].began <= one.began <= late[-1].began]
        slow[number] = late if 2 * len(late) > len(among) else []
    return {number for number, late in slow.items() if late}


Note = Callable[[str, object], None]


def of(results: dict[str, Future[Ran]], case: str, note: Note) -> Ran:
    result = results[case].result()
    if result.again:
        note(again.NOTED, result.again)
    return result


def test_a_toxic_hits_as_many_connections_as_it_may_and_not_one_more(
    results: dict[str, Future[Ran]], record_property: Note
) -> None:
    result = of(results, "connections", record_property)

    assert result.code == 0, result.said
    assert len(affected(result.exchanges)) == CASES["connections"][2]
    assert len({one.connection for one in result.exchanges}) > CASES["connections"][2]


def test_a_fault_of_requests_hits_as_many_as_it_may_and_not_one_more(
    results: dict[str, Future[Ran]], record_property: Note
) -> None:
    result = of(results, "requests", record_property)

    assert result.code == 0, result.said
    assert sum(one.status == 503 for one in result.exchanges) == CASES["requests"][2]
    assert len(result.exchanges) > 500


@pytest.mark.parametrize("case", CASES)
def test_the_report_tells_what_was_allowed_and_what_was_hit(case: str, results: dict[str, Future[Ran]]) -> None:
    result, most = results[case].result(), CASES[case][2]

    assert result.figures["hits" if case == "requests" else "affected"] == most
    assert "hit by few are hit" in result.report
    assert f"{most} {case}</td>" in result.report
    assert f"{most} when last counted</td>" in result.report
    assert f", of at most {most} allowed" in result.report
