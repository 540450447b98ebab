"""Whole runs from the command line against a real Toxiproxy whose operator allows an HTTP stage, or does not."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.stagebench import Site, asked, ended, kill
from tests.real.toxibench import ROOT, waited

pytestmark = pytest.mark.real
CONFIG = """
kind: config/v1
environments:
  test:
    confirm: none
    toxiproxy: {{url: "{url}"{stage}}}
"""
EXPERIMENT = """
kind: experiment/v1
name: some-errors
hypothesis: whoever asks again gets an answer
steady_state:
  users:
    probe: http
    with: {{url: "http://127.0.0.1:{front}/orders", rate: 20/s, timeout: 2s}}
    expect: [success >= 50%]
baseline: 6s
blast_radius: {{at_once: 1, in_total: 1, max_duration: 60s}}
method:
  - name: some orders fail
    fault: http_error
    target: {{proxy: p}}
    with: {{status: 503, share: 20%}}
    for: 12s
recovery: {{within: 30s}}
"""
ALLOWED = ", http_stage: 127.0.0.1"


@pytest.fixture
def site(ground_folder: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    with contextlib.closing(Site(ground_folder / request.node.name)) as site:
        (site.folder / "e.yaml").write_text(EXPERIMENT.format(front=site.front))
        yield site


def start(site: Site, *words: str, stage: str = ALLOWED) -> subprocess.Popen[str]:
    """`chaos-runner` as a person in the site's folder says it."""
    (site.folder / "chaos-runner.yaml").write_text(CONFIG.format(url=site.url, stage=stage))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    argv = [sys.executable, "-m", "chaos_runner", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, cwd=site.folder, env=env, stdout=pipe, stderr=pipe, text=True)


def command(site: Site, *words: str, stage: str = ALLOWED) -> tuple[int, str]:
    with start(site, *words, stage=stage) as process:
        out, said = process.communicate(timeout=120)
        return process.returncode, out + said


def test_the_plan_says_what_a_stage_means_and_starts_none(site: Site) -> None:
    code, said = command(site, "plan", "e.yaml")

    assert code == 0, said
    assert "proxy/p: http_error reaches its requests through an HTTP stage on this machine" in said
    assert "its live connections are dropped when that begins and when it ends" in said
    assert "undo layers  runner, guardian, lease" in said
    assert site.proxies() == site.found


def test_where_the_operator_does_not_allow_it_the_plan_is_refused(site: Site) -> None:
    code, said = command(site, "plan", "e.yaml", stage="")

    assert code == 3
    assert said.startswith("not started: proxy/p: http_error needs the embedded proxy")
    assert "`http_stage:` beside this Toxiproxy's url" in said


def test_a_run_tells_how_many_requests_its_stage_hit_and_leaves_nothing(site: Site) -> None:
    with start(site, "run", "e.yaml", "--state", "state", "-o", "json") as process:
        out, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "HELD" in json.loads(out).values(), out
    report = max((site.folder / "reports").rglob("*.html"), key=lambda file: file.stat().st_size).read_text()
    assert "were answered 503, by its HTTP stage" in report
    assert site.proxies() == site.found
    assert asked(site.front) == 200


def test_a_run_from_another_folder_is_told_who_has_the_proxy(site: Site) -> None:
    runner = site.staged()
    code, said = command(site, "run", "e.yaml", "--no-report", "--state", "other")
    assert code == 3
    assert "proxy/p is held by run run-1: its HTTP stage (cx.run-1.0.4102444800)" in said
    assert asked(site.front) == 503
    runner.ask()
    assert runner.said()["state"] == "CLOSED"
    assert ended(runner.stage["pid"], 10)


def test_a_janitor_without_the_ledger_finds_the_way_back_of_a_stage_that_is_dead_too(site: Site) -> None:
    runner = site.staged()
    for pid in (runner.stage["pid"], runner.guardian, runner.process.pid):
        kill(pid, signal.SIGKILL)
    runner.kill()
    assert asked(site.front) == 0

    code, said = command(site, "janitor", "-e", "test", "--ledger-lost", "--state", "other")
    assert code == 0, said
    assert asked(site.front) == 200
    assert site.harm() == []
    assert [name for name in site.left() if name.endswith((".stage", ".trial"))] == []
    assert waited(lambda: site.leads() == site.upstream, 1, "it leads elsewhere") < 1
