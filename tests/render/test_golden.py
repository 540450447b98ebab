"""Reports of fixed histories, byte for byte: an old run must always render, and the same run always the same.

After a change that is meant: UPDATE_GOLDEN=1 python -m pytest tests/render/test_golden.py, then read the diff.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaos_runner.wire import Exemplar
from tests.render.conftest import RENDERERS, SUFFIX, rendered
from tests.render.tree import Page, xml_structure
from tools.sample_history import HISTORIES

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]
KEPT = [(name, kind) for name in HISTORIES for kind in ("junit", "markdown")]
KEPT += [("not_reverted", "html"), ("not_started", "html"), ("not_started", "json")]


@pytest.mark.parametrize(("name", "kind"), KEPT)
def test_a_known_history_gives_the_known_bytes(name: str, kind: str) -> None:
    path = GOLDEN / f"{name}.{SUFFIX[kind]}"
    told = rendered(HISTORIES[name](), kind)
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(told, "utf-8")

    assert path.read_text("utf-8") == told


@pytest.mark.parametrize("kind", RENDERERS)
def test_another_process_with_another_hash_seed_gives_the_same_bytes(kind: str) -> None:
    command = [sys.executable, "-m", "tools.sample_history", "aborted", "--as", kind]
    env = {**os.environ, "PYTHONHASHSEED": "4", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    found = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, timeout=60, check=True)

    assert found.stdout.decode() == rendered(HISTORIES["aborted"](), kind)


@pytest.mark.parametrize("name", HISTORIES)
def test_every_page_is_balanced_and_every_label_has_its_place(name: str) -> None:
    page = Page(rendered(HISTORIES[name]()))
    ids = [value for _, attribute, value in page.attributes if attribute == "id"]
    wanted = [one for _, attribute, value in page.attributes if attribute == "aria-labelledby" for one in value.split()]
    wanted += [value.removeprefix("#") for _, attribute, value in page.attributes if attribute == "href"]

    assert not page.unbalanced
    assert len(ids) == len(set(ids))
    assert set(wanted) <= set(ids)


@pytest.mark.parametrize("name", HISTORIES)
def test_every_picture_has_a_name_a_description_and_a_table(name: str) -> None:
    page = Page(rendered(HISTORIES[name]()))
    tags = [tag for tag, _ in page.structure]
    charts = sum(value.startswith("chart-") for tag, key, value in page.attributes if (tag, key) == ("svg", "id"))

    assert sum((tag, key, value) == ("svg", "role", "img") for tag, key, value in page.attributes) == tags.count("svg")
    assert tags.count("desc") == tags.count("svg") >= charts
    assert tags.count("details") >= charts


def test_the_policy_names_the_hash_of_the_very_style_and_script() -> None:
    page = rendered(HISTORIES["held"]())
    policy = next(value for tag, key, value in Page(page).attributes if (tag, key) == ("meta", "content"))

    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    for end in ("img-src data:; base-uri 'none'; form-action 'none'", "script-src 'sha256-"):
        assert end in policy
    assert "http" not in policy


def test_the_script_is_small() -> None:
    assert len(Page(rendered(HISTORIES["held"]())).scripts[1].encode()) <= 8 * 1024


@pytest.mark.parametrize("name", HISTORIES)
def test_the_json_report_has_everything(name: str) -> None:
    history = HISTORIES[name]()
    told = json.loads(rendered(history, "json"))

    assert told["schemaVersion"] == 1
    assert [one["seq"] for one in told["records"]] == [one.seq for one in history.entries]
    assert len(told["samples"]) == len(history.samples)
    assert len(told["timeline"]) == len(history.entries)
    assert len(told["recordsSha256"]) == 64


def test_a_suite_has_one_case_for_each_clause_and_one_for_the_run() -> None:
    tags = [tag for tag, _ in xml_structure(rendered(HISTORIES["aborted"](), "junit"))]

    assert tags.count("testcase") == 4
    assert tags.count("failure") == 3
    assert tags.count("error") == 0


def test_examples_of_bad_requests_are_shown() -> None:
    history = HISTORIES["deviated"]()
    assert any(isinstance(one, Exemplar) for sample in history.samples for one in sample.exemplars)

    assert Page(rendered(history)).says("Examples of bad requests")
