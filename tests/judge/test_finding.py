"""The finding: each clause over all its events, and unknown never passes."""

from __future__ import annotations

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from chaos_runner.finding import samples_due
from chaos_runner.judge import finding, judged
from chaos_runner.records import ClauseJudged
from tests.judge import given

WINDOW = range(30)


@pytest.mark.parametrize(
    ("text", "counts", "state", "why"),
    [
        ("success >= 99%", [(20, 0)] * 27 + [(19, 1)] * 3, "ok", "3 of 600 requests failed (0.5 %, limit 1 %)"),
        ("success >= 99%", [(20, 0)] * 24 + [(19, 1)] * 6, "ok", "6 of 600 requests failed (1 %, limit 1 %)"),
        ("success >= 99%", [(20, 0)] * 23 + [(19, 1)] * 7, "violated", "7 of 600 requests failed (1.2 %, limit 1 %)"),
        ("success >= 100%", [(20, 0)] * 30, "ok", "0 of 600 requests failed (0 %, limit 0 %)"),
        ("success >= 100%", [(20, 0)] * 29 + [(19, 1)], "violated", "1 of 600 requests failed (0.2 %, limit 0 %)"),
        ("p95 <= 1s", [(19, 1)] * 30, "ok", "30 of 600 requests slower than 1s (5 %, limit 5 %)"),
        ("p95 <= 1s", [(18, 2)] * 30, "violated", "60 of 600 requests slower than 1s (10 %, limit 5 %)"),
        (
            "success >= 99%",
            [(9, 0)] * 30,
            "unknown",
            "270 of the 300 requests that a verdict needs (0 of 270 requests failed)",
        ),
        (
            "success >= 99%",
            [(0, 9)] * 30,
            "unknown",
            "270 of the 300 requests that a verdict needs (270 of 270 requests failed)",
        ),
        ("success >= 99%", [(20, 0)] * 26, "unknown", "measured in 26 of 30 ticks, 27 are needed"),
        ("success >= 99%", [(20, 0)] * 27, "ok", "0 of 540 requests failed (0 %, limit 1 %)"),
        ("success >= 99%", [(17, 0, 3)] * 30, "unknown", "90 of 600 results are unknown, at most 10 % may be"),
        ("ready >= 1", [(1, 0)] * 30, "ok", "0 of 30 readings bad"),
        ("ready >= 1", [(0, 1), (1, 0)] * 15, "ok", "15 of 30 readings bad, never for 10s in a row"),
        ("ready >= 1", [(0, 1), (1, 0)] * 14 + [(0, 1)] * 2, "violated", "16 of 30 readings bad, more than half"),
        ("ready >= 1", [(0, 1)] * 10 + [(1, 0)] * 20, "violated", "10 of 30 readings bad, 10 in a row (limit 10s)"),
        ("ready >= 1", [(0, 1)] * 9 + [(1, 0)] * 21, "ok", "9 of 30 readings bad, never for 10s in a row"),
        ("ready >= 1", [(1, 0)] * 26 + [(0, 0, 1)] * 4, "unknown", "measured in 26 of 30 ticks, 27 are needed"),
    ],
)
def test_one_clause_over_one_window(text: str, counts: list[tuple[int, ...]], state: str, why: str) -> None:
    (clause,) = judged([given.one(text)], given.row(counts), [WINDOW])

    assert (clause.state, clause.why) == (state, why)


def test_samples_outside_the_windows_do_not_count() -> None:
    before, after = given.row([(0, 20)] * 10), given.row([(0, 20)] * 10, start=40)

    (clause,) = judged([given.one()], before + given.row([(20, 0)] * 30, start=10) + after, [range(10, 40)])

    assert (clause.state, clause.good, clause.bad) == ("ok", 600, 0)


def test_a_long_good_step_does_not_dilute_a_short_bad_one() -> None:
    rule = given.rules(given.experiment(holds=(30.0, 300.0)))[0]
    bad_then_good = given.row([(19, 1)] * 30 + [(20, 0)] * 300)

    (clause,) = judged([rule], bad_then_good, [range(30), range(30, 330)])

    assert clause.state == "violated"
    assert clause.why == "fault window 1: 30 of 600 requests failed (5 %, limit 1 %)"
    assert clause.bad / (clause.good + clause.bad) < rule.allowed


