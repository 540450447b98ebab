"""The site of all runs: the same input gives the same bytes, and a page that need not change does not."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos_runner.history import fold
from chaos_runner.render import digested
from chaos_runner.render import site as pages_of
from chaos_runner.render.site import Site, runs
from chaos_runner.render.site.book import PAGE, named
from chaos_runner.render.site.rows import row
from chaos_runner.review import difference, trend
from tests.render.site.kit import EMPTY, WORDS, built, digests, poisoned, site
from tests.render.tree import Page
from tests.review.kit import DAY, NOON, run
from tools.sample_history import HISTORIES

GOLDEN = Path(__file__).parent / "golden"
PAGES = built(site())
STYLES_AND_SCRIPTS = re.compile(rb"<style>.*?</style>|<script>.*?</script>|sha256-[A-Za-z0-9+/=]+", re.DOTALL)


def _keys(whole: Site) -> dict[str, str]:
    return {page.name: page.key for page in pages_of.pages(whole)}


def _kept(name: str, content: bytes) -> None:
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    assert path.read_bytes() == content


@pytest.mark.parametrize("name", PAGES)
def test_a_known_site_gives_the_known_bytes(name: str) -> None:
    """Without style and script, which have tests of their own; UPDATE_GOLDEN=1 after a change that is meant."""
    _kept(name.replace("/", "-"), STYLES_AND_SCRIPTS.sub(b"", PAGES[name]))


@pytest.mark.parametrize(("kind", "ending"), [("as_html", "html"), ("as_json", "json"), ("as_text", "txt")])
def test_a_known_difference_gives_the_known_bytes(kind: str, ending: str) -> None:
    sides = []
    for name in ("held", "aborted"):
        history = HISTORIES[name]()
        folded = fold(history.entries)
        sides.append((folded, digested.of(folded, history.entries, history.samples)))
    told = getattr(pages_of, kind)(difference.between(*sides))
    content = told.encode() if isinstance(told, str) else told
    _kept(f"diff.{ending}", STYLES_AND_SCRIPTS.sub(b"", content))


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_balanced_names_its_policy_and_leads_only_to_pages_and_reports(name: str) -> None:
    page = Page(PAGES[name].decode())
    policy = next(value for tag, key, value in page.attributes if (tag, key) == ("meta", "content"))
    ids = [value for _, key, value in page.attributes if key == "id"]
    links = [value for _, key, value in page.attributes if key == "href" and not value.startswith("#")]
    here = Path(name).parent
    reports = {f"{one}.html" for one in site().reports}

    assert not page.unbalanced
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert len(ids) == len(set(ids))
    found = {os.path.normpath(here / link) for link in links}
    assert found <= set(PAGES) | reports


def test_every_run_is_in_the_pages_without_scripts_once() -> None:
    whole = Site(tuple(digests(600)), now=NOON)
    parts = {name: Page(content.decode()) for name, content in built(whole).items() if "/runs-" in name}
    told = [word for page in parts.values() for word in page.text if re.fullmatch(r"r\d+", word)]

    assert sorted(told) == sorted(one.run for one in whole.digests)
    assert len(parts) == -(-600 // PAGE)


def test_the_block_for_the_script_has_every_run_newest_first() -> None:
    block = json.loads(Page(PAGES["index.html"].decode()).scripts[0])
    assert [row[0] for row in block["rows"]] == [f"r{n}" for n in reversed(range(60))]
    assert set(block["verdicts"]) == set(WORDS)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2 * PAGE + 5))
def test_a_page_with_the_same_key_has_the_same_bytes(count: int) -> None:
    """The writer leaves out pages whose key is known: what is there already must be what would be written."""
    old, new = site(count), site(count + 1)
    before, after = _keys(old), _keys(new)
    same = [name for name in after if before.get(name) == after[name]]
    made = {page.name: page for page in pages_of.pages(old)}, {page.name: page for page in pages_of.pages(new)}

    assert all(made[0][name].make() == made[1][name].make() for name in same)


def test_one_more_run_changes_few_pages() -> None:
    before, after = _keys(site(2 * PAGE + 100)), _keys(site(2 * PAGE + 101))
    changed = sorted(name for name in after if before.get(name) != after[name])

    assert [re.sub("-[0-9a-f]{8}", "", name) for name in changed] == [
        "index.html",
        "site/coverage.html",
        "site/runs-0003.html",
        "site/trend-slow-payments.html",
        "site/trends.html",
    ]


def test_another_day_changes_only_what_counts_days() -> None:
    before, after = (_keys(site(now=NOON + days * DAY)) for days in (62, 63))
    assert [name for name in after if before[name] != after[name]] == ["site/coverage.html"]


def test_the_order_in_which_runs_are_told_does_not_matter() -> None:
    whole = site()
    turned = msgspec.structs.replace(whole, digests=whole.digests[::-1])
    assert built(turned) == PAGES


def test_a_report_that_appears_becomes_a_link() -> None:
    whole = site()
    more = msgspec.structs.replace(whole, reports=whole.reports | {"r57"})
    before, after = _keys(whole), _keys(more)
    assert {name.split("-")[0] for name in after if before[name] != after[name]} == {
        "index.html",
        "site/runs",
        "site/trend",
    }


def test_a_site_without_runs_is_a_site() -> None:
    found = built(EMPTY)
    assert set(found) == {"index.html", "site/trends.html", "site/coverage.html", "site/following.html"}
    assert "No run yet" in found["index.html"].decode()


def test_no_name_of_an_experiment_leads_out_of_the_folder_and_no_two_share_a_page() -> None:
    names = ["../../etc", "a/b", "", "Ünïcode", "a b", "a-b", "x" * 200, "index", "\x00", "..", "A-B"]
    found = named(trend.lines(run(n, experiment=name) for n, name in enumerate(names)))

    assert len(set(found.values())) == len(names)
    assert all(re.fullmatch(r"site/trend-[a-z0-9-]+-[0-9a-f]{8}\.html", name) for name in found.values())


def test_what_got_worse_is_on_the_first_page() -> None:
    fallen = Site((*(run(n) for n in range(3)), run(3, "ABORTED")), now=NOON)
    page = Page(built(fallen)["index.html"].decode())
    assert page.says("Worse: slow in staging: the run before HELD, this one is ABORTED")


def test_a_line_has_a_piece_for_each_stretch_without_a_break() -> None:
    name = next(name for name in PAGES if "trend-slow" in name)
    text = PAGES[name].decode()
    staging = text[text.index("In staging") :]
    chart = re.search(r'<svg id="shift-1-0".*?</svg>', staging, re.DOTALL)
    assert chart is not None
    assert chart[0].count('class="break"') == 1
    assert "load, plan changed" in chart[0]


def test_the_script_is_small() -> None:
    assert len(Page(PAGES["index.html"].decode()).scripts[1].encode()) < 8 * 1024


def test_the_first_page_of_five_thousand_runs_is_below_a_megabyte() -> None:
    whole = Site(tuple(digests(5000)), now=NOON)
    page = next(page for page in pages_of.pages(whole) if page.name == "index.html")
    assert len(page.make()) < 1_000_000


def test_the_filter_knows_a_stated_number_of_runs_and_says_so() -> None:
    whole = site()
    lines = trend.lines(whole.digests)
    rows = [row(point, True) for line in lines for point in line.points]
    page = Page(runs.index(rows, lines, named(lines), PAGE, whole, most=40).decode())
    assert page.says("The filters know the newest runs only; 20 older ones are on the pages below.")
    assert len(json.loads(page.scripts[0])["rows"]) == 40


def test_the_poison_reaches_every_free_text() -> None:
    told = msgspec.json.encode(poisoned(site(), lambda plain: "plain " + plain)).decode()
    for part in ("experiment", "title", "service", "environment", "why", "finding", "scenario", "reason", "check"):
        assert re.search(f'"{part}":"(plain |HELD)', told), part
