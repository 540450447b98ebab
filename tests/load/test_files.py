"""Files: what can be read, which kind it is, and checks that several files share."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from chaos_runner.config import Config
from chaos_runner.load import Invalid, load
from chaos_runner.model import Experiment
from tests.load.kit import GOOD, KINDS, PARSERS, Watch

SHARED = """\
kind: checks/v1
checks:
  shoppers:
    probe: http
    with: {service: shop}
    expect: [success >= 99%]
  worse:
    probe: http
    with: {service: shop, pth: /}
    expect: [success >= 99%]
  chained: {use: "shop.yaml#shoppers"}
  scalar: 7
"""


def problems(path: Path | str, *types: Any, **more: Any) -> list[str]:
    with pytest.raises(Invalid) as caught:
        load(path, *(types or (Experiment,)), kinds=KINDS, parsers=PARSERS, **more)
    folder = f"{Path(path).parent}/"
    return [str(problem).replace(folder, "") for problem in caught.value.problems]


@pytest.fixture(name="project")
def _project(tmp_path):
    (tmp_path / "experiments" / "checks").mkdir(parents=True)
    (tmp_path / "experiments" / "checks" / "shop.yaml").write_text(SHARED)
    (tmp_path / "chaos-runner.yaml").write_text("kind: config/v1\nenvironments: {demo: {}}\n")
    return tmp_path


def watch(project: Path, check: str) -> Path:
    path = project / "experiments" / "x.yaml"
    path.write_text(f"kind: watch/v1\nsteady_state:\n  shoppers: {check}\n")
    return path


def test_a_loaded_file_keeps_its_text_its_digest_and_its_places(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(GOOD)

    loaded = load(path, Experiment, kinds=KINDS, parsers=PARSERS)

    assert loaded.value.name == "checkout-survives-slow-payments"
    assert loaded.document.text == GOOD
    assert loaded.document.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()
    assert loaded.position(("method", 0, "with", "latency")) == (35, 36)
    assert loaded.position(("method", 0, "with", "stream", "nothing")) == loaded.position(
        ("method", 0, "with", "stream")
    )


def test_the_kind_decides_the_type(project):
    assert isinstance(load(project / "chaos-runner.yaml", Experiment, Config).value, Config)


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        ("kind: experimnt/v1", "x.yaml:1:7: kind: unknown kind 'experimnt/v1'; did you mean 'experiment/v1'?"),
        ("knd: experiment/v1", "x.yaml:1:1: missing key 'kind'; write `kind: experiment/v1 or config/v1`"),
        ("kind: 1", "x.yaml:1:7: kind: expected experiment/v1 or config/v1, found the number 1"),
        ("kind: *x", "x.yaml:1:7: the alias *x is not allowed; write the value itself"),
        ("- a", "x.yaml:1:1: expected a mapping of keys and values, found a list"),
    ],
)
def test_without_a_known_kind_nothing_else_is_judged(tmp_path, head, problem):
    path = tmp_path / "x.yaml"
    path.write_text(f"{head}\n" + ("" if head.startswith("-") else "wrong: 1\n"))

    assert problems(path, Experiment, Config) == [problem]


def test_what_is_not_a_readable_file_is_a_sentence(tmp_path):
    (tmp_path / "slow.yaml").write_text("a")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    assert problems(tmp_path / "slo.yaml") == ["slo.yaml: does not exist; did you mean 'slow.yaml'?"]
    assert problems(tmp_path / "other") == ["other: does not exist"]
    assert problems(tmp_path / "nowhere" / "x") == ["x: does not exist"]
    assert problems(tmp_path / "pipe") == ["pipe: is not a regular file"]
    assert problems(tmp_path) == [f"{tmp_path.name}: is a folder; name a file in it"]
    assert "symbolic links" in problems(tmp_path / "loop")[0]
    assert problems("/dev/zero") == ["zero: is not a regular file"]
    assert problems("a\0b") == ["a\\x00b: is not a file name"]


def test_a_huge_file_is_refused_without_reading_it_whole(tmp_path):
    path = tmp_path / "x.yaml"
    with path.open("wb") as file:
        file.truncate(10**12)

    assert problems(path) == ["x.yaml: 1048577 bytes are too many; at most 1048576 (1 MiB) are read"]


def test_a_shared_check_is_put_where_it_is_used(project):
    path = watch(project, "{use: checks/shop.yaml#shoppers, expect: [p95 <= 1s]}")

    loaded = load(path, Watch, kinds=KINDS, parsers=PARSERS)

    check = loaded.value.steady_state["shoppers"]
    assert check.with_["service"] == "shop"
    assert [clause.text for clause in check.expect] == ["p95 <= 1s"]
    assert [(Path(file).name, digest) for file, digest in ((used.file, used.sha256) for used in loaded.shared)] == [
        ("shop.yaml", hashlib.sha256(SHARED.encode()).hexdigest())
    ]


@pytest.mark.parametrize(
    ("use", "sentence"),
    [
        ("checks/shop.yaml#shopers", "unknown check 'shopers'; did you mean 'shoppers'? (in checks/shop.yaml)"),
        ("checks/shp.yaml#shoppers", "checks/shp.yaml does not exist; did you mean 'checks/shop.yaml'?"),
        ("checks/shop.yaml#chained", "checks/shop.yaml#chained itself says `use`; name the check it stands for"),
        ("checks/shop.yaml", "expected FILE#NAME such as checks/shop.yaml#shoppers, found text 'checks/shop.yaml'"),
        ("/etc/passwd#a", "'/etc/passwd' is not relative; name the file relative to this one"),
        ("~/x#a", "'~/x' is not relative; name the file relative to this one"),
        ("../../x.yaml#a", "'../../x.yaml' leads out of ROOT/, where shared checks must stay"),
        ("checks#a", "checks is a folder; name a file in it"),
        ("x.yaml#a", "x.yaml is not a file of shared checks; it must say `kind: checks/v1`"),
        ("[1]", "expected FILE#NAME such as checks/shop.yaml#shoppers, found a list"),
    ],
)
def test_a_wrong_reference_is_told_where_it_stands(project, use, sentence):
    path = watch(project, f"{{use: {use}}}")

    assert problems(path, Watch) == [
        f"x.yaml:3:19: steady_state.shoppers.use: {sentence.replace('ROOT', project.name)}"
    ]


def test_a_link_cannot_lead_out_of_the_project(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "shop.yaml"
    outside.write_text(SHARED)
    (project / "experiments" / "checks" / "link.yaml").symlink_to(outside)

    assert "leads out of" in problems(watch(project, "{use: checks/link.yaml#shoppers}"), Watch)[0]


def test_a_problem_inside_a_shared_file_carries_that_files_place(project):
    path = watch(
        project, "{use: checks/shop.yaml#worse, during: [p95 < 1z, success]}\n  again: {use: checks/shop.yaml#worse}"
    )

    with pytest.raises(Invalid) as caught:
        load(path, Watch, kinds=KINDS, parsers=PARSERS)

    shared, own = caught.value.problems[1], caught.value.problems[0]
    assert len(caught.value.problems) == 2
    assert own.path == "steady_state.shoppers.during[1]"
    assert str(shared).endswith("checks/shop.yaml:9:27: checks.worse.with.pth: unknown key 'pth'; did you mean 'path'?")
    assert "    9 |     with: {service: shop, pth: /}" in caught.value.text()


def test_a_shared_file_that_cannot_be_parsed_is_reported_once(project):
    (project / "experiments" / "checks" / "bad.yaml").write_text("kind: checks/v1\na: b: c\n")
    path = watch(project, "{use: checks/bad.yaml#a}\n  other: {use: checks/bad.yaml#b}")

    (problem,) = problems(path, Watch)
    assert problem.startswith("checks/bad.yaml:2:5: a ':' is not expected here")


def test_only_expectations_can_be_laid_over_a_shared_check(project):
    path = watch(project, "{use: checks/shop.yaml#shoppers, probe: http}")

    assert problems(path, Watch) == [
        "x.yaml:3:46: steady_state.shoppers: 'probe' cannot stand beside `use`; only expect and during can"
    ]


def test_a_shared_check_of_the_wrong_form_is_told_in_its_file(project):
    (problem,) = problems(watch(project, "{use: checks/shop.yaml#scalar}"), Watch)

    assert problem == "checks/shop.yaml:12:11: checks.scalar: expected a mapping, found the number 7"


def test_no_more_than_a_few_shared_files_are_read(project):
    many = "\n".join(f"  c{n}: {{use: f{n}.yaml#a}}" for n in range(40))

    assert sum("more than 32 files" in line for line in problems(watch(project, "{use: x#y}\n" + many), Watch)) == 9
