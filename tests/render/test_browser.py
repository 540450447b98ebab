"""The report in a real Chromium: silent, offline, readable in light, in dark, on paper, by keyboard, without script."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos_runner.render import html
from tests.render.browser import Browser
from tests.render.conftest import rendered
from tests.render.hostile import STRINGS, mixed, poisoned
from tools.sample_history import HISTORIES, History

pytestmark = pytest.mark.real
PNG = b"\x89PNG\r\n\x1a\n"
CONTRAST = """(() => {
  const parts = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = (c) => parts(c).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (parts(c).length < 4 || parts(c)[3] > 0) return c;
    }
    return "rgb(255, 255, 255)";
  };
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    if (e.closest("svg, script, .skip, details:not([open])") || !e.textContent.trim() || e.children.length) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(e.tagName + " " + e.className + " " + ratio.toFixed(2));
  }
  return poor;
})()"""


def _media(browser: Browser, media: str, scheme: str) -> None:
    browser.ask("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}])


def _saved(folder: Path, page: str) -> Path:
    path = folder / "report.html"
    path.write_text(page, "utf-8")
    return path


PAPERS = [
    ("screen", "light", "rgb(255, 255, 255)"),
    ("screen", "dark", "rgb(16, 20, 24)"),
    ("print", "dark", "rgb(255, 255, 255)"),
]


@pytest.mark.parametrize("name", ["aborted", "not_reverted", "unknown", "not_started"])
def test_a_report_is_silent_offline_and_readable(browser: Browser, tmp_path: Path, name: str) -> None:
    page = _saved(tmp_path, rendered(HISTORIES[name]()))
    _media(browser, "screen", "light")
    browser.open(page)
    for media, scheme, paper in PAPERS:
        _media(browser, media, scheme)
        assert browser.value("getComputedStyle(document.documentElement).backgroundColor") == paper
        assert browser.value(CONTRAST) == [], (media, scheme)
    picture = base64.b64decode(browser.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    assert browser.complaints() == []
    assert browser.requests() == [page.as_uri()]
    assert picture.startswith(PNG)
    assert len(picture) > 20_000


def test_it_prints(browser: Browser, tmp_path: Path) -> None:
    browser.open(_saved(tmp_path, rendered(HISTORIES["aborted"]())))
    printed = base64.b64decode(browser.ask("Page.printToPDF", printBackground=True)["data"])

    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000


def test_no_part_of_a_page_is_wider_than_the_window(browser: Browser, tmp_path: Path) -> None:
    _media(browser, "screen", "light")
    page = _saved(tmp_path, rendered(HISTORIES["aborted"]()))
    for width in (360, 1200):
        browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
        browser.open(page)
        assert browser.value("document.documentElement.scrollWidth <= innerWidth"), width
    browser.ask("Emulation.clearDeviceMetricsOverride")


def test_arrow_keys_read_the_same_moment_in_every_chart(browser: Browser, tmp_path: Path) -> None:
    _media(browser, "screen", "light")
    browser.open(_saved(tmp_path, rendered(HISTORIES["aborted"]())))
    browser.value("document.getElementById('chart-0').focus()")
    for _ in range(5):
        browser.ask("Input.dispatchKeyEvent", type="keyDown", key="PageDown")
    told = browser.value("[...document.querySelectorAll('.readout')].map((e) => e.textContent)")
    browser.ask("Input.dispatchKeyEvent", type="keyDown", key="Escape")

    assert [one.split(" · ")[0] for one in told] == ["00:41"] * 3
    assert "median 1." in told[0]
    assert browser.value("document.querySelector('.readout').textContent") == ""
    assert browser.complaints() == []


def test_it_is_complete_without_script(browser: Browser, tmp_path: Path) -> None:
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(_saved(tmp_path, rendered(HISTORIES["deviated"]())))
    browser.ask("Emulation.setScriptExecutionDisabled", value=False)

    assert browser.value("document.querySelectorAll('svg.chart').length") == 4
    assert browser.value("document.querySelectorAll('path.line').length") == 6


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
    page = _saved(tmp_path, rendered(history))
    browser.open(page)

    assert browser.complaints() == []
    assert browser.requests() == [page.as_uri()]
    assert browser.value("document.scripts.length") == 2
    assert browser.value("document.querySelectorAll('img, iframe, base, object, form').length") == 0


def test_the_hour_opens_quickly(browser: Browser, tmp_path: Path, hour: History) -> None:
    browser.open(_saved(tmp_path, rendered(hour)))

    took = browser.value("performance.getEntriesByType('navigation')[0].domComplete")
    assert browser.complaints() == []
    assert took < 20_000


def test_the_index_is_silent_and_offline(browser: Browser, tmp_path: Path) -> None:
    one = html.Summary("r1", "HELD", "slow payments", "demo", 1_787_392_800.0, "r1.html", "all well")
    page = _saved(tmp_path, html.render_index([one]).decode())
    browser.open(page)

    assert browser.complaints() == []
    assert browser.requests() == [page.as_uri()]
    assert browser.value("document.querySelector('td a').getAttribute('href')") == "r1.html"
