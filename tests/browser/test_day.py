"""The report of a game day in a real Chromium: its first screen, its silence, its paper, its labels, its keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaos_runner import verdict
from chaos_runner.gameday.day import fold as fold_day
from chaos_runner.gameday.harm import harm
from chaos_runner.history import Run
from chaos_runner.render import text
from chaos_runner.render.gameday import Told
from tests.browser import ground
from tests.browser.chromium import Browser
from tests.browser.test_first_screen import SEEN
from tests.render.gameday.kit import everything, poisoned, rendered
from tests.render.hostile import STRINGS, mixed
from tools.sample_day import DAYS

pytestmark = pytest.mark.real
VERDICTS = ("held", "deviated", "aborted", "unknown", "not_reverted")
RANK = ("HELD", "UNKNOWN", "DEVIATED", "ABORTED", "NOT_REVERTED")


def word(run: Run) -> str:
    assert run.outcome is not None
    return verdict.headline(run.outcome)


def wanted(told: Told) -> dict[str, str]:
    """From the folds and the samples, without asking the report."""
    runs = [one for one in told.runs if one.step >= 0]
    words = [word(one.run) for one in runs]
    held = words.count("HELD")
    hurts = [harm(one.run, one.samples) for one in runs]
    requests, seconds = (sum(getattr(one, name) or 0 for one in hurts) for name in ("requests", "seconds"))
    unknown = sum(one.unknown for one in hurts)
    beyond = any(one.state == "violated" for ran in runs for one in ran.run.clauses)
    left = sum(one.run.outcome.cleanup == "LEFT" for one in runs if one.run.outcome)
    ranks = [RANK.index(word(one)) for ran in runs[:1] for one in (told.before["r-one"].ran.run, ran.run)]
    actions = [one.added for one in fold_day(told.entries).actions.values() if one.state == "open"]
    first = min(actions, key=lambda one: one.due, default=None)
    return {
        "verdict": max(words, key=RANK.index).replace("_", " "),
        "held": ("No" if set(words) & set(RANK[2:]) else "Yes" if held == len(runs) else "Not known")
        + f": {held} of {len(runs)} experiment{'s' if len(runs) > 1 else ''} held",
        "hurt": f"{'Yes' if beyond else 'At least' if unknown else 'Within limits'}: "
        f"{text.counted(requests, 'request')} in {text.counted(seconds, 'second')}",
        "back": f"NO: {left} fault may still be there" if left else "Yes",
        "worse": "Yes: 1 of 1 experiment" if ranks[1] > ranks[0] else "No",
        "does": f"{first.owner} by {first.due}: {first.finding}" if first else "Nothing is open",
    }


@pytest.mark.parametrize(("width", "height"), ground.SIZES)
@pytest.mark.parametrize("name", VERDICTS)
def test_the_first_screen_of_a_day_answers_in_full(
    browser: Browser, tmp_path: Path, name: str, width: int, height: int
) -> None:
    told = DAYS[name]()
    file = ground.saved(tmp_path, rendered(told))
    with ground.sized(browser, width, height):
        for scheme in ground.SCHEMES:
            ground.paper(browser, "screen", scheme)
            browser.open(file)
            found: list[dict[str, Any]] = browser.value(SEEN)
            pieces = [(one["key"], piece) for one in found for piece in one["pieces"]]

            assert {one["key"]: one["says"] for one in found} == wanted(told)
            assert [one["key"] for one in found if one["clipped"]] == []
            assert [piece for piece in pieces if not piece[1]["inside"]] == []
            assert [piece for piece in pieces if not piece[1]["hit"]] == []
            assert [piece for piece in pieces if piece[1]["size"] < 14] == []
            assert browser.value(ground.CONTRAST) == []
            assert not ground.wide(browser)
            ground.silent(browser, file.as_uri())


@pytest.mark.parametrize("name", ["aborted", "incident", "empty"])
def test_headings_regions_pictures_and_tables_of_a_day_are_named(browser: Browser, tmp_path: Path, name: str) -> None:
    ground.paper(browser, "screen", "light")
    browser.open(ground.saved(tmp_path, rendered(DAYS[name]())))

    assert browser.value(ground.UNNAMED) == []


def test_a_day_prints_on_white_paper_with_every_contrast(browser: Browser, tmp_path: Path) -> None:
    browser.open(ground.saved(tmp_path, rendered(DAYS["aborted"]())))
    ground.paper(browser, "print", "dark")
    assert browser.value("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.value(ground.CONTRAST) == []
    printed = ground.printed(browser)
    ground.paper(browser, "screen", "light")

    assert printed.startswith(b"%PDF")
    assert len(printed) > 50_000


def test_the_keyboard_reaches_everything_of_a_day(browser: Browser, tmp_path: Path) -> None:
    """Every link, fold and wide table, each once, in the order of the page; of the filters the chosen one."""
    ground.paper(browser, "screen", "light")
    browser.open(ground.saved(tmp_path, rendered(DAYS["not_reverted"]())))
    usable = "[...document.querySelectorAll('a[href], summary, [tabindex=\"0\"], input:checked')]"
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


def test_the_timeline_is_filtered_without_a_script(browser: Browser, tmp_path: Path) -> None:
    browser.open(ground.saved(tmp_path, rendered(DAYS["aborted"]())))
    shown = "[...new Set([...document.querySelectorAll('.timeline tbody tr')].filter((e) => e.offsetParent)"
    shown += ".map((e) => e.classList[0]))].sort()"
    kinds = {}
    for name in ("people", "alerts", "machine", "all"):
        browser.value(f"document.getElementById('show-{name}').click()")
        kinds[name] = browser.value(shown)

    assert kinds == {
        "people": ["people"], "alerts": ["alert"], "machine": ["machine"], "all": ["alert", "machine", "people"],
    }  # fmt: skip


def test_no_part_of_a_day_is_wider_than_a_phone_however_long_its_words_are(browser: Browser, tmp_path: Path) -> None:
    """Found on a real day: the address of a runbook is one long word."""
    ground.paper(browser, "screen", "light")
    page = ground.saved(tmp_path, rendered(poisoned(everything(), lambda plain: "x" * 150 + plain)))
    with ground.sized(browser, *ground.SIZES[0]):
        browser.open(page)
        assert not ground.wide(browser)


@pytest.mark.parametrize("turn", range(2))
def test_nothing_hostile_on_a_day_runs_loads_or_is_even_blocked(browser: Browser, tmp_path: Path, turn: int) -> None:
    """A silent console says that the content policy had nothing to stop: the escaping alone was enough."""
    change = mixed(turn) if turn else (lambda plain: "".join(STRINGS[:14]) + plain)
    page = ground.saved(tmp_path, rendered(poisoned(everything(), change)))
    browser.open(page)

    ground.silent(browser, page.as_uri())
    assert browser.value("document.scripts.length") == 0
    assert browser.value("document.querySelectorAll('img, iframe, base, object, form').length") == 0
