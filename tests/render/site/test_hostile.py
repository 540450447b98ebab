"""No text of a run, a day or a schedule can change what the site's pages are made of."""

from __future__ import annotations

import functools
import json
import re

import pytest

from chaos_runner.history import fold
from chaos_runner.render import digested
from chaos_runner.render import site as pages_of
from chaos_runner.review import difference
from chaos_runner.review.difference import Difference
from tests.render import hostile
from tests.render.hostile import STRINGS, benign
from tests.render.site.kit import built, poisoned, site
from tests.render.tree import Page
from tools.sample_history import HISTORIES

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
LONG = ("x" * 100_000,)


@functools.cache
def _built(bad: str) -> dict[str, Page]:
    found = built(poisoned(site(), benign if bad == "benign" else lambda plain: bad + plain))
    # names of trend pages carry a hash of the experiment's name
    return {
        re.sub(r"trend-.*", f"trend-{n}", name): Page(content.decode())
        for n, (name, content) in enumerate(sorted(found.items()))
    }


@pytest.mark.parametrize("bad", [*STRINGS, *LONG], ids=lambda bad: repr(bad[:12]))
def test_hostile_text_does_not_change_the_tags_of_any_page(bad: str) -> None:
    plain, pages = _built("benign"), _built(bad)

    assert len(plain) == len(pages)
    for one, other in zip(_ordered(plain), _ordered(pages), strict=True):
        assert other.structure == one.structure
        assert not other.unbalanced
        assert not [a for a in other.attributes if a[1].startswith("on") or a[1] in ("style", "src", "srcset")]
        assert all(
            re.fullmatch(r"(\.\./)?(site/)?[A-Za-z0-9%._~-]+\.html|#main", value)
            for _, name, value in other.attributes
            if name == "href"
        )
        assert not CONTROL.search("".join(other.text))


def _ordered(pages: dict[str, Page]) -> list[Page]:
    """By their heading's kind and size: hostile names sort elsewhere."""
    return sorted(pages.values(), key=lambda page: (len(page.structure), "".join(tag for tag, _ in page.structure)))


@pytest.mark.parametrize("bad", STRINGS)
def test_the_block_for_the_script_stays_json_and_ends_nowhere(bad: str) -> None:
    found = built(poisoned(site(), lambda plain: bad + plain))["index.html"].decode()
    scripts = Page(found).scripts

    assert len(scripts) == 2
    assert len(json.loads(scripts[0])["rows"]) == 60
    assert not CONTROL.search(json.dumps(json.loads(scripts[0]), ensure_ascii=False))


def _difference(bad: str) -> Difference:
    sides = []
    for name in ("not_reverted", "deviated"):
        change = benign if bad == "benign" else (lambda plain: bad + plain)
        history = hostile.poisoned(HISTORIES[name](), change)
        run = fold(history.entries)
        sides.append((run, digested.of(run, history.entries, history.samples)))
    return difference.between(*sides)


@pytest.mark.parametrize("bad", STRINGS)
def test_a_difference_of_hostile_runs_is_a_page_of_the_same_tags(bad: str) -> None:
    plain = Page(pages_of.as_html(_difference("benign")).decode())
    page = Page(pages_of.as_html(_difference(bad)).decode())

    assert set(page.structure) == set(plain.structure)
    assert not page.unbalanced
    assert not [one for one in page.attributes if one[1] in ("href", "src", "style") and one[2] != "#main"]
    assert not CONTROL.search("".join(page.text))


@pytest.mark.parametrize("bad", STRINGS)
def test_a_terminal_gets_no_control_byte_and_json_stays_json(bad: str) -> None:
    found = _difference(bad)
    assert not CONTROL.search(pages_of.as_text(found).replace("\n", ""))
    assert json.loads(pages_of.as_json(found))["second"]["word"] == "DEVIATED"
