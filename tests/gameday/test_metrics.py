"""The figures of a day: each the difference of two stamps with their sources, never a number that nobody stamped."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos_runner import records
from chaos_runner.gameday import metrics
from chaos_runner.gameday.day import fold
from chaos_runner.gameday.facts import (
    ActionAdded,
    ActionSettled,
    AlertFired,
    AlertsUnread,
    AnyFact,
    Believed,
    DrillEnded,
    Entry,
    HaltAsked,
    IncidentDeclared,
    Mark,
    Marked,
    ObjectiveJudged,
    Predicted,
    Retracted,
    StepBegan,
)
from chaos_runner.gameday.metrics import Measured
from chaos_runner.gameday.stamps import Executed
from chaos_runner.history import fold as fold_run
from tests.gameday import kit
from tools import sample_history
from tools.sample_history import History

RUN_AT = kit.STARTED_AT + 1000.0
CONFIRMED = 32.0  # seconds into the sample runs, when their fault was confirmed
STEP = 1
ALERTS: dict[str, Any] = {"expect": [{"name": "CheckoutSlow", "within": 60.0}], "forbid": ["DataLoss"]}
TARGETS = {"detect": 30.0, "acknowledge": 60.0, "rto": 300.0}
KEYS = ("ttd", "tta", "ttm", "ttr", "rto", "halt")


def ran(history: History, start: float = RUN_AT, step: int = STEP, run: str = "r-one") -> Executed:
    entries = tuple(msgspec.structs.replace(one, run=run, at=start + one.t) for one in history.entries)
    return Executed(step, fold_run(list(entries)), entries, tuple(history.samples))


def told(*facts: AnyFact | tuple[float, AnyFact]) -> list[Entry]:
    """The facts of a day whose alerts and targets are known; a pair says when the fact was appended."""
    of = kit.scenario(alerts=ALERTS, targets=TARGETS)
    plain = [one[1] if isinstance(one, tuple) else one for one in facts]
    found = kit.entries(*plain, of=of)
    for n, one in enumerate(facts, 1):
        if isinstance(one, tuple):
            found[n] = msgspec.structs.replace(found[n], at=one[0])
    return found


def measured(*facts: AnyFact | tuple[float, AnyFact], runs: tuple[Executed, ...] | None = None) -> Measured:
    entries = told(*facts)
    return metrics.measured(fold(entries), entries, (ran(sample_history.aborted()),) if runs is None else runs)


def mark(name: Mark, after_s: float, who: str = "rob", step: int = STEP) -> Marked:
    """A person's stamp, so many seconds after the confirmed fault."""
    return Marked(name, RUN_AT + CONFIRMED + after_s, who, step=step)


def fired(after_s: float, name: str = "CheckoutSlow", **more: Any) -> AlertFired:
    return AlertFired(name, {"team": "shop"}, RUN_AT + CONFIRMED + after_s, step=STEP, **more)


def values(found: Measured) -> dict[str, float | None]:
    return {key: found.steps[0].of(key).value for key in KEYS}


