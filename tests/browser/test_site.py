"""The site of all runs in a real Chromium: silent, offline, quick to filter, by keyboard, and whole without scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos_runner.history import fold
from chaos_runner.render import digested
from chaos_runner.render import site as pages_of
from chaos_runner.render.site import Site
from chaos_runner.review import difference
from tests.browser import ground
from tests.browser.chromium import Browser
from tests.browser.test_report import WORDS_OF_PICTURES
from tests.render.hostile import STRINGS, mixed
from tests.render.site.kit import built, digests, poisoned, site
from tests.review.kit import DAY, NOON
from tools.sample_history import HISTORIES

pytestmark = pytest.mark.real
NAMES = sorted(built(site()))
SHOWN = "[...document.querySelectorAll('#rows tr')].map((row) => row.cells[row.cells.length - 1].textContent.trim())"
COUNT = "document.getElementById('count').textContent"


def _silent(browser: Browser, address: str) -> None:
    """Nothing was logged, and nothing asked for but the page, and the picture that the browser puts on date fields."""
    assert browser.complaints() == []
    assert [one for one in browser.requests() if not one.startswith("data:image/svg+xml;base64,")] == [address]


def _written(folder: Path, whole: Site) -> Path:
    for name, content in built(whole).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(name="pages", scope="module")
def _pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = _written(tmp_path_factory.mktemp("site"), site())
    sides = []
    for name in ("held", "not_reverted"):
        history = HISTORIES[name]()
        run = fold(history.entries)
        sides.append((run, digested.of(run, history.entries, history.samples)))
    (folder / "diff.html").write_bytes(pages_of.as_html(difference.between(*sides)))
    return folder


@pytest.fixture(name="many", scope="module")
def _many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five thousand runs."""
    return _written(tmp_path_factory.mktemp("many"), Site(tuple(digests(5000)), now=NOON + 5000 * DAY))


@pytest.mark.parametrize("name", [*NAMES, "diff.html"])
def test_every_page_is_silent_offline_named_and_readable(browser: Browser, pages: Path, name: str) -> None:
    for scheme in ground.SCHEMES:
        ground.paper(browser, "screen", scheme)
        for width, height in ground.SIZES:
            with ground.sized(browser, width, height):
                browser.open(pages / name)
                assert not ground.wide(browser), (name, width)
                assert browser.value(ground.CONTRAST) == [], (scheme, width)
        assert browser.value(ground.UNNAMED) == []
        _silent(browser, (pages / name).as_uri())
    ground.paper(browser, "print", "dark")
    assert browser.value(ground.CONTRAST) == []
    assert ground.printed(browser).startswith(b"%PDF")
    ground.paper(browser, "screen", "light")


def test_the_words_in_charts_have_contrast_in_both_themes_and_on_paper(browser: Browser, pages: Path) -> None:
    """A letter stands on its box, which is drawn right before it."""
    words = WORDS_OF_PICTURES.replace(
        'contains("phase") ? e.previousElementSibling.previous', 'contains("letter") ? e.previous'
    )
    browser.open(next(pages.glob("site/trend-slow*")))
    for media, scheme in (("screen", "light"), ("screen", "dark"), ("print", "dark")):
        ground.paper(browser, media, scheme)
        count, poor = browser.value(words)
        assert count > 60
        assert poor == [], (media, scheme)
    ground.paper(browser, "screen", "light")


def _choose(browser: Browser, **want: str) -> None:
    for name, value in want.items():
        browser.value(f"document.getElementById('filter').elements['{name}'].value = '{value}'")
    browser.value("document.getElementById('filter').dispatchEvent(new Event('change'))")


@pytest.mark.parametrize(
    ("want", "wanted"),
    [
        ({"service": "checkout"}, lambda one: one.service == "checkout"),
        ({"verdict": "NOT_REVERTED"}, lambda one: one.word == "NOT_REVERTED"),
        ({"class": "hang"}, lambda one: "hang" in one.classes),
        ({"experiment": "no-catalog", "verdict": "HELD"}, lambda o: (o.experiment, o.word) == ("no-catalog", "HELD")),
        ({"from": "2026-09-01", "to": "2026-09-03"}, lambda one: 10 <= int(one.run[1:]) <= 12),
        ({"from": "2030-01-01"}, lambda one: False),
    ],
)
def test_filters_leave_what_fits_and_nothing_else(
    browser: Browser, pages: Path, want: dict[str, str], wanted: object
) -> None:
    browser.open(pages / "index.html")
    _choose(browser, **want)
    fitting = [one.run for one in reversed(digests()) if wanted(one)]  # type: ignore[operator]

    assert browser.value(SHOWN) == (fitting or ["No run fits these filters."])
    assert f"{len(fitting)} runs that fit, of 60" in browser.value(COUNT)
    _silent(browser, (pages / "index.html").as_uri())


