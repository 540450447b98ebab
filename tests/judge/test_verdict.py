"""The outcome and its one word: worst news wins, and only a run that saw its window through can hold."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest

from chaos_runner.judge import exit_code, headline, outcome
from chaos_runner.records import ClauseJudged, Cleanup, Finding, Headline, Outcome, StoppedBy

OK = ClauseJudged("shoppers", "success >= 99%", "ok", "3 of 612 requests failed (0.5 %, limit 1 %)")
BAD = ClauseJudged("shoppers", "p95 <= 1s", "violated", "99 of 612 requests slower than 1s (16 %, limit 5 %)")
DARK = ClauseJudged("replicas", "ready >= 1", "unknown", "measured in 3 of 30 ticks, 27 are needed")
OK_TOLD = f"shoppers: success >= 99%: {OK.why}"
BAD_TOLD = f"shoppers: p95 <= 1s: {BAD.why}"


@pytest.mark.parametrize(
    ("clauses", "more", "found", "word", "why"),
    [
        ([OK], {}, "HELD", "HELD", "shoppers: success >= 99%: 3 of 612 requests failed (0.5 %, limit 1 %)"),
        ([OK, BAD], {}, "DEVIATED", "DEVIATED", BAD_TOLD),
        ([OK, DARK], {}, "UNKNOWN", "UNKNOWN", f"replicas: ready >= 1: {DARK.why}"),
        ([BAD, DARK], {}, "DEVIATED", "DEVIATED", f"{BAD_TOLD}; replicas: ready >= 1: {DARK.why}"),
        ([], {}, "UNKNOWN", "UNKNOWN", "nothing was judged"),
        ([OK], {"deviations": ["not recovered within 60s"]}, "DEVIATED", "DEVIATED", "not recovered within 60s"),
        ([OK], {"doubts": ["no effect seen"]}, "UNKNOWN", "UNKNOWN", "no effect seen"),
        ([OK, BAD], {"doubts": ["gone"]}, "DEVIATED", "DEVIATED", f"{BAD_TOLD}; gone"),
        ([OK], {"stopped_by": "lever", "stopped_why": "halted"}, "UNKNOWN", "ABORTED", "halted"),
        ([OK], {"stopped_by": "person", "stopped_why": "^C"}, "UNKNOWN", "ABORTED", "^C"),
        ([BAD], {"stopped_by": "lever", "stopped_why": "x"}, "DEVIATED", "ABORTED", f"x; {BAD_TOLD}"),
        ([OK], {"stopped_by": "criterion", "stopped_why": "slow"}, "DEVIATED", "ABORTED", "slow"),
        ([OK], {"stopped_by": "blind", "stopped_why": "dark"}, "UNKNOWN", "ABORTED", "dark"),
        ([OK], {"cleanup": "LEFT", "left": ["proxy/x"]}, "HELD", "NOT_REVERTED", f"proxy/x; {OK_TOLD}"),
        ([OK], {"cleanup": "WATCHING"}, "HELD", "HELD", OK_TOLD),
    ],
)  # fmt: skip
def test_the_outcome_of_a_run(
    clauses: list[ClauseJudged], more: dict[str, object], found: Finding, word: Headline, why: str
) -> None:
    made = outcome(clauses, **more)  # type: ignore[arg-type]

    assert (made.finding, headline(made), made.why) == (found, word, why)


def test_the_headline_takes_the_heaviest_axis() -> None:
    for found, stopped, cleanup in itertools.product(get_args(Finding), get_args(StoppedBy), get_args(Cleanup)):
        word = headline(Outcome(found, stopped, cleanup))
        wanted = "NOT_REVERTED" if cleanup == "LEFT" else "ABORTED" if stopped != "nothing" else found
        assert word == wanted


def test_a_stopped_run_never_held() -> None:
    for stopped in get_args(StoppedBy):
        assert (outcome([OK], stopped_by=stopped).finding == "HELD") is (stopped == "nothing")


@pytest.mark.parametrize(
    ("word", "code"),
    [("HELD", 0), ("DEVIATED", 1), ("UNKNOWN", 3), (None, 3), ("ABORTED", 4), ("NOT_REVERTED", 5)],
)
def test_exit_codes_are_api(word: Headline | None, code: int) -> None:
    assert exit_code(word) == code


def test_an_undo_that_nobody_verified_is_green_only_when_accepted() -> None:
    assert exit_code("HELD", "UNVERIFIED") == 3
    assert exit_code("HELD", "UNVERIFIED", accept_unverified=True) == 0
    assert exit_code("HELD", "WATCHING") == 0
    assert exit_code("DEVIATED", "UNVERIFIED", accept_unverified=True) == 1
