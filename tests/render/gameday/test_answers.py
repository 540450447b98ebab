"""The first screen: five questions, answered from the fold, and no green without evidence."""

from __future__ import annotations

import msgspec
import pytest

from chaos_runner import records
from chaos_runner.gameday import facts
from chaos_runner.gameday.stamps import Executed
from chaos_runner.history import fold
from chaos_runner.render.gameday import Before, Told, answers, before
from chaos_runner.render.gameday.told import Whole
from tests.render.gameday.kit import rendered
from tests.render.tree import Page
from tools import sample_day, sample_history
from tools.sample_day import DAYS
from tools.sample_history import START, History


def short(told: Told) -> dict[str, str]:
    return {one.key: one.short for one in answers.answers(Whole(told))}


@pytest.mark.parametrize(
    ("name", "held", "back", "tone"),
    [
        ("held", "Yes: 2 of 2 experiments held", "Yes", "good"),
        ("deviated", "No: 1 of 2 experiments held", "Yes", "bad"),
        ("aborted", "No: 1 of 2 experiments held", "Yes", "bad"),
        ("unknown", "Not known: 1 of 2 experiments held", "Yes", "unsure"),
        ("not_reverted", "No: 0 of 1 experiment held", "NO: 1 fault may still be there", "bad"),
        ("empty", "Nothing was tested", "Yes: nothing was touched", "unsure"),
    ],
)
def test_each_outcome_is_answered_in_words(name: str, held: str, back: str, tone: str) -> None:
    found = {one.key: one for one in answers.answers(Whole(DAYS[name]()))}

    assert (found["held"].short, found["held"].tone) == (held, tone)
    assert found["back"].short == back


@pytest.mark.parametrize("name", DAYS)
def test_the_answers_of_the_page_are_those_of_the_fold(name: str) -> None:
    told = DAYS[name]()
    page = Page(rendered(told))

    for one in answers.answers(Whole(told)):
        assert page.says(one.question)
        assert page.says(one.short)
        assert page.says(one.rest)


@pytest.mark.parametrize(
    ("name", "word"),
    [("held", "Within limits: "), ("deviated", "Yes: "), ("aborted", "Yes: "), ("unknown", "At least: "),
     ("empty", "No fault was injected")],
)  # fmt: skip
def test_whether_customers_were_hurt_has_the_figures_of_the_samples(name: str, word: str) -> None:
    whole = Whole(DAYS[name]())
    told, harm = answers.hurt(whole), whole.measured.harm

    assert told.short.startswith(word)
    if harm.requests is not None:
        assert f"{harm.requests} request" in told.short
        assert f"{harm.seconds} second" in told.short


def test_a_day_nobody_measured_hurt_an_unknown_number() -> None:
    told = DAYS["held"]()
    blind = tuple(msgspec.structs.replace(one, samples=()) for one in told.runs)

    assert short(msgspec.structs.replace(told, runs=blind))["hurt"] == "Not measured"


def _with(told: Told, n: int, entries: list[records.Entry]) -> Told:
    run = Executed(told.runs[n].step, fold(entries), tuple(entries), told.runs[n].samples)
    return msgspec.structs.replace(told, runs=(*told.runs[:n], run, *told.runs[n + 1 :]))


def test_an_undo_that_nobody_verified_is_not_put_back() -> None:
    told = DAYS["held"]()
    entries = list(told.runs[1].entries)
    end = records.RunEnded(records.Outcome("HELD", "nothing", "UNVERIFIED", ""))
    unsure = [*entries[:-1], msgspec.structs.replace(entries[-1], record=end)]

    assert short(_with(told, 1, unsure))["back"] == "Not proven"


def test_a_run_without_an_end_or_that_cannot_be_read_is_not_put_back() -> None:
    told = DAYS["held"]()
    early = [one for one in told.runs[1].entries if not isinstance(one.record, records.RunEnded)]

    assert short(_with(told, 1, early))["back"] == "Not proven"
    assert short(msgspec.structs.replace(told, lost={"r-9": "damaged"}))["back"] == "Not proven"


