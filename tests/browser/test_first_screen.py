"""What people ask first is on the first screen, in full, legible, and says what the records say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from chaos_runner import verdict
from chaos_runner.gameday.harm import harm
from chaos_runner.history import fold
from chaos_runner.render import html, text
from tests.browser import ground
from tests.browser.chromium import Browser
from tools.sample_history import HISTORIES, History

pytestmark = pytest.mark.real
VERDICTS = ("held", "deviated", "aborted", "unknown", "not_reverted")
# Every piece of text in the first screen's answers: where it is, how large, what a finger on it would hit.
SEEN = """(() => {
  const wide = document.documentElement.clientWidth;
  const all = [document.querySelector("#verdict"), ...document.querySelectorAll("[data-answer]")];
  const pieces = (e) => {
    const found = [], walk = document.createTreeWalker(e, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const node = walk.currentNode;
      if (!node.data.trim()) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      for (const r of range.getClientRects()) {
        const spots = [[.5, .5], [.02, .5], [.98, .5], [.5, .1], [.5, .9]]
          .map(([a, b]) => document.elementFromPoint(r.left + r.width * a, r.top + r.height * b));
        found.push({
          text: node.data.slice(0, 40),
          size: parseFloat(getComputedStyle(node.parentElement).fontSize),
          inside: r.top >= 0 && r.left >= 0 && r.bottom <= innerHeight && r.right <= wide,
          hit: spots.every((spot) => spot && e.contains(spot)),
        });
      }
    }
    return found;
  };
  return all.map((e) => ({
    key: e.dataset.answer || "verdict",
    says: (e.querySelector("strong, code") || e).textContent,
    clipped: e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1,
    pieces: pieces(e),
  }));
})()"""


def page(history: History) -> bytes:
    return html.render(fold(history.entries), history.entries, history.samples)


def wanted(history: History) -> dict[str, str]:
    """From the fold and the samples, without asking the report."""
    run = fold(history.entries)
    assert run.outcome is not None
    hurt = harm(run, history.samples)
    told = f"{text.counted(hurt.requests or 0, 'request')} in {text.counted(hurt.seconds or 0, 'second')}"
    return {
        "verdict": verdict.headline(run.outcome).replace("_", " "),
        "held": {"HELD": "Yes", "DEVIATED": "No", "UNKNOWN": "Not known"}[run.outcome.finding],
        "hurt": f"Yes: {told}",
        "back": {"CLEAN": "Yes", "LEFT": "NO: 1 of 1 fault left"}[run.outcome.cleanup],
        "worse": "Not known",
        "again": f"chaos-runner run {run.plan['source']} -e {run.plan['environment']} --seed {run.plan['seed']}",
    }


@pytest.mark.parametrize(("width", "height"), ground.SIZES)
@pytest.mark.parametrize("name", VERDICTS)
def test_the_first_screen_answers_in_full(browser: Browser, tmp_path: Path, name: str, width: int, height: int) -> None:
    history = HISTORIES[name]()
    file = ground.saved(tmp_path, page(history))
    with ground.sized(browser, width, height):
        for scheme in ground.SCHEMES:
            ground.paper(browser, "screen", scheme)
            browser.open(file)
            found: list[dict[str, Any]] = browser.value(SEEN)
            pieces = [(one["key"], piece) for one in found for piece in one["pieces"]]

            assert {one["key"]: one["says"] for one in found} == wanted(history)
            assert [one["key"] for one in found if one["clipped"]] == []
            assert [piece for piece in pieces if not piece[1]["inside"]] == []
            assert [piece for piece in pieces if not piece[1]["hit"]] == []
            assert [piece for piece in pieces if piece[1]["size"] < 14] == []
            assert browser.value(ground.CONTRAST) == []
            ground.silent(browser, file.as_uri())


def test_what_covers_an_answer_is_found(browser: Browser, tmp_path: Path) -> None:
    """The probe itself: a word under something, outside, cut off or too small does not pass."""
    covered = page(HISTORIES["held"]()).replace(b'<p class="meaning">', b'<p class="meaning cover">')
    for spoiled, law in (
        ("#verdict{position:absolute;left:-50px}", "inside"),
        (".cover{position:fixed;inset:0;margin:0}", "hit"),
        (".answer strong{font-size:9px}", "size"),
    ):
        browser.open(ground.saved(tmp_path, covered))
        sheet = "const s = new CSSStyleSheet(); s.replaceSync(%r); document.adoptedStyleSheets = [s]"
        browser.value(sheet % spoiled)
        pieces = [piece for one in browser.value(SEEN) for piece in one["pieces"]]

        assert any(piece[law] < 14 if law == "size" else not piece[law] for piece in pieces), law


@pytest.mark.parametrize("name", VERDICTS)
def test_headings_regions_pictures_and_tables_are_named(browser: Browser, tmp_path: Path, name: str) -> None:
    browser.open(ground.saved(tmp_path, page(HISTORIES[name]())))

    assert browser.value(ground.UNNAMED) == []


def test_the_keyboard_reaches_everything_that_can_be_used(browser: Browser, tmp_path: Path) -> None:
    """Every link, fold, button, chart and wide table, each once, in the order of the page; and it shows where it is."""
    ground.paper(browser, "screen", "light")
    browser.open(ground.saved(tmp_path, page(HISTORIES["not_reverted"]())))
    usable = "[...document.querySelectorAll('a[href], button, summary, [tabindex=\"0\"]')]"
    usable += ".filter((e) => !e.parentElement.closest('details:not([open])') || e.tagName === 'SUMMARY')"
    browser.value(f"window.usable = {usable}; window.usable.forEach((e, n) => e.dataset.n = n)")
    count = browser.value("window.usable.length")
    reached, unseen = [], []
    for _ in range(count):
        ground.press(browser, "Tab")
        n, shown = browser.value(
            "[Number(document.activeElement.dataset.n ?? -1),"
            " getComputedStyle(document.activeElement).outlineStyle !== 'none']"
        )
        reached.append(n)
        unseen += [] if shown else [n]

    assert count > 20
    assert reached == list(range(count))
    assert unseen == []


def test_the_skip_link_leads_past_the_banner(browser: Browser, tmp_path: Path) -> None:
    file = ground.saved(tmp_path, page(HISTORIES["held"]()))
    browser.open(file)
    ground.press(browser, "Tab")
    assert browser.value("document.activeElement.textContent") == "Skip to the outcome"
    ground.press(browser, "Enter")

    assert browser.value("location.hash") == "#outcome"


@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("name", VERDICTS)
def test_no_page_is_wider_than_its_window(browser: Browser, tmp_path: Path, name: str, width: int) -> None:
    with ground.sized(browser, width, 800):
        browser.open(ground.saved(tmp_path, page(HISTORIES[name]())))

        assert not ground.wide(browser)


def test_on_paper_the_answers_and_charts_are_there_and_the_controls_are_not(browser: Browser, tmp_path: Path) -> None:
    browser.open(ground.saved(tmp_path, page(HISTORIES["aborted"]())))
    ground.paper(browser, "print", "dark")
    shown = "[...document.querySelectorAll('%s')].filter((e) => e.getClientRects().length).length"
    counts = [browser.value(shown % what) for what in ("[data-answer]", "svg.chart", "nav, .toggles, .skip, .readout")]
    printed = ground.printed(browser)
    ground.paper(browser, "screen", "light")

    assert counts == [5, 5, 0]
    assert printed.startswith(b"%PDF")


def test_a_title_of_any_length_pushes_no_answer_out_of_the_window(browser: Browser, tmp_path: Path) -> None:
    history = HISTORIES["not_reverted"]()
    first = history.entries[0]
    plan = first.record.plan  # type: ignore[union-attr]
    long = {
        **plan,
        "experiment": {**plan["experiment"], "title": "Checkout survives " + "everything that is slow " * 40},
    }
    record = msgspec.structs.replace(first.record, plan=long)
    entries = [msgspec.structs.replace(first, record=record), *history.entries[1:]]
    for width, height in ground.SIZES:
        with ground.sized(browser, width, height):
            browser.open(ground.saved(tmp_path, page(History(entries, history.samples))))
            pieces = [piece for one in browser.value(SEEN) for piece in one["pieces"]]

            assert [piece for piece in pieces if not piece["inside"]] == []
