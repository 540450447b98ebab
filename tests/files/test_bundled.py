"""The experiments that ship are valid, and a single mistake in one is a single problem at its place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chaos_runner import files
from chaos_runner.load import Invalid, Problem
from tests.load.mutate import mutations

EXPERIMENTS = sorted(files.bundled().glob("*.yaml"))
SEED = 20261122
EACH = 500 // len(EXPERIMENTS) + 1


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(files.bundled(), tmp_path / "experiments"))


def problems_of(path: Path) -> tuple[Problem, ...]:
    try:
        files.read_any(path)
    except Invalid as invalid:
        return invalid.problems
    return ()


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_a_bundled_experiment_is_valid(path: Path) -> None:
    assert problems_of(path) == ()


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_one_mistake_in_a_bundled_file_is_one_problem_at_its_place(path: Path, folder: Path) -> None:
    astray = []
    for made in mutations(path.read_text(encoding="utf-8"), SEED, EACH):
        mutant = folder / path.name
        mutant.write_text(made.text, encoding="utf-8", errors="surrogatepass")
        found = problems_of(mutant)
        if len(found) > 1 or any(problem.line not in made.lines for problem in found):
            astray.append((made.what, [str(problem) for problem in found], made.lines))

    assert astray == []


TWELVE = """\
kind: experiment/v1
name: Slow Payments
hypothesis: ""
steady_state:
  shoppers:
    probe: htp
    with: {url: "http://127.0.0.1:1/"}
    expect: [success >= 99%]
  visitors:
    probe: http
    with: {url: "http://127.0.0.1:1/", rate: 40}
    expect: [success >= 99%]
  browsers:
    probe: http
    with: {url: "http://127.0.0.1:1/", rate: 40/s}
    expect: [succes >= 99%, p95 <= 1]
baseline: 2s
blast_radius: {at_once: 2, in_total: 1, max_duraton: 60s}
abort: {violated_for: fast}
method:
  - fault: toxic
    target: {proxi: payments}
    with: {type: latncy, latency: 400ms}
    for: 15
recovery: {within: 30s}
"""


def test_a_file_with_twelve_mistakes_prints_twelve_problems_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(TWELVE)
    found = problems_of(path)

    assert [(problem.line, problem.path) for problem in found] == [
        (2, "name"),
        (3, "hypothesis"),
        (6, "steady_state.shoppers.probe"),
        (11, "steady_state.visitors.with.rate"),
        (16, "steady_state.browsers.expect[0]"),
        (16, "steady_state.browsers.expect[1]"),
        (17, "baseline"),
        (18, "blast_radius.max_duraton"),
        (19, "abort.violated_for"),
        (22, "method[0].target.proxi"),
        (23, "method[0].with.type"),
        (24, "method[0].for"),
    ]


def test_what_only_the_kinds_know_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    good = (files.bundled() / "redis-slow.yaml").read_text(encoding="utf-8")
    path.write_text(
        good.replace(
            "expect: [success >= 99%, p95 <= 250ms]", "expect: [succes >= 99%, p95 <= 250, p95 >= 1s]"
        ).replace("confirm: [cache p50", "confirm: [cach p50")
    )

    assert [str(problem).split(": ", 1)[1] for problem in problems_of(path)] == [
        "steady_state.cache.expect[0]: unknown metric of probe 'tcp' 'succes'; did you mean 'success'?",
        "steady_state.cache.expect[1]: 'p95 <= 250': p95 is a duration; write one such as 'p95 <= 800ms'",
        "steady_state.cache.expect[2]: 'p95 >= 1s' cannot be counted in events; write one such as 'p95 <= 800ms'",
        "method[0].confirm[0]: unknown check 'cach'; did you mean 'cache'?",
    ]