def test_windows_with_too_few_events_are_judged_together() -> None:
    rule = given.rules(given.experiment(holds=(10.0, 10.0)))[0]

    held = judged([rule], given.row([(20, 0)] * 9 + [(17, 3)] + [(20, 0)] * 10), [range(10), range(10, 20)])
    broke = judged([rule], given.row([(20, 0)] * 8 + [(17, 3)] * 2 + [(20, 0)] * 10), [range(10), range(10, 20)])

    assert [held[0].state, broke[0].state] == ["ok", "violated"]


def test_a_window_nobody_measured_makes_the_whole_unknown() -> None:
    rule = given.rules(given.experiment(holds=(300.0, 15.0)))[0]

    (dark,) = judged([rule], given.row([(20, 0)] * 300), [range(300), range(300, 315)])
    (never,) = judged([rule], given.row([(20, 0)] * 300), [range(300), range(300, 300)])

    assert dark.why == "fault window 2: measured in 0 of 15 ticks, 14 are needed"
    assert [dark.state, never.state] == ["unknown", "unknown"]


def test_during_decides_while_a_fault_is_open() -> None:
    made = given.experiment({"replicas": given.load("ready >= 2", during=["ready >= 1"])})
    samples = [given.sample(t, 0, 1, n=0, check="replicas") for t in WINDOW]
    samples += [given.sample(t, 1, 0, n=1, check="replicas") for t in WINDOW]

    (clause,) = judged(given.rules(made), samples, [WINDOW])

    assert (clause.clause, clause.state) == ("ready >= 1", "ok")


@for_all(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2), st.integers(0, 30)), max_size=30),
    st.sampled_from(["success >= 99%", "p95 <= 1s", "success >= 100%", "ready >= 1"]),
)
def test_ok_needs_nine_ticks_of_ten_and_enough_events(counts: list[tuple[int, int, int]], text: str) -> None:
    rule = given.one(text)
    (clause,) = judged([rule], given.row(counts), [WINDOW])
    valid = sum(good + bad > 0 and good + bad >= unknown for good, bad, unknown in counts)
    known = clause.good + clause.bad

    enough = valid >= 27 and clause.unknown <= 0.1 * (known + clause.unknown)
    assert enough or clause.state == "unknown"
    assert clause.state != "ok" or rule.kind == "gauge" or clause.bad <= rule.allowed * known + 1e-6


@pytest.mark.parametrize("every", [1.0, 1.5, 5.0, 7.0])
@pytest.mark.parametrize("phase", range(7))
def test_a_slow_poll_owes_only_the_samples_that_fit_whatever_its_phase(every: float, phase: int) -> None:
    ticks = {int(phase + k * every) for k in range(40)}

    for length in (1, 4, 15, 30):
        window = range(7, 7 + length)
        assert samples_due(window, every) <= max(1, len(ticks & set(window)))
    assert samples_due([*range(4), *range(10, 14)], 5.0) == 1


@pytest.mark.parametrize(
    ("states", "word"),
    [
        (["ok", "ok"], "HELD"),
        (["ok", "unknown"], "UNKNOWN"),
        (["unknown", "violated", "ok"], "DEVIATED"),
        ([], "UNKNOWN"),
    ],
)
def test_the_worst_clause_is_the_finding(states: list[str], word: str) -> None:
    assert finding([ClauseJudged("c", "x", state, "") for state in states]) == word  # type: ignore[arg-type]


def test_without_a_fault_the_clauses_of_expect_decide_and_not_those_that_foresee_it() -> None:
    rules = given.rules(given.experiment({"shoppers": given.load("success >= 99%", during=["success >= 50%"])}))
    measured = given.row([(18, 2)] * 30) + given.row([(18, 2)] * 30, n=1)

    (calm,) = judged(rules, measured, [WINDOW], fault_open=False)
    (harmed,) = judged(rules, measured, [WINDOW])

    assert (calm.clause, calm.state) == ("success >= 99%", "violated")
    assert (harmed.clause, harmed.state) == ("success >= 50%", "ok")