# --- the definitions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "key", "value", "source", "state"),
    [
        ((mark("detected", 20.0),), "ttd", 20.0, "person", "met"),
        ((mark("evidence", 25.0),), "ttd", 25.0, "person", "met"),
        ((mark("detected", 40.0),), "ttd", 40.0, "person", "missed"),
        ((fired(9.0), mark("detected", 20.0)), "ttd", 9.0, "alertmanager", "met"),
        ((fired(30.0), mark("detected", 20.0)), "ttd", 20.0, "person", "met"),
        ((fired(9.0, name="SomethingElse"), mark("detected", 20.0)), "ttd", 20.0, "person", "met"),
        ((fired(9.0, state="suppressed"), mark("detected", 20.0)), "ttd", 20.0, "person", "met"),
        ((fired(9.0), mark("acknowledged", 20.0)), "tta", 11.0, "person", "met"),
        ((mark("detected", 5.0), mark("acknowledged", 90.0)), "tta", 85.0, "person", "missed"),
        ((mark("mitigated", 50.0),), "ttm", 50.0, "person", "measured"),
        ((), "ttm", 16.0, "tool", "measured"),  # the last second as bad as the abort rule looks for ended then
        ((), "ttr", 7.05, "tool", "measured"),
        ((), "rto", 19.214, "tool", "met"),
        ((), "halt", 0.152, "tool", "measured"),
    ],
)
def test_a_duration_runs_between_the_first_stamps_of_its_definition(
    facts: tuple[AnyFact, ...], key: str, value: float, source: str, state: str
) -> None:
    found = measured(*facts).steps[0].of(key)

    assert found.value == pytest.approx(value, abs=1e-4)
    assert found.end is not None
    assert found.start is not None
    assert (found.end.source, found.state) == (source, state)
    assert found.end.at - found.start.at == pytest.approx(found.value, abs=1e-4)


def test_the_fault_begins_when_it_is_confirmed_not_when_it_was_asked_for() -> None:
    start = measured(mark("detected", 20.0)).steps[0].of("ttd").start

    assert start is not None
    assert start.at == pytest.approx(RUN_AT + CONFIRMED)
    assert (start.source, start.name) == ("tool", "fault confirmed")


def test_what_has_no_stamp_is_not_recorded_and_never_zero() -> None:
    found = measured()
    blank = [one for one in (*found.steps[0].metrics, *found.day) if one.value is None]

    assert {one.key for one in blank} >= {"ttd", "tta", "budget", "hits", "brier", "drill", "actions"}
    assert all((one.state, bool(one.why)) == ("not recorded", True) for one in blank)


@pytest.mark.parametrize("name", ["not_started", "crashed", "not_reverted"])
def test_a_run_without_an_end_has_no_time_to_restore(name: str) -> None:
    found = measured(runs=(ran(sample_history.HISTORIES[name]()),)).steps[0]

    assert [found.of(key).value for key in ("ttr", "rto", "halt")] == [None] * 3


def test_a_fault_that_was_not_confirmed_begins_nothing() -> None:
    entries = [one for one in sample_history.held().entries if not isinstance(one.record, records.FaultConfirmed)]
    found = measured(mark("detected", 20.0), runs=(ran(History(entries, [])),)).steps[0].of("ttd")

    assert (found.value, found.why) == (None, "no stamp of the confirmed fault")


def test_the_undo_counts_from_its_verification() -> None:
    history = sample_history.aborted()
    gone = next(one for one in history.entries if isinstance(one.record, records.FaultReverted))
    doubt = msgspec.structs.replace(gone.record, verified=False)
    entries = [msgspec.structs.replace(one, record=doubt) if one is gone else one for one in history.entries]

    assert measured(runs=(ran(History(entries, [])),)).steps[0].of("ttr").value is None


# --- contradictions --------------------------------------------------------------------------------------------------


def test_a_detection_from_before_the_fault_is_said_and_not_counted() -> None:
    found = measured(mark("detected", -12.0, "ada")).steps[0].of("ttd")

    assert (found.value, found.state) == (None, "contradictory")
    assert found.doubts == ("the detection by ada is 12.0 s before the confirmed fault: it does not count",)


def test_a_good_stamp_counts_beside_a_contradictory_one_which_is_still_said() -> None:
    found = measured(mark("detected", -12.0, "ada"), mark("detected", 20.0)).steps[0].of("ttd")

    assert (found.value, found.state, len(found.doubts)) == (20.0, "met", 1)


def test_an_acknowledgement_from_before_the_detection_is_a_contradiction() -> None:
    found = measured(mark("detected", 20.0), mark("acknowledged", 10.0)).steps[0].of("tta")

    assert (found.value, found.state) == (None, "contradictory")
    assert "10.0 s before the detection" in found.why


