"""The parity page lists the parity suite: nothing more, nothing less, and nothing that does not hold."""

from __future__ import annotations

import re
import runpy

from tests.docs.pages import ROOT

TOOL = runpy.run_path(str(ROOT / "tools" / "parity_table.py"))
ROWS = re.findall(
    r"^\| ([A-Z]\d+) \| ([^|]+) \| (.+) \|$", (ROOT / "docs" / "parity.md").read_text("utf-8"), re.MULTILINE
)


def test_the_page_has_every_law_of_the_suite_and_no_other() -> None:
    assert [(one, sentence) for one, sentence, _ in ROWS] == [(law.id, law.sentence) for law in TOOL["laws"]()]


def test_the_suite_has_every_assertion() -> None:
    numbers = {"A": 56, "P": 14, "T": 32, "M": 2, "D": 10}
    wanted = {f"{area}{number}" for area, last in numbers.items() for number in range(1, last + 1)}

    assert {law.id for law in TOOL["laws"]()} == wanted


def test_what_the_page_lists_holds() -> None:
    said = {one: {word.strip() for word in words.split("|")} for one, _, words in ROWS}

    assert {one: words for one, words in said.items() if not words <= {"holds", "–"}} == {}
    assert {one for one, words in said.items() if "–" in words} == {one for one in said if one.startswith("D")}
