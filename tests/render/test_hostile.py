"""No text of a run can change what a report is made of. Every free text of every history is poisoned, keys included."""

from __future__ import annotations

import functools
import json
import re

import msgspec
import pytest

from chaos_runner.render import markdown, text
from tests.render.conftest import rendered
from tests.render.hostile import STRINGS, benign, poisoned
from tests.render.tree import Page, xml_structure
from tools.sample_history import HISTORIES, History

NAMES = ("aborted", "unknown", "not_reverted", "not_started", "deviated")


@functools.cache
def _harmless(name: str) -> History:
    return poisoned(HISTORIES[name](), benign)


@functools.cache
def _harmful(name: str, bad: str) -> History:
    return poisoned(HISTORIES[name](), lambda plain: bad + plain)


def test_the_poison_reaches_every_kind_of_text() -> None:
    told = msgspec.json.encode(_harmless("deviated").entries).decode()

    for part in ("hypothesis", "title", "owner", "service", "actor", "evidence", "source", "environment", "who", "why"):
        assert f'"{part}":"plain ' in told, part
    assert '"plain streams"' in told
    assert '"plain shoppers":{' in told
    assert "plain kind: experiment/v1" in told


@pytest.mark.parametrize("bad", STRINGS)
@pytest.mark.parametrize("name", [pytest.param("aborted", marks=pytest.mark.campaign), "not_reverted"])
def test_hostile_text_does_not_change_the_tags_of_a_page(name: str, bad: str) -> None:
    plain, page = Page(rendered(_harmless(name))), Page(rendered(_harmful(name, bad)))

    assert page.structure == plain.structure
    assert not page.unbalanced


@pytest.mark.parametrize("big", ["x" * 100_000, "<b>&" * 25_000, "a b " * 25_000], ids=["word", "markup", "words"])
def test_a_hundred_kilobytes_in_every_text_are_cut_and_counted(big: str) -> None:
    shown = rendered(poisoned(HISTORIES["not_reverted"](), lambda plain: big + plain))
    page = Page(shown)

    assert page.structure == Page(rendered(_harmless("not_reverted"))).structure
    assert len(shown.encode()) < 3_000_000
    assert page.says("characters in all)")


@pytest.mark.parametrize("name", NAMES)
def test_all_hostile_text_at_once_brings_no_handler_no_link_and_no_script(name: str) -> None:
    page = Page(rendered(_harmful(name, "".join(STRINGS[:14]))))

    assert page.structure == Page(rendered(_harmless(name))).structure
    assert not [one for one in page.attributes if one[1].startswith("on") or one[1] in ("style", "src", "srcset")]
    assert all(value.startswith("#") for _, attribute, value in page.attributes if attribute == "href")
    assert sum(tag == "script" for tag, _ in page.structure) == 2
    json.loads(page.scripts[0])


@pytest.mark.parametrize("bad", STRINGS)
def test_no_control_character_and_no_direction_override_reaches_a_page(bad: str) -> None:
    page = rendered(_harmful("deviated", bad))

    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]", page)


@pytest.mark.parametrize("bad", STRINGS)
def test_hostile_text_does_not_change_a_suite(bad: str) -> None:
    assert xml_structure(rendered(_harmful("not_reverted", bad), "junit")) == xml_structure(
        rendered(_harmless("not_reverted"), "junit")
    )


@pytest.mark.parametrize("bad", STRINGS)
def test_the_json_report_is_json_whatever_the_text(bad: str) -> None:
    told = json.loads(rendered(_harmful("deviated", bad), "json"))

    assert told["verdict"] == "DEVIATED"
    assert len(told["records"]) == 17


@pytest.mark.parametrize("bad", STRINGS)
def test_markdown_shows_hostile_text_as_text(bad: str) -> None:
    shown = rendered(_harmful("deviated", bad), "markdown")
    prose = re.sub(r"(`+)(?:(?!\1).)+\1", "", shown)

    assert shown.count("\n") == rendered(_harmless("deviated"), "markdown").count("\n")
    assert "<" not in prose
    assert not re.search(r"(?<!\\)\]\(|(?<!\\)!\[|(?<!\\)@|\w://", prose)


def test_a_fence_is_longer_than_any_inside_it() -> None:
    assert markdown.code("a `` b") == "```a `` b```"
    assert markdown.code("`") == "`` ` ``"


def test_what_cannot_be_seen_is_shown() -> None:
    assert text.clean("a\x1b[0m\x00\x7f\x9b\u202eb\ud800\n\t") == "a␛[0m␀␡‹U+009B›‹U+202E›b‹U+D800›\n\t"