def test_an_alert_from_before_the_fault_tells_of_something_else() -> None:
    assert measured(fired(-40.0)).steps[0].of("ttd").value is None


@pytest.mark.parametrize(("after_s", "doubts"), [(10.0, 1), (15.5, 0), (50.0, 0)])
def test_users_who_were_measured_as_harmed_after_the_stamp_that_ends_it_are_said(after_s: float, doubts: int) -> None:
    found = measured(mark("mitigated", after_s, "rita")).steps[0].of("ttm")

    assert (found.value, len(found.doubts)) == (after_s, doubts)
    if doubts:
        assert found.doubts == ("the steady state was measured as violated for 6.0 s after the stamp by rita",)


# --- laws ------------------------------------------------------------------------------------------------------------

MARKS = st.builds(
    mark,
    st.sampled_from(["detected", "acknowledged", "mitigated", "restored", "evidence"]),
    st.integers(-30, 300).map(float),
    st.sampled_from(["rob", "rita", "sue"]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(MARKS, max_size=6), st.lists(MARKS, max_size=4), st.randoms(use_true_random=False))
def test_retracted_marks_count_nowhere(kept: list[Marked], gone: list[Marked], order: Any) -> None:
    every = [(one, True) for one in kept] + [(one, False) for one in gone]
    order.shuffle(every)
    taken = [Retracted(n, "sue", "wrong") for n, (_, stays) in enumerate(every, 2) if not stays]
    left = [one for one, stays in every if stays]

    assert values(measured(*(one for one, _ in every), *taken)) == values(measured(*left))


@settings(max_examples=40, deadline=None)
@given(st.lists(MARKS, max_size=6), st.randoms(use_true_random=False))
def test_the_order_in_which_marks_were_said_changes_no_figure(marks: list[Marked], order: Any) -> None:
    other = list(marks)
    order.shuffle(other)

    assert values(measured(*marks)) == values(measured(*other))


@settings(max_examples=40, deadline=None)
@given(st.lists(MARKS, max_size=6))
def test_no_duration_is_negative(marks: list[Marked]) -> None:
    assert all(value is None or value >= 0 for value in values(measured(*marks)).values())


BASE = {"detected": 20.0, "acknowledged": 40.0, "mitigated": 60.0}


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([("acknowledged", "tta"), ("mitigated", "ttm")]), st.floats(0.5, 19.5))
def test_backdating_a_mark_moves_exactly_one_figure_by_as_much(pair: tuple[Mark, str], by: float) -> None:
    name, key = pair
    before = values(measured(*(mark(one, t) for one, t in BASE.items())))  # type: ignore[arg-type]
    marks = [mark(one, t - by if one == name else t) for one, t in BASE.items()]  # type: ignore[arg-type]
    after = values(measured(*marks))

    assert {one for one in KEYS if before[one] != after[one]} == {key}
    assert (before[key] or 0) - (after[key] or 0) == pytest.approx(by, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.5, 19.5))
def test_backdating_the_detection_gives_to_the_acknowledgement_what_it_takes(by: float) -> None:
    before = values(measured(*(mark(one, t) for one, t in BASE.items())))  # type: ignore[arg-type]
    marks = [mark(one, t - by if one == "detected" else t) for one, t in BASE.items()]  # type: ignore[arg-type]
    after = values(measured(*marks))

    assert {one for one in KEYS if before[one] != after[one]} == {"ttd", "tta"}
    assert (after["tta"] or 0) + (after["ttd"] or 0) == pytest.approx((before["tta"] or 0) + (before["ttd"] or 0))


# --- whose stamp it is -----------------------------------------------------------------------------------------------


def test_a_stamp_filed_under_a_note_belongs_to_the_run_that_had_just_ended() -> None:
    assert measured(mark("detected", 20.0, step=2)).steps[0].of("ttd").value == 20.0


