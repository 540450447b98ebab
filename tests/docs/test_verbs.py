"""No test is left out: what `make test` leaves to another verb is there, and CI and the pages know each verb."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
ELSEWHERE = {"CLUSTERS": "test-cluster", "DEATHS": "test-deaths", "PAGES": "test-browser"}
VERBS = re.findall(r"^(test[a-z-]*):", MAKEFILE, re.MULTILINE)


def listed(name: str) -> list[str]:
    found = re.search(rf"^{name} := (.*)$", MAKEFILE, re.MULTILINE)
    assert found is not None
    return found[1].split()


def recipe(verb: str) -> str:
    return MAKEFILE.split(f"\n{verb}: ")[1].split("\n\n")[0]


@pytest.mark.parametrize("path", [path for name in ELSEWHERE for path in listed(name)])
def test_what_is_left_to_another_verb_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(("name", "verb"), ELSEWHERE.items())
def test_what_make_test_leaves_out_one_other_verb_runs(name: str, verb: str) -> None:
    assert f"$({name})" in recipe("test")
    assert [one for one in VERBS[1:] if f" $({name}) " in recipe(one)] == [verb]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_of_tests_is_a_stage_of_ci_and_is_explained(verb: str) -> None:
    assert f'stage "{verb}" tests {verb}\n' in (ROOT / ".ci" / "run").read_text("utf-8")
    for page in ("tests/README.md", "CONTRIBUTING.md"):
        assert f"`make {verb}`" in (ROOT / page).read_text("utf-8"), page
