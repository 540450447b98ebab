"""`report index` and `report diff`: what the site shows of a real store, and what is written again."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from chaos_runner import store
from chaos_runner.cli import digesting, site
from chaos_runner.gameday.facts import ActionAdded, ActionSettled, DayEnded, DayStarted
from chaos_runner.records import Noted
from chaos_runner.review import digest
from tests.cli.conftest import Call
from tests.gameday.kit import scenario
from tests.render.tree import Page
from tools import many_runs

NOW = many_runs.START + 40 * many_runs.DAY


@pytest.fixture(name="state", scope="module")
def _state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four runs of the engine."""
    state = tmp_path_factory.mktemp("many") / ".chaos-runner"
    many_runs.fill(state, 24)
    return state


@pytest.fixture(name="ledger")
def _ledger(state: Path, home: Path) -> Path:
    """A copy of them that a test may harm."""
    return Path(shutil.copytree(state, home / "state"))


def _files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def _harm(ledger: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(ledger / "ledger.sqlite") as con:
        assert con.execute(statement, values).rowcount


def test_one_more_run_gives_the_bytes_of_a_full_rebuild(ledger: Path, home: Path) -> None:
    site.build(ledger, home / "step", now=NOW)
    for n in range(24, 27):
        many_runs.fill(ledger, 1, first=n)
        built = site.build(ledger, home / "step", now=NOW)
        assert built.digested == 1
        assert built.written < built.pages
    site.build(ledger, home / "whole", now=NOW)

    assert _files(home / "step") == _files(home / "whole")


def test_nothing_new_writes_nothing(ledger: Path, home: Path) -> None:
    site.build(ledger, home / "reports", now=NOW)
    stamps = {path: path.stat().st_mtime_ns for path in (home / "reports").rglob("*") if path.is_file()}
    built = site.build(ledger, home / "reports", now=NOW)

    assert (built.digested, built.written) == (0, 0)
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE record SET payload = x'00' WHERE run = ? AND seq = 2",
        "DELETE FROM record WHERE run = ? AND seq = 3",
        "UPDATE sample SET crc = crc + 1 WHERE run = ?",
    ],
)
def test_a_damaged_run_is_listed_as_unreadable_and_breaks_nothing(
    ledger: Path, home: Path, call: Call, harm: str
) -> None:
    whole = site.build(ledger, home / "before", now=NOW)
    _harm(ledger, "DELETE FROM digest")
    run = store.open_store(ledger, read_only=True).runs(limit=5)[4].run
    _harm(ledger, harm, run)

    said = call("report", "index")
    assert said.code == 0
    assert said.out == "reports/index.html\n"
    assert "24 runs (23 new); 1 cannot be read" in said.err
    page = Page((home / "reports/index.html").read_text())
    assert page.says("1 UNREADABLE")
    assert page.says(run)
    assert page.says(f"run {run}")
    assert whole.unreadable == 0


def test_several_processes_make_the_digests_that_one_makes(ledger: Path) -> None:
    with store.open_store(ledger, read_only=True) as opened:
        runs = [one.run for one in opened.runs()]
    _harm(ledger, "UPDATE sample SET crc = crc + 1 WHERE run = ?", runs[3])
    alone = digesting.part(ledger, [*runs, "without-records"])

    assert digesting.made(ledger, [*runs, "without-records"], many=2) == alone
    assert [one.run for one in alone if one.why] == [runs[3]]
    assert [found.run for one in alone if (found := digest.decoded(one.payload))] == [
        one.run for one in alone if not one.why
    ]


def test_a_digest_that_cannot_be_read_is_made_anew(ledger: Path, home: Path) -> None:
    site.build(ledger, home / "before", now=NOW)
    _harm(ledger, "UPDATE digest SET payload = x'7b' WHERE rowid IN (SELECT rowid FROM digest LIMIT 3)")
    built = site.build(ledger, home / "after", now=NOW)

    assert (built.digested, built.unreadable) == (3, 0)
    assert _files(home / "before") == _files(home / "after")


def test_a_record_after_the_digest_makes_a_new_one(ledger: Path, home: Path) -> None:
    site.build(ledger, home / "reports", now=NOW)
    with store.open_store(ledger, allow_tmpfs=True) as opened:
        run = opened.runs(limit=1)[0].run
        opened.append(run, Noted("ann", "a late note"), NOW, 99.0)
    assert site.build(ledger, home / "reports", now=NOW).digested == 1


def test_the_end_of_a_run_makes_its_own_digest_first_and_leaves_many_others_for_later(ledger: Path, home: Path) -> None:
    with store.open_store(ledger, read_only=True) as opened:
        mine = opened.runs(limit=1)[0].run
    built = site.build(ledger, home / "reports", now=NOW, run=mine, most=3)
    assert built.digested == 3
    page = Page((home / "reports/index.html").read_text())
    assert page.says("24 runs")
    assert page.says(site.LATER)
    assert site.LATER not in _line(page, mine)
    site.build(ledger, home / "reports", now=NOW)
    site.build(ledger, home / "whole", now=NOW)
    assert _files(home / "reports") == _files(home / "whole")


def _line(page: Page, run: str) -> str:
    told = "".join(page.text)
    start = told.index(run)
    return told[start : told.index("\n", start)]


def test_a_run_that_is_not_over_is_in_the_list(ledger: Path, home: Path, call: Call) -> None:
    _harm(ledger, "UPDATE run SET state = 'RUNNING', headline = '' WHERE place = 5")
    _harm(ledger, "UPDATE summary SET ended_at = NULL, headline = '' WHERE place = 5")
    assert call("report", "index").code == 0
    assert Page((home / "reports/index.html").read_text()).says("1 UNFINISHED")