def test_a_backdated_stamp_filed_under_the_next_run_belongs_to_the_one_before() -> None:
    later = ran(sample_history.held(), RUN_AT + 600, step=2, run="r-two")
    found = measured(mark("detected", 20.0, step=2), runs=(ran(sample_history.aborted()), later))

    assert [one.of("ttd").value for one in found.steps] == [20.0, None]


def test_a_stamp_belongs_to_the_attempt_that_went_on() -> None:
    again = ran(sample_history.held(), RUN_AT + 600, run="r-again")
    found = measured(mark("detected", 620.0), runs=(ran(sample_history.aborted()), again))

    assert [one.of("ttd").value for one in found.steps] == [None, 20.0]


def test_a_stamp_from_before_any_run_is_named_and_counts_nowhere() -> None:
    found = measured(Marked("detected", RUN_AT - 50, "rob", step=-1))

    assert found.unplaced == ("detection by rob",)
    assert found.steps[0].of("ttd").value is None


# --- halting ---------------------------------------------------------------------------------------------------------


def test_a_person_who_pulled_the_lever_begins_the_halt() -> None:
    pull = HaltAsked("abe", "environment.demo", RUN_AT + 40.05)
    found = measured(pull, runs=(ran(sample_history.lever()),)).steps[0].of("halt")

    assert found.value == pytest.approx(0.15, abs=1e-4)
    assert found.start is not None
    assert (found.start.source, found.start.name) == ("person", "abe")


def test_declaring_an_incident_begins_the_halt_too() -> None:
    facts = (RUN_AT + 40.1, IncidentDeclared("inge", "it is real"))
    found = measured(facts, runs=(ran(sample_history.lever()),)).steps[0].of("halt")

    assert found.value == pytest.approx(0.1, abs=1e-4)


def test_a_pull_does_not_begin_the_halt_of_a_run_that_stopped_itself() -> None:
    pull = HaltAsked("abe", "environment.demo", RUN_AT + 60)

    assert measured(pull).steps[0].of("halt").value == pytest.approx(0.152, abs=1e-4)


@pytest.mark.parametrize(
    ("drill", "value", "why"),
    [
        (DrillEnded("r-d", "abe", 0.4), 0.4, ""),
        (DrillEnded("r-d", "abe", None, "the run never began"), None, "the run never began"),
        (None, None, "no drill"),
    ],
)
def test_the_drill_has_the_time_of_its_record(drill: DrillEnded | None, value: float | None, why: str) -> None:
    found = measured(*([drill] if drill else [])).of("drill")

    assert (found.value, found.why) == (value, why)


# --- alerts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "fate", "precision"),
    [
        ((fired(9.0),), "on time", 1.0),
        ((fired(61.0),), "late", 0.0),
        ((), "missing", 0.0),
        ((fired(-40.0),), "missing", 0.0),
        (((RUN_AT + 10, AlertsUnread("refused")),), "unknown", None),
        (((RUN_AT - 10, AlertsUnread("refused")), (RUN_AT - 5, AlertsUnread(readable=True))), "missing", 0.0),
        (((RUN_AT + 10, AlertsUnread("refused")), (RUN_AT + 41, fired(9.0))), "on time", 1.0),
    ],
    ids=["on time", "late", "missing", "before", "unread", "unread before", "unread, then fired"],
)
def test_an_expected_alert_is_in_time_late_missing_or_unknown(
    facts: tuple[Any, ...], fate: str, precision: float | None
) -> None:
    found = measured(*facts)

    assert found.alerts[0].fate == fate
    assert found.of("precision").value == precision


@pytest.mark.parametrize(
    ("facts", "fate"),
    [
        ((), "silent"),
        ((fired(9.0, name="DataLoss"),), "fired"),
        ((fired(9.0, name="DataLoss", state="pending"),), "silent"),
        (((RUN_AT + 10, AlertsUnread("refused")),), "unknown"),
    ],
)
def test_a_forbidden_alert_is_silent_only_where_somebody_listened(facts: tuple[Any, ...], fate: str) -> None:
    assert measured(*facts).alerts[1].fate == fate


