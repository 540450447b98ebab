"""Reports of fixed days, byte for byte: an old day must always render, and the same day always the same.

After a change that is meant: raise VERSION in render/gameday/page.py, then UPDATE_GOLDEN=1 python -m pytest
tests/render/gameday, and read the diff.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from chaos_runner.gameday.facts import Entry
from chaos_runner.render.gameday import page
from tests.render.gameday.kit import everything, rendered
from tests.render.tree import Page
from tools import sample_day
from tools.sample_day import DAYS

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[3]
SUFFIX = {"html": "html", "json": "json", "postmortem": "md"}
KEPT = [(name, "postmortem") for name in DAYS] + [("empty", "html"), ("empty", "json"), ("not_reverted", "html")]
PINS = GOLDEN / "pins.json"
FACTS = GOLDEN / "facts-v1.jsonl"


@pytest.mark.parametrize(("name", "kind"), KEPT)
def test_a_known_day_gives_the_known_bytes(name: str, kind: str) -> None:
    _known(GOLDEN / f"{name}.{SUFFIX[kind]}", _own(rendered(DAYS[name](), kind)))


@pytest.mark.parametrize("name", DAYS)
def test_the_bytes_of_a_page_belong_to_its_version(name: str) -> None:
    pins = json.loads(PINS.read_text("utf-8")) if PINS.exists() else {}
    told = hashlib.sha256(_own(rendered(DAYS[name]())).encode()).hexdigest()
    if os.environ.get("UPDATE_GOLDEN") == "1":
        pins.setdefault(str(page.VERSION), {})[name] = told
        PINS.write_text(json.dumps(pins, indent=1, sort_keys=True) + "\n", "utf-8")

    assert pins.get(str(page.VERSION), {}).get(name) == told, "raise VERSION in render/gameday/page.py"
    assert Page(rendered(DAYS[name]())).says(f"The same records give the same bytes (page {page.VERSION}).")


def _own(told: str) -> str:
    """Without the style and the pictures: those are shared with the report of a run, which pins them."""
    shared = r"(?s)(?<=<style>).*?(?=</style>)|<svg .*?</svg>|sha256-[\w+/=]{44}"
    return re.sub(shared, "…", told)


def _known(path: Path, told: str) -> None:
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(told, "utf-8")
    assert path.read_text("utf-8") == told


def test_facts_that_were_written_by_the_first_version_still_render() -> None:
    """Written once; a change of the facts that cannot read these lines breaks days that people have."""
    if not FACTS.exists():
        FACTS.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in everything().entries))
    old = [msgspec.json.decode(line, type=Entry) for line in FACTS.read_bytes().splitlines()]
    told = msgspec.structs.replace(everything(), entries=tuple(old))

    assert {type(one.fact).__name__ for one in old} == {type(one.fact).__name__ for one in everything().entries}
    for kind in SUFFIX:
        assert rendered(told, kind)


@pytest.mark.parametrize("kind", SUFFIX)
def test_another_process_with_another_hash_seed_gives_the_same_bytes(kind: str) -> None:
    command = [sys.executable, "-m", "tools.sample_day", "aborted", "--as", kind]
    env = {**os.environ, "PYTHONHASHSEED": "4", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    found = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, timeout=60, check=True)

    assert found.stdout.decode() == rendered(DAYS["aborted"](), kind)


@pytest.mark.parametrize("kind", SUFFIX)
def test_a_day_cut_anywhere_renders_with_what_is_there(kind: str) -> None:
    whole = sample_day.aborted()
    for kept in range(0, len(whole.entries) + 1, 1 if kind == "postmortem" else 7):
        assert rendered(msgspec.structs.replace(whole, entries=whole.entries[:kept]), kind)
    assert rendered(msgspec.structs.replace(whole, runs=(), before={}), kind)


@pytest.mark.parametrize("name", DAYS)
def test_every_page_is_balanced_and_every_label_has_its_place(name: str) -> None:
    told = Page(rendered(DAYS[name]()))
    ids = [value for _, attribute, value in told.attributes if attribute == "id"]
    wanted = [one for _, attribute, value in told.attributes if attribute == "aria-labelledby" for one in value.split()]
    wanted += [value[1:] for _, attribute, value in told.attributes if attribute == "href" and value[0] == "#"]

    assert not told.unbalanced
    assert len(ids) == len(set(ids))
    assert set(wanted) <= set(ids)


@pytest.mark.parametrize("name", DAYS)
def test_the_sixteen_sections_are_there_in_their_order(name: str) -> None:
    told = rendered(DAYS[name]())
    places = [told.find(f"<h2>{n} · ") for n in range(1, 17)]

    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("name", DAYS)
def test_every_picture_has_a_name_a_description_and_a_table(name: str) -> None:
    told = Page(rendered(DAYS[name]()))
    tags = [tag for tag, _ in told.structure]
    pictures = tags.count("svg")

    assert sum((tag, key, value) == ("svg", "role", "img") for tag, key, value in told.attributes) == pictures
    assert tags.count("desc") == pictures
    assert tags.count("figure") == pictures
    assert [_inside(tags, n).count("details") for n, tag in enumerate(tags) if tag == "figure"] == [1] * pictures


def _inside(tags: list[str], start: int) -> list[str]:
    return tags[start : tags.index("/figure", start)]


def test_the_policy_names_the_hash_of_the_very_style_and_allows_no_script() -> None:
    told = rendered(DAYS["held"]())
    policy = next(value for tag, key, value in Page(told).attributes if (tag, key) == ("meta", "content"))

    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script" not in policy
    assert "unsafe" not in policy


def test_the_json_has_everything() -> None:
    whole = sample_day.aborted()
    told = json.loads(rendered(whole, "json"))

    assert told["schemaVersion"] == 1
    assert len(told["facts"]) == len(whole.entries)
    assert [one["run"] for one in told["runs"]] == ["r-one", "r-two"]
    assert len(told["recordsSha256"]) == 64
    assert told["answers"].keys() == {"held", "hurt", "back", "worse", "does"}


@pytest.mark.parametrize("changed", ["fact", "record"])
def test_one_changed_word_changes_the_fingerprint(changed: str) -> None:
    whole = sample_day.aborted()
    if changed == "fact":
        other = msgspec.structs.replace(whole, entries=whole.entries[:-1])
    else:
        run = msgspec.structs.replace(whole.runs[1], entries=whole.runs[1].entries[:-1])
        other = msgspec.structs.replace(whole, runs=(whole.runs[0], run, whole.runs[2]))
    prints = [json.loads(rendered(one, "json"))["recordsSha256"] for one in (whole, other)]

    assert prints[0] != prints[1]
