"""No text of a day can change what its report is made of: facts, people, alerts, runs, labels, all at once."""

from __future__ import annotations

import functools
import json
import re

import msgspec
import pytest

from chaos_runner.gameday import facts
from chaos_runner.render.gameday import Told
from tests.render.gameday.kit import everything, poisoned, rendered
from tests.render.hostile import STRINGS, benign
from tests.render.tree import Page
from tools import sample_day

ALWAYS = (STRINGS[0], STRINGS[6], "".join(STRINGS[:14]))


@functools.cache
def _harmless() -> Told:
    return poisoned(everything(), benign)


@functools.cache
def _harmful(bad: str) -> Told:
    return poisoned(everything(), lambda plain: bad + plain)


def test_the_poison_reaches_every_kind_of_text() -> None:
    told = msgspec.json.encode(_harmless().entries).decode()

    for part in ("who", "text", "finding", "owner", "ticket", "rerun", "reason", "why", "question", "title", "summary",
                 "file", "actor", "run", "scope", "severity_if_real", "absent", "id", "where", "expected"):  # fmt: skip
        assert f'"{part}":"plain ' in told, part
    for people in ('"plain Otto Brandt"', '"plain OddAlert"', '"plain refunds"', '"plain Stakeholders told"'):
        assert people in told
    assert '"plain team":"plain shop"' in told


@pytest.mark.parametrize("bad", ALWAYS, ids=["script", "terminal", "all"])
def test_hostile_text_does_not_change_the_tags_of_a_day(bad: str) -> None:
    _same(bad)


@pytest.mark.campaign
@pytest.mark.parametrize("bad", STRINGS)
def test_no_hostile_text_alone_changes_the_tags_of_a_day(bad: str) -> None:
    _same(bad)


def _same(bad: str) -> None:
    """Long words leave less room for charts: their twin is as long."""
    twin = _harmless() if len(bad) < 1000 else _harmful("y" * len(bad))
    page, plain = Page(rendered(_harmful(bad))), Page(rendered(twin))

    assert page.structure == plain.structure
    assert not page.unbalanced
    assert not [one for one in page.attributes if one[1].startswith("on") or one[1] in ("style", "src", "srcset")]
    assert {value for _, name, value in page.attributes if name == "href"} <= {
        *(value for _, name, value in plain.attributes if name == "href")
    }
    assert "script" not in {tag for tag, _ in page.structure}


@pytest.mark.parametrize("kind", ["html", "postmortem"])
@pytest.mark.parametrize("bad", ALWAYS, ids=["script", "terminal", "all"])
def test_no_control_character_and_no_direction_override_reaches_a_report(bad: str, kind: str) -> None:
    told = rendered(_harmful(bad), kind)

    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]", told)


@pytest.mark.parametrize("bad", [*ALWAYS, STRINGS[10]], ids=["script", "terminal", "all", "markdown"])
def test_the_draft_cannot_be_broken_out_of(bad: str) -> None:
    shown, plain = rendered(_harmful(bad), "postmortem"), rendered(_harmless(), "postmortem")
    prose = re.sub(r"(`+)(?:(?!\1).)+\1", "", shown)

    assert [_kind(line) for line in shown.splitlines()] == [_kind(line) for line in plain.splitlines()]
    assert "<" not in prose
    assert not re.search(r"(?<!\\)\]\(|(?<!\\)!\[|(?<!\\)@|\w://", prose)


def _kind(line: str) -> tuple[str, int]:
    """What a line begins with, and how many cells of a table it has."""
    head = re.match(r"#+ |> |- |\d\. |\||", line)
    assert head is not None
    return head[0], len(re.findall(r"(?<!\\)\|", line)) if head[0] == "|" else 0


@pytest.mark.parametrize("bad", ALWAYS, ids=["script", "terminal", "all"])
def test_the_json_is_json_whatever_the_text(bad: str) -> None:
    told = json.loads(rendered(_harmful(bad), "json"))

    assert told["verdict"] == "NOT_REVERTED"
    assert len(told["facts"]) == len(everything().entries)


def test_an_alert_with_a_hostile_name_is_text_too() -> None:
    pages = []
    for name in ("plain", "<b>&\"'x", "a\x1b[31m"):
        told = sample_day.aborted()
        scenario = {**sample_day.SCENARIO, "alerts": {"expect": [{"name": name, "within": 60.0}], "forbid": [name]}}
        started = told.entries[0].fact
        assert isinstance(started, facts.DayStarted)
        first = msgspec.structs.replace(told.entries[0], fact=msgspec.structs.replace(started, scenario=scenario))
        fired = [
            msgspec.structs.replace(one, fact=msgspec.structs.replace(one.fact, name=name))
            if isinstance(one.fact, facts.AlertFired)
            else one
            for one in told.entries[1:]
        ]
        pages.append(Page(rendered(msgspec.structs.replace(told, entries=(first, *fired)))))

    assert pages[0].structure == pages[1].structure == pages[2].structure


def test_a_hundred_kilobytes_in_every_word_make_no_large_page() -> None:
    told = everything()
    long = "word " * 20_000
    said = [
        msgspec.structs.replace(one, fact=msgspec.structs.replace(one.fact, text=long))
        if isinstance(one.fact, facts.Said | facts.Marked | facts.ObjectiveJudged)
        else one
        for one in told.entries
    ]
    told = msgspec.structs.replace(told, entries=tuple(said))

    assert len(rendered(told)) < 300_000
    assert len(rendered(told, "postmortem")) < 300_000
    assert Page(rendered(told)).structure == Page(rendered(everything())).structure


@pytest.mark.parametrize("link", ["javascript:alert(1)", "//evil/x", "https://evil", "\tjava\nscript:x", "/etc/passwd"])
def test_a_page_links_only_to_files_beside_it(link: str) -> None:
    told = msgspec.structs.replace(sample_day.held(), links={"r-one": link})
    hrefs = [value for _, name, value in Page(rendered(told)).attributes if name == "href"]

    assert all(value.startswith("#") for value in hrefs)