def test_an_alert_that_was_pending_fires_when_it_was_read_as_firing() -> None:
    at = RUN_AT + CONFIRMED
    facts = ((at + 2, fired(1.0, state="pending")), (at + 12, fired(1.0)))

    assert measured(*facts).steps[0].of("ttd").value == pytest.approx(12.0)


# --- harm ------------------------------------------------------------------------------------------------------------


def test_a_request_that_breaks_two_clauses_is_harmed_once() -> None:
    history = sample_history.aborted()
    since = min(one.t for one in history.entries if isinstance(one.record, records.FaultInjected))
    worst = sum(
        max(count.bad for count in one.counts)
        for one in history.samples
        if one.check == "shoppers" and one.tick + 1 > since
    )

    harm = measured(runs=(ran(history),)).harm
    assert harm.requests == worst > 0
    assert harm.of >= worst
    assert harm.seconds is not None


def test_a_request_that_is_bad_for_one_clause_and_unknown_for_another_is_known() -> None:
    history = sample_history.aborted()
    counts = (records.ClauseCount(0, 0, 40, 0), records.ClauseCount(1, 0, 0, 40))
    samples = [msgspec.structs.replace(one, counts=counts) for one in history.samples if one.check == "shoppers"]
    found = measured(runs=(ran(History(history.entries, samples)),)).harm

    assert found.requests == found.known == found.of == found.unknown


def test_what_nobody_measured_is_no_zero() -> None:
    found = measured(runs=(ran(History(sample_history.held().entries, [])),))

    assert (found.harm.requests, found.harm.why) == (None, "nothing was measured after the injection")
    assert found.steps[0].of("harmed").value is None


def test_a_day_on_which_one_run_was_not_measured_says_so_beside_the_others() -> None:
    blind = ran(History(sample_history.held().entries, []), RUN_AT + 600, run="r-blind")
    both = measured(runs=(ran(sample_history.aborted()), blind)).harm
    one = measured(runs=(ran(sample_history.aborted()),)).harm

    assert both.requests == one.requests
    assert both.why == "nothing was measured after the injection"


def _budgeted(history: History, slo: float, over: float) -> Executed:
    started = history.entries[0].record
    assert isinstance(started, records.RunStarted)
    budget = {"check": "shoppers", "slo": slo, "over": over, "spend": 0.02}
    experiment = {**started.plan["experiment"], "abort": {"error_budget": budget}}
    changed = msgspec.structs.replace(started, plan={**started.plan, "experiment": experiment})
    first = msgspec.structs.replace(history.entries[0], record=changed)
    return ran(History([first, *history.entries[1:]], history.samples))


def test_the_error_budget_is_seconds_of_bad_service_over_those_of_the_slo() -> None:
    found = measured(runs=(_budgeted(sample_history.aborted(), 0.999, 30 * 86400.0),)).steps[0]
    bad, share = found.of("bad_s"), found.of("budget")

    assert bad.value is not None
    assert share.value == pytest.approx(bad.value / (0.001 * 30 * 86400))
    assert share.target == 0.02
    assert (share.state == "met") == (share.value <= 0.02)