def test_game_days_open_actions_and_skips_are_followed_up(ledger: Path, home: Path) -> None:
    with store.open_store(ledger, allow_tmpfs=True) as opened:
        for name, told in (("day-1", {}), ("day-2", msgspec.to_builtins(scenario()))):
            begun = DayStarted(scenario=told, file="x.yaml", files={}, versions={}, actor="fay")
            epoch = opened.begin_day(name, scenario="outage", environment="demo", owner=store.Owner.mine(), fact=begun)
            opened.say(name, ActionAdded(id="a1", finding="a louder alert", who="fay", due="2026-01-02"))
            opened.say(name, ActionAdded(id="a2", finding="done at once", who="fay"))
            opened.say(name, ActionSettled(id="a2", state="done", who="fay", reason="it was easy"))
            opened.end_day(name, epoch, DayEnded(how="finished"))
        lease = opened.hold_lease("me", 60).epoch
        opened.add_skips([store.SlotRow("nightly", NOW, "SKIP", reason="the budget is spent", missed=2)], lease)
    (home / "reports").mkdir()
    (home / "reports/day-2.html").touch()
    site.build(ledger, home / "reports", now=NOW)
    page = Page((home / "reports/site/following.html").read_text())

    assert page.says("2026-01-02 overdue")
    assert page.says("a louder alert")
    assert not page.says("done at once")
    assert page.says("unreadable")
    assert page.says("nightly")
    assert page.says("the budget is spent")
    assert ("a", "href", "../day-2.html") in page.attributes
    assert Page((home / "reports/index.html").read_text()).says("1 open action, 1 overdue.")


def test_what_is_not_ours_in_the_folder_stays(ledger: Path, home: Path) -> None:
    theirs = home / "reports/site/notes.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    told = {"schemaVersion": 1, "pages": {"site/old.html": "k", "../secret.html": "k", "site/../../secret.html": "k"}}
    (theirs.parent / "manifest.json").write_text(json.dumps(told))
    (theirs.parent / "old.html").write_text("a page of an earlier site")
    secret = home / "secret.html"
    secret.write_text("not ours")
    site.build(ledger, home / "reports", now=NOW)

    assert theirs.read_text() == "mine"
    assert secret.read_text() == "not ours"
    assert not (theirs.parent / "old.html").exists()


def test_a_torn_manifest_costs_only_time(ledger: Path, home: Path) -> None:
    site.build(ledger, home / "reports", now=NOW)
    before = _files(home / "reports")
    (home / "reports/site/manifest.json").write_bytes(b"{")
    built = site.build(ledger, home / "reports", now=NOW)

    assert built.written == built.pages
    assert _files(home / "reports") == before


def test_a_ledger_that_cannot_be_written_still_has_a_site(ledger: Path, home: Path) -> None:
    with sqlite3.connect(ledger / "ledger.sqlite") as con:
        con.execute("CREATE TRIGGER full BEFORE INSERT ON digest BEGIN SELECT RAISE(ABORT, 'full'); END")
    built = site.build(ledger, home / "reports", now=NOW)
    assert (built.runs, built.digested) == (24, 24)
    assert (home / "reports/index.html").is_file()


def test_builders_take_turns_and_no_reader_sees_half_a_page(ledger: Path, home: Path) -> None:
    words = [sys.executable, "-m", "chaos_runner", "report", "index"]
    going = [subprocess.Popen(words, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(3)]
    index = home / "reports/index.html"
    while any(one.poll() is None for one in going):
        if index.exists():
            assert index.read_text().endswith("</html>\n")
    assert [(one.returncode, one.communicate()[1].count(b"warning")) for one in going] == [(0, 0)] * 3
    assert not list((home / "reports").rglob("*.new"))


def test_a_folder_that_cannot_be_written_is_a_sentence(ledger: Path, home: Path, call: Call) -> None:
    (home / "taken").write_text("a file")
    said = call("report", "index", "--reports", "taken")
    assert said.code == 2
    assert "cannot be written" in said.err


def test_two_runs_can_be_put_side_by_side(ledger: Path, home: Path, call: Call) -> None:
    said = call("report", "diff", "checkout-sur-00000", "checkout-sur-00008")
    assert said.code == 0
    assert "recovery took" in said.out or "figures" in said.out
    told = call("report", "diff", "checkout-sur-00000", "checkout-sur-00008", "--format", "json").json
    assert told["first"]["run"] == "checkout-sur-00000"
    assert call("report", "diff", "checkout-sur-00000", "checkout-sur-00008", "--format", "html").out == (
        "reports/diff-checkout-sur-00000-checkout-sur-00008.html\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("diff", "checkout-sur-00000"), "name one run, or: chaos-runner report index"),
        (("diff", "checkout-sur", "checkout-sur-00000"), "names several runs"),
        (("diff", "none", "checkout-sur-00000"), "names no run"),
        (
            ("diff", "checkout-sur-00000", "checkout-sur-00008", "--format", "junit"),
            "there is no junit of the difference",
        ),
        (("checkout-sur-00000", "--format", "text"), "there is no text of one run"),
    ],
)
def test_a_wrong_word_is_a_sentence(ledger: Path, call: Call, words: tuple[str, ...], said: str) -> None:
    answer = call("report", *words)
    assert answer.code == 2
    assert said in answer.err


def test_one_run_is_still_named_by_its_beginning(ledger: Path, call: Call) -> None:
    assert call("report", "checkout-sur-00000").out == "reports/checkout-sur-00000.html\n"
    assert call("report", "--format", "markdown").out.startswith("## ")
    assert [path.name for path in Path("reports").iterdir()] == ["checkout-sur-00000.html"]