def test_the_address_keeps_the_filter(browser: Browser, many: Path) -> None:
    browser.open(many / "index.html")
    _choose(browser, service="checkout", verdict="HELD")
    browser.value("document.getElementById('older').click()")
    kept, shown = browser.value("location.hash"), browser.value(SHOWN)
    assert kept == "#service=checkout&verdict=HELD&page=2"
    browser.open(many / "trends.html" if (many / "trends.html").exists() else many / "site/trends.html")
    browser.ask("Page.navigate", url=(many / "index.html").as_uri() + kept)
    assert _until(browser, SHOWN, shown)
    browser.value("document.querySelector('#filter [type=reset]').click()")
    assert _until(browser, COUNT, "1–50 of 5000 runs")


def _until(browser: Browser, expression: str, value: object) -> bool:
    return any(browser.value(expression) == value for _ in range(200))


def test_an_address_that_makes_no_sense_filters_nothing_or_everything(browser: Browser, pages: Path) -> None:
    for hash_ in ("#page=-3", "#page=1e99", "#verdict=%3Cscript%3E", "#from=yesterday", "#%", "#a&b=c=d&&"):
        browser.open(pages / "index.html")
        browser.value(f"location.hash = '{hash_}'")
        assert _until(browser, COUNT, "1–50 of 60 runs"), hash_
        _silent(browser, (pages / "index.html").as_uri())


def test_five_thousand_runs_are_filtered_without_a_pause(browser: Browser, many: Path) -> None:
    """What it takes on a quiet machine is printed by tools/bench_site.py; here only that it is no pause."""
    browser.open(many / "index.html")
    browser.value("window.begun = performance.now()")
    _choose(browser, service="checkout", verdict="HELD")
    took = browser.value("document.body.offsetHeight && performance.now() - window.begun")

    assert browser.value("document.querySelectorAll('#rows tr').length") == 50
    assert took < 2000


def test_the_filters_can_be_used_by_keyboard(browser: Browser, pages: Path) -> None:
    browser.open(pages / "index.html")
    browser.value("document.getElementById('filter').elements.service.focus()")
    browser.ask("Input.dispatchKeyEvent", type="keyDown", key="c", text="c")
    assert _until(browser, "document.activeElement.value", "catalog")
    names = []
    for _ in range(6):
        ground.press(browser, "Tab")
        names.append(browser.value("document.activeElement.name"))
        if len(names) == 1:
            assert browser.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert names[:3] == ["verdict", "class", "from"]


def test_without_scripts_every_run_is_in_the_pages_that_the_first_one_lists(browser: Browser, pages: Path) -> None:
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(pages / "index.html")
    browser.ask("Emulation.setScriptExecutionDisabled", value=False)

    assert browser.value("document.getElementById('filter').hidden")
    assert len(browser.value(SHOWN)) == 50
    assert browser.value("[...document.querySelectorAll('.parts a')].map((a) => a.getAttribute('href'))") == [
        "site/runs-0001.html"
    ]


def test_an_old_page_of_coverage_counts_its_days_to_today(browser: Browser, tmp_path: Path) -> None:
    old = _written(tmp_path, Site(tuple(digests()), now=NOON + 60 * DAY - 400 * DAY))
    browser.open(old / "site/coverage.html")

    assert "days ago" in browser.value("document.getElementById('stale').textContent")
    assert browser.value("document.querySelectorAll('.cell-fresh').length") == 0
    _silent(browser, (old / "site/coverage.html").as_uri())


@pytest.mark.parametrize("turn", range(3))
def test_nothing_hostile_runs_loads_or_is_even_blocked(browser: Browser, tmp_path: Path, turn: int) -> None:
    _harmless(browser, _written(tmp_path, poisoned(site(), mixed(turn))))


@pytest.mark.campaign
@pytest.mark.parametrize("bad", STRINGS)
def test_nothing_hostile_in_every_place_at_once_runs_or_loads(browser: Browser, tmp_path: Path, bad: str) -> None:
    _harmless(browser, _written(tmp_path, poisoned(site(), lambda plain: bad + plain)))


def _harmless(browser: Browser, folder: Path) -> None:
    for page in sorted(folder.rglob("*.html")):
        browser.open(page)
        _silent(browser, page.as_uri())
        assert browser.value("document.querySelectorAll('img, iframe, base, object').length") == 0
    browser.open(folder / "index.html")
    assert browser.value("document.querySelectorAll('#rows tr').length") == 50
    hosts = "[...document.querySelectorAll('a')].every((a) => a.protocol === 'file:')"
    assert browser.value(hosts)