def test_what_the_drill_left_counts_too() -> None:
    told = DAYS["held"]()
    stuck = sample_day.moved(sample_history.not_reverted(), "r-drill", -1, START - 2000)

    found = short(msgspec.structs.replace(told, runs=(stuck, *told.runs[1:])))
    assert found["back"].startswith("NO: ")
    assert answers.headline(Whole(msgspec.structs.replace(told, runs=(stuck, *told.runs[1:])))) == "NOT_REVERTED"


def test_a_repeated_step_counts_once_by_its_last_run_and_all_its_harm() -> None:
    told = DAYS["aborted"]()
    again = sample_day.moved(sample_history.held(), "r-again", 1, START + 600)
    repeated = Whole(msgspec.structs.replace(told, runs=(*told.runs, again)))

    assert answers.held(repeated).short == "Yes: 2 of 2 experiments held"
    assert "580" not in answers.hurt(repeated).short
    assert (repeated.measured.harm.requests or 0) >= 580


# --- compared with last time -----------------------------------------------------------------------------------------


def _day(now: History, then: History) -> Told:
    ran = sample_day.moved(now, "r-one", 1, START)
    earlier = Before(sample_day.moved(then, "r-before", 1, START - 86400.0))
    return Told(DAYS["held"]().entries, (ran,), {"r-one": earlier})


@pytest.mark.parametrize(
    ("now", "then", "word"),
    [
        ("held", "held", "No"),
        ("aborted", "held", "Yes: 1 of 1 experiment"),
        ("held", "aborted", "No"),
        ("unknown", "held", "Yes: 1 of 1 experiment"),
    ],
)
def test_worse_is_a_worse_verdict(now: str, then: str, word: str) -> None:
    made = sample_history.HISTORIES

    assert short(_day(made[now](), made[then]()))["worse"] == word


def test_better_is_said_too() -> None:
    (change,) = before.compared(Whole(_day(sample_history.held(), sample_history.aborted())))

    assert change.worse == ()
    assert "ABORTED → HELD" in change.better


def test_a_recovery_that_took_longer_than_the_rule_allows_is_worse() -> None:
    slow = sample_history.held()
    entries = [
        msgspec.structs.replace(one, record=msgspec.structs.replace(one.record, seconds=27.0))
        if isinstance(one.record, records.RecoveryMeasured)
        else one
        for one in slow.entries
    ]
    (change,) = before.compared(Whole(_day(History(entries, slow.samples), sample_history.held())))

    assert any("time to restore" in one for one in change.worse)


def test_another_file_is_shown_and_not_compared() -> None:
    then = sample_history.held()
    started = then.entries[0].record
    assert isinstance(started, records.RunStarted)
    other = msgspec.structs.replace(started, plan={**started.plan, "sha256": "00" * 32})
    told = _day(sample_history.aborted(), History([msgspec.structs.replace(then.entries[0], record=other),
                                                   *then.entries[1:]], then.samples))  # fmt: skip
    (change,) = before.compared(Whole(told))

    assert change.unlike == "the experiment's file changed since"
    assert change.worse == change.better == ()
    assert len(change.rows) > 3
    assert short(told)["worse"] == "Cannot be compared"


# --- actions ---------------------------------------------------------------------------------------------------------


def test_the_most_urgent_open_action_is_named_with_its_owner_and_date() -> None:
    told = DAYS["aborted"]()

    assert short(told)["does"].startswith("Otto Brandt by 2026-09-05: Give checkout's call")
    settled = [facts.ActionSettled(one, "done", "Sue", "done") for one in ("a1b2-01", "a1b2-02")]
    last = told.entries[-1]
    more = [msgspec.structs.replace(last, seq=last.seq + n, fact=one) for n, one in enumerate(settled, 1)]
    assert short(msgspec.structs.replace(told, entries=(*told.entries, *more)))["does"] == "Nothing is open"


def test_a_retracted_stamp_stays_on_the_timeline_and_out_of_the_figures() -> None:
    page = Page(rendered(DAYS["aborted"]()))

    assert page.says("taken back by Sue Park: I looked at the wrong board")
    assert not page.says("person: Sue Park")
