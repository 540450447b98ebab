"""Lines break where runs cannot be compared, and "worse" is what its rule says."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_runner.review import trend
from chaos_runner.review.digest import Identity
from tests.review.kit import SAME, run, shifted

PARTS = ("environment", "load", "plan", "clauses")


def _other(**parts: str) -> Identity:
    return msgspec.structs.replace(SAME, **parts)


@pytest.mark.parametrize("part", PARTS)
def test_a_line_breaks_where_a_part_changed_and_says_which(part: str) -> None:
    runs = [run(0), run(1), run(2, identity=_other(**{part: "x"})), run(3, identity=_other(**{part: "x"}))]
    assert [one.broke for one in trend.points(runs)] == [(), (), (part,), ()]


def test_a_part_that_cannot_be_read_is_the_same_as_nothing() -> None:
    unread = _other(plan="")
    assert [one.broke for one in trend.points([run(0, identity=unread), run(1, identity=unread)])] == [(), ("plan",)]


def test_each_environment_has_a_line_of_its_own() -> None:
    runs = [run(0), run(1, environment="production"), run(2), run(3, experiment="other")]
    found = trend.lines(runs)
    assert [(one.experiment, one.environment, len(one.points)) for one in found] == [
        ("other", "staging", 1),
        ("slow", "production", 1),
        ("slow", "staging", 2),
    ]


@pytest.mark.parametrize("word", ["DEVIATED", "ABORTED", "NOT_REVERTED"])
def test_a_verdict_after_held_is_worse(word: str) -> None:
    last = trend.points([run(0), run(1, word)])[-1]
    assert last.worse == (f"the run before HELD, this one is {word.replace('_', ' ')}",)


@pytest.mark.parametrize("word", ["UNKNOWN", "NOT_STARTED", "UNFINISHED", "UNREADABLE"])
def test_a_run_that_learned_nothing_is_not_worse_and_does_not_hide_a_fall(word: str) -> None:
    found = trend.points([run(0), run(1, word, finding="", shift=None), run(2, "DEVIATED")])
    assert [bool(one.worse) for one in found] == [False, False, True]


def test_a_shift_far_above_all_earlier_ones_is_worse() -> None:
    found = trend.points([*(run(n, shift=0.1 + n / 1000) for n in range(5)), run(5, shift=0.2)])
    assert found[-1].worse == ("p95 of users moved further than in 5 earlier runs",)


@pytest.mark.parametrize(
    ("earlier", "shift"),
    [
        pytest.param(4, 0.9, id="too few to compare with"),
        pytest.param(5, 0.104, id="not above all of them"),
        pytest.param(5, 0.108, id="above them by less than a tenth of p95"),
    ],
)
def test_a_shift_that_may_be_chance_is_not_worse(earlier: int, shift: float) -> None:
    runs = [run(n, shift=0.1 + n / 1000) for n in range(earlier)]
    assert trend.points([*runs, run(9, shift=shift)])[-1].worse == ()


def test_a_shift_whose_interval_reaches_the_usual_is_not_worse() -> None:
    runs = [run(n) for n in range(6)]
    unsure = run(7, shift=None, checks=(shifted(0.2, width=0.15),))
    assert trend.points([*runs, unsure])[-1].worse == ()


def test_a_slow_recovery_is_worse() -> None:
    runs = [run(n, recovery_s=5.0) for n in range(5)]
    assert trend.points([*runs, run(6, recovery_s=6.9)])[-1].worse == ()
    assert trend.points([*runs, run(6, recovery_s=7.0)])[-1].worse == ("recovery took longer than in 5 earlier runs",)


def test_nothing_is_compared_across_a_break() -> None:
    runs = [run(n) for n in range(8)]
    after = run(9, "ABORTED", shift=3.0, recovery_s=60.0, identity=_other(load="x"))
    assert trend.points([*runs, after])[-1].worse == ()


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=30))
def test_a_run_is_never_worse_because_of_what_came_after_it(shifts: list[float]) -> None:
    runs = [run(n, shift=value) for n, value in enumerate(shifts)]
    whole = trend.points(runs)
    assert all(whole[:n] == trend.points(runs[:n]) for n in range(len(runs)))