@pytest.mark.parametrize(
    ("check", "readings", "value", "state"),
    [
        ("checkout-survives-slow-payments#replicas#lag", [5.0, 40.0, 12.0], 40.0, "missed"),
        ("checkout-survives-slow-payments#replicas#lag", [5.0, 12.0], 12.0, "met"),
        ("checkout-survives-slow-payments#replicas#lag", [], None, "not recorded"),
        ("another#replicas#lag", [5.0], None, None),
        ("", [5.0], None, None),
    ],
)
def test_lost_data_is_what_the_named_check_read_at_worst_and_never_a_guess(
    check: str, readings: list[float], value: float | None, state: str | None
) -> None:
    history = sample_history.aborted()
    read = [records.Sample("replicas", 40 + n, (), values={"lag": one}) for n, one in enumerate(readings)]
    early = [records.Sample("replicas", 3, (), values={"lag": 900.0})]
    of = kit.scenario(targets={"rpo": 30.0, "rpo_check": check or "x"} if check else {})
    entries = kit.entries(of=of)
    runs = (ran(History(history.entries, [*early, *history.samples, *read])),)
    found = [one for one in metrics.measured(fold(entries), entries, runs).steps[0].metrics if one.key == "rpo"]

    assert [(one.value, one.state) for one in found] == ([(value, state)] if state else [])


# --- predictions, objectives, actions --------------------------------------------------------------------------------


def guess(believed: Believed, sure: float, who: str = "rob") -> tuple[float, Predicted]:
    return (RUN_AT - 10, Predicted(STEP, who, believed, sure))


@pytest.mark.parametrize(
    ("history", "right"),
    [("held", "holds"), ("deviated", "deviates"), ("aborted", "aborts"), ("unknown", ""), ("not_reverted", "")],
)
def test_a_prediction_is_right_when_that_came_out_and_unscored_where_nothing_did(history: str, right: str) -> None:
    names: tuple[Believed, ...] = ("holds", "deviates", "aborts")
    guesses = [guess(one, 0.8, one) for one in names]
    found = measured(*guesses, runs=(ran(sample_history.HISTORIES[history]()),)).guesses

    expected = ["right" if one == right else "wrong" for one in names] if right else ["no outcome"] * 3
    assert [one.result for one in found] == expected


def test_the_brier_score_is_the_mean_square_of_how_far_confidence_was_off() -> None:
    found = measured(guess("aborts", 0.9), guess("holds", 0.6, "ada"))

    assert found.of("hits").value == 0.5
    assert found.of("brier").value == pytest.approx(((0.9 - 1) ** 2 + 0.6**2) / 2)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["holds", "aborts"]), st.floats(0, 1)), min_size=1, max_size=5))
def test_a_brier_score_lies_between_zero_and_one(said: list[tuple[Believed, float]]) -> None:
    found = measured(*(guess(one, sure, f"p{n}") for n, (one, sure) in enumerate(said))).of("brier").value

    assert found is not None
    assert 0 <= found <= 1


def test_only_the_last_word_of_a_person_before_the_injection_counts() -> None:
    late = (RUN_AT + 60, Predicted(STEP, "rob", "aborts", 1.0))
    found = measured(guess("deviates", 0.5), guess("holds", 0.7), late)

    assert [one.result for one in found.guesses] == ["replaced", "wrong", "too late"]
    assert found.of("brier").value == pytest.approx(0.49)


def test_an_objective_nobody_judged_is_not_met() -> None:
    assert measured().objectives[0].judged is None
    judged = measured(ObjectiveJudged("detect", "partly", "sue")).objectives[0].judged
    assert judged is not None
    assert judged.result == "partly"


def test_actions_count_as_done_in_time_within_thirty_days() -> None:
    at = kit.STARTED_AT
    facts = [(at, ActionAdded(name, "do it", "sue")) for name in ("a1", "a2", "a3")]
    done = [
        (at + 29 * 86400, ActionSettled("a1", "done", "sue", "ok")),
        (at + 31 * 86400, ActionSettled("a2", "done", "sue", "ok")),
    ]

    assert measured(*facts, *done).of("actions").value == pytest.approx(1 / 3)


def test_a_day_without_runs_or_scenario_folds_to_nothing_recorded() -> None:
    found = metrics.measured(fold([]), [], ())

    assert found.steps == ()
    assert all(one.value is None for one in found.day)
    assert measured(StepBegan(STEP, "r-lost"), runs=()).steps == ()
