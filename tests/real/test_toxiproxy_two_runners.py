"""Several runners on one target or in one folder: one runs, the others say who holds it; two faults are never seen."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.toxibench import ROOT, Ground, Observer, Runner

pytestmark = pytest.mark.real
OVERLAP_S = 1.0  # of runs that came at the same instant; an undo and its slack
CONFIG = """
kind: config/v1
environments:
  test:
    confirm: none
    toxiproxy: {{url: "{url}"}}
"""
EXPERIMENT = """
kind: experiment/v1
name: second
hypothesis: it is never started
steady_state:
  up:
    probe: tcp
    with: {{address: "{address}"}}
    expect: [success >= 50%]
baseline: 8s
blast_radius: {{at_once: 1, in_total: 1, max_duration: 60s}}
method:
  - fault: toxic
    target: {{proxy: p}}
    with: {{type: slicer, average_size: 100B}}
    for: 8s
    confirm: [read-back]
"""


@pytest.fixture
def ground(ground_folder: Path, request: pytest.FixtureRequest) -> Iterator[Ground]:
    with contextlib.closing(Ground(ground_folder / request.node.name)) as ground:
        yield ground


def command(ground: Ground, *words: str) -> subprocess.CompletedProcess[str]:
    """`chaos-runner` as a person in the ground's folder says it."""
    (ground.folder / "chaos-runner.yaml").write_text(CONFIG.format(url=ground.url))
    (ground.folder / "e.yaml").write_text(EXPERIMENT.format(address=ground.found["p"]["listen"]))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    argv = [sys.executable, "-m", "chaos_runner", *words]
    return subprocess.run(argv, cwd=ground.folder, env=env, capture_output=True, text=True, timeout=60, check=False)


def runs_of(harm: list[str]) -> set[str]:
    return {name.split(".")[1] for name in harm}


def overlaps(observer: Observer) -> list[float]:
    """For how long more than one run's fault was seen, each time."""
    found, begun = [], None
    for at, harm in observer.seen:
        if len(runs_of(harm)) > 1:
            begun = at if begun is None else begun
        elif begun is not None:
            found.append(at - begun)
            begun = None
    return found


@pytest.mark.parametrize("folder", ["state", "other"], ids=["same folder", "other folder"])
def test_a_second_run_is_not_started_and_says_in_one_sentence_who_holds_the_target(folder: str, ground: Ground) -> None:
    with Observer(ground.harm) as observer:
        first = ground.run("run-1").injected()
        second = command(ground, "run", "e.yaml", "--no-report", "--state", str(ground.folder / folder))
        assert ground.harm() == ["cx.run-1.0.4102444800"]
        first.ask()
        first.said()
    assert second.returncode == 3, second
    (sentence, *hints) = (second.stdout + second.stderr).strip().splitlines()
    assert sentence.startswith("not started: "), second
    assert "run-1" in sentence
    assert len(hints) <= 1
    if folder == "other":
        assert "proxy/p is held by run run-1: its latency toxic (cx.run-1.0.4102444800)" in sentence
        assert sentence.endswith("chaos-runner recover in that run's folder, or chaos-runner janitor -e test")
    assert set(itertools.chain(*(runs_of(harm) for _at, harm in observer.seen))) == {"run-1"}


def test_of_four_that_start_at_once_one_runs_and_the_others_say_who_does(ground: Ground) -> None:
    with Observer(ground.harm) as observer:
        started = [
            ground.run(f"run-{n}", kind, folder=folder)
            for n, (kind, folder) in enumerate(
                [("latency", "here"), ("bandwidth", "here"), ("latency", "there"), ("bandwidth", "elsewhere")]
            )
        ]
        said = {runner.name: first_words(runner) for runner in started}
        running = [name for name, (word, _why) in said.items() if word == "INJECTED"]
        assert len(running) <= 1, said
        assert len(running) == 1 or any(word == "UNKNOWN" for word, _why in said.values()), said
        for runner in started:
            if runner.name in running:
                runner.ask()
        codes = {runner.name: runner.process.wait(30) for runner in started}
    assert set(codes.values()) == {3}
    for name, (word, why) in said.items():
        if word != "INJECTED":
            assert any(other in why for other in said if other != name), f"{name} does not say who: {word} {why}"
    assert ground.harm() == []
    took = overlaps(observer)
    assert all(one < OVERLAP_S for one in took)
    assert not took or any(word == "UNKNOWN" for word, _why in said.values()), "two faults at once that nobody doubted"


def first_words(runner: Runner) -> tuple[str, str]:
    """INJECTED, UNKNOWN, CLOSED or refused; and why."""
    while True:
        line = runner.said()
        if "refused" in line:
            return "refused", line["refused"]
        if "state" in line:
            return line["state"], line["why"]


def test_a_place_is_free_again_when_its_run_has_ended(ground: Ground) -> None:
    first = ground.run("run-1").injected()
    first.ask()
    assert first.said()["state"] == "CLOSED"
    assert first.process.wait(20) == 3
    ground.run("run-2", "proxy_down", folder="other").injected()
    assert ground.harm() == ["p"]
