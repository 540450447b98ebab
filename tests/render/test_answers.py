"""The first screen answers from the records, and says where they do not know."""

from __future__ import annotations

import msgspec
import pytest

from chaos_runner import records, store
from chaos_runner.cli import report
from chaos_runner.history import Run, fold
from chaos_runner.records import ClauseJudged, Outcome
from chaos_runner.render import answers, html, planned, story
from chaos_runner.store import Owner, Stamped
from tests.render.tree import Page
from tools.sample_history import HISTORIES, START, History

HELD, HURT, BACK = "held", "hurt", "back"
TOLD = {
    "held": ("Yes", "Yes: 2 requests in 2 seconds", "Yes"),
    "deviated": ("No", "Yes: 50 requests in 29 seconds", "Yes"),
    "aborted": ("No", "Yes: 578 requests in 18 seconds", "Yes"),
    "unknown": ("Not known", "Yes: 1 request in 1 second", "Yes"),
    "not_reverted": ("No", "Yes: 2\u202f761 requests in 73 seconds", "NO: 1 of 1 fault left"),
    "not_started": ("Not tested", "No fault was injected", "Nothing was changed"),
    "crashed": ("Not known", "Yes: 1 request in 1 second", "NO: 1 of 1 fault left"),
    "lever": ("Not known", "Yes: 1 request in 1 second", "Yes"),
}


def told(history: History, earlier: Run | None = None) -> dict[str, answers.Answer]:
    run = fold(history.entries)
    return {one.key: one for one in answers.answers(run, planned.read(run), history.samples, earlier)}


@pytest.mark.parametrize("name", HISTORIES)
def test_each_outcome_has_its_answers(name: str) -> None:
    found = told(HISTORIES[name]())

    assert tuple(found[key].short for key in (HELD, HURT, BACK)) == TOLD[name]


@pytest.mark.parametrize("name", HISTORIES)
def test_the_harm_is_what_a_count_by_hand_finds(name: str) -> None:
    history = HISTORIES[name]()
    since = next((one.t for one in history.entries if isinstance(one.record, records.FaultInjected)), None)
    if since is None:
        return
    mine = [one for one in history.samples if one.check == "shoppers" and one.tick + 1 > since]
    worst = [max((count.bad for count in one.counts), default=0) for one in mine]
    total, seconds = sum(worst), sum(bad > 0 for bad in worst)
    short = told(history)[HURT].short.replace("\u202f", "")

    assert short.startswith(f"Yes: {total} request" if total else "No: 0 requests")
    assert f"in {seconds} second" in short or not total


def test_a_run_that_counted_nothing_was_not_measured_rather_than_harmless() -> None:
    history = HISTORIES["aborted"]()

    assert told(History(history.entries, []))[HURT].short == "Not measured"


def _ended(history: History, **axes: str) -> History:
    last = history.entries[-1]
    assert isinstance(last.record, records.RunEnded)
    outcome = msgspec.structs.replace(last.record.outcome, **axes)
    changed = msgspec.structs.replace(last.record, outcome=outcome)
    return History([*history.entries[:-1], msgspec.structs.replace(last, record=changed)], history.samples)


@pytest.mark.parametrize(
    ("cleanup", "short", "tone"),
    [
        ("CLEAN", "Yes", "good"),
        ("WATCHING", "Yes, and still watched", "unsure"),
        ("UNVERIFIED", "Not verified", "unsure"),
        ("LEFT", "NO: some of 1 fault left", "alarm"),
    ],
)
def test_only_a_clean_end_is_a_plain_yes(cleanup: str, short: str, tone: str) -> None:
    found = told(_ended(HISTORIES["held"](), cleanup=cleanup))[BACK]

    assert (found.short, found.tone) == (short, tone)


RANKED = ["held", "deviated", "aborted", "not_reverted"]


@pytest.mark.parametrize("now", RANKED)
@pytest.mark.parametrize("then", RANKED)
def test_a_worse_outcome_is_worse_than_last_time(now: str, then: str) -> None:
    found = told(HISTORIES[now](), fold(HISTORIES[then]().entries))["worse"]
    more = RANKED.index(now) - RANKED.index(then)

    assert found.short.startswith("Yes" if more > 0 else "No, better" if more < 0 else "No: as last time")


@pytest.mark.parametrize("name", ["unknown", "not_started", "crashed"])
def test_what_concludes_nothing_is_compared_with_nothing(name: str) -> None:
    earlier = fold(HISTORIES["held"]().entries)

    assert told(HISTORIES[name](), earlier)["worse"].short == "Not known"
    assert told(HISTORIES["held"](), fold(HISTORIES[name]().entries))["worse"].short == "Not known"


def _with_bad(bad: int) -> Run:
    judged = (ClauseJudged("shoppers", "success >= 99%", "ok", "", 1000 - bad, bad, 0),)
    return Run(id="r", outcome=Outcome("HELD", "nothing", "CLEAN"), clauses=judged, started_at=START)


@pytest.mark.parametrize(
    ("then", "now", "short"),
    [
        (0, 0, "No: as last time"),
        (5, 9, "No: as last time"),
        (5, 40, "Yes: more bad requests"),
        (40, 5, "No, better: fewer bad requests"),
        (0, 1000, "Yes: more bad requests"),
    ],
)
def test_with_the_same_outcome_only_a_sure_difference_of_shares_counts(then: int, now: int, short: str) -> None:
    assert answers.worse(_with_bad(now), _with_bad(then)).short == short


def test_a_changed_file_is_said_beside_the_comparison() -> None:
    earlier = fold(HISTORIES["held"]().entries)
    assert "changed since" not in told(HISTORIES["held"](), earlier)["worse"].rest
    earlier.plan = {**earlier.plan, "sha256": "another"}

    assert "file or environment changed since" in told(HISTORIES["held"](), earlier)["worse"].rest


def test_the_page_compares_with_the_run_before_and_not_with_one_after(tmp_path: object) -> None:
    """From a real store: the first run has nobody before it, also once there is a second one."""
    state = tmp_path / "state"  # type: ignore[operator]
    with store.open_store(state, allow_tmpfs=True) as ledger:
        for run_id, name in (("r1", "held"), ("r2", "unknown"), ("r3", "aborted")):
            _kept(ledger, run_id, HISTORIES[name]())
    pages = [Page(report.rendered(run_id, state, "html").decode()) for run_id in ("r1", "r3")]

    assert pages[0].says("no earlier conclusive run is at hand")
    assert pages[1].says("Yes: ABORTED after HELD")


def _kept(ledger: store.Store, run_id: str, history: History) -> None:
    first, *rest = history.entries
    epoch = ledger.begin_run(
        run_id, environment="staging", experiment="slow", owner=Owner.mine(), connections={},
        deadline_at=START + 99, runs_at_once=1, record=Stamped(first.record, first.at, first.t),
    )  # fmt: skip
    for one in rest[:-1]:
        ledger.append(run_id, one.record, one.at, one.t, epoch)
    ledger.add_samples(run_id, history.samples)
    headline = story.headline(fold(history.entries))
    ledger.end_run(run_id, epoch, headline, record=Stamped(rest[-1].record, rest[-1].at, rest[-1].t))


def test_reports_without_an_earlier_run_say_so() -> None:
    history = HISTORIES["held"]()
    page = Page(html.render(fold(history.entries), history.entries, history.samples).decode())

    assert page.says("no earlier conclusive run is at hand")
