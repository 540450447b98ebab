"""The report in a real Chromium: silent, offline, readable in light, in dark, on paper, by keyboard, without script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser import ground
from tests.browser.chromium import Browser
from tests.render.conftest import rendered
from tests.render.hostile import STRINGS, mixed, poisoned
from tools.sample_history import HISTORIES, History

pytestmark = pytest.mark.real


PAPERS = [
    ("screen", "light", "rgb(255, 255, 255)"),
    ("screen", "dark", "rgb(16, 20, 24)"),
    ("print", "dark", "rgb(255, 255, 255)"),
]


@pytest.mark.parametrize("name", ["aborted", "not_reverted", "unknown", "not_started"])
def test_a_report_is_silent_offline_and_readable(browser: Browser, tmp_path: Path, name: str) -> None:
    page = ground.saved(tmp_path, rendered(HISTORIES[name]()))
    ground.paper(browser, "screen", "light")
    browser.open(page)
    for media, scheme, paper in PAPERS:
        ground.paper(browser, media, scheme)
        assert browser.value("getComputedStyle(document.documentElement).backgroundColor") == paper
        assert browser.value(ground.CONTRAST) == [], (media, scheme)
    picture = ground.picture(browser)

    ground.silent(browser, page.as_uri())
    assert picture.startswith(ground.PNG)
    assert len(picture) > 20_000


def test_it_prints(browser: Browser, tmp_path: Path) -> None:
    browser.open(ground.saved(tmp_path, rendered(HISTORIES["aborted"]())))
    printed = ground.printed(browser)

    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000


def test_no_part_of_a_page_is_wider_than_the_window(browser: Browser, tmp_path: Path) -> None:
    ground.paper(browser, "screen", "light")
    page = ground.saved(tmp_path, rendered(HISTORIES["aborted"]()))
    for width in (360, 1200):
        with ground.sized(browser, width, 800):
            browser.open(page)
            assert not ground.wide(browser), width


def test_arrow_keys_read_the_same_moment_in_every_chart(browser: Browser, tmp_path: Path) -> None:
    ground.paper(browser, "screen", "light")
    browser.open(ground.saved(tmp_path, rendered(HISTORIES["aborted"]())))
    browser.value("document.getElementById('chart-0').focus()")
    for _ in range(5):
        browser.ask("Input.dispatchKeyEvent", type="keyDown", key="PageDown")
    told = browser.value("[...document.querySelectorAll('.readout')].map((e) => e.textContent)")
    browser.ask("Input.dispatchKeyEvent", type="keyDown", key="Escape")

    assert [one.split(" · ")[0] for one in told] == ["00:41"] * 4
    assert "median 1." in told[0]
    assert "most often 1." in told[1]
    assert browser.value("document.querySelector('.readout').textContent") == ""
    assert browser.complaints() == []


def test_a_line_is_hidden_and_shown_by_keyboard_and_left_out_of_what_is_read(browser: Browser, tmp_path: Path) -> None:
    ground.paper(browser, "screen", "light")
    browser.open(ground.saved(tmp_path, rendered(HISTORIES["aborted"]())))
    seen = "getComputedStyle(document.querySelector('#chart-0 path.line.s3')).display"
    browser.value("document.querySelector('[data-chart=chart-0] .toggle').focus()")
    ground.press(browser, " ")
    hidden, pressed = browser.value(seen), browser.value("document.activeElement.getAttribute('aria-pressed')")
    browser.value("document.getElementById('chart-0').focus()")
    ground.press(browser, "ArrowRight")
    told = browser.value("document.querySelector('[data-chart=chart-0] .readout').textContent")
    browser.value("document.querySelector('[data-chart=chart-0] .toggle').focus()")
    ground.press(browser, "Enter")

    assert (hidden, pressed) == ("none", "false")
    assert "p95 " in told
    assert "p99" not in told
    assert browser.value(seen) != "none"
    assert browser.complaints() == []


def test_it_is_complete_without_script(browser: Browser, tmp_path: Path) -> None:
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(ground.saved(tmp_path, rendered(HISTORIES["deviated"]())))
    browser.ask("Emulation.setScriptExecutionDisabled", value=False)

    assert browser.value("document.querySelectorAll('svg.chart').length") == 5
    assert browser.value("document.querySelectorAll('path.line').length") == 6
    assert browser.value("document.querySelectorAll('path.heat').length") >= 3
    assert browser.value("document.querySelectorAll('path.envelope').length") == 1
    assert browser.value("document.querySelectorAll('button').length") == 0
    assert browser.value("document.querySelectorAll('figure details table').length") == 5


@pytest.mark.parametrize("turn", range(3))
def test_nothing_hostile_runs_loads_or_is_even_blocked(browser: Browser, tmp_path: Path, turn: int) -> None:
    """A silent console says that the content policy had nothing to stop: the escaping alone was enough."""
    _harmless(browser, tmp_path, mixed(turn))


@pytest.mark.campaign
@pytest.mark.parametrize("bad", STRINGS)
def test_nothing_hostile_in_every_place_at_once_runs_or_loads(browser: Browser, tmp_path: Path, bad: str) -> None:
    _harmless(browser, tmp_path, lambda plain: bad + plain)


def _harmless(browser: Browser, tmp_path: Path, change: Callable[[str], str]) -> None:
    history = poisoned(HISTORIES["not_reverted"](), change)
    page = ground.saved(tmp_path, rendered(history))
    browser.open(page)

    ground.silent(browser, page.as_uri())
    assert browser.value("document.scripts.length") == 2
    assert browser.value("document.querySelectorAll('img, iframe, base, object, form').length") == 0


def test_the_hour_opens_quickly(browser: Browser, tmp_path: Path, hour: History) -> None:
    browser.open(ground.saved(tmp_path, rendered(hour)))

    took = browser.value("performance.getEntriesByType('navigation')[0].domComplete")
    assert browser.complaints() == []
    assert took < 20_000


WORDS_OF_PICTURES = """(() => {
  const parts = (c) => c.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const light = (c) => parts(c).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const paper = getComputedStyle(document.documentElement).backgroundColor;
  const poor = [];
  for (const e of document.querySelectorAll("svg.chart text")) {
    const strip = e.classList.contains("phase") ? e.previousElementSibling.previousElementSibling : null;
    const behind = strip ? getComputedStyle(strip).fill : paper;
    const [a, b] = [light(getComputedStyle(e).fill), light(behind)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(e.className.baseVal + " " + e.textContent + " " + ratio.toFixed(2));
  }
  return [document.querySelectorAll("svg.chart text").length, poor];
})()"""


@pytest.mark.parametrize("name", ["aborted", "deviated", "unknown"])
def test_the_words_in_pictures_have_contrast_in_both_themes_and_on_paper(
    browser: Browser, tmp_path: Path, name: str
) -> None:
    browser.open(ground.saved(tmp_path, rendered(HISTORIES[name]())))
    for media, scheme, _ in PAPERS:
        ground.paper(browser, media, scheme)
        count, poor = browser.value(WORDS_OF_PICTURES)

        assert count > 40
        assert poor == [], (media, scheme)
    ground.paper(browser, "screen", "light")
