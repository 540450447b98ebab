"""Laws of growing slowly, of freshness, and of the wheel of next instants."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chaos_runner.model import BlastRadius, Check, Experiment, Pick
from chaos_runner.scheduler import growth, ranking
from chaos_runner.scheduler.growth import Ended
from chaos_runner.scheduler.wheel import SLOTS_MAX, Wheel
from chaos_runner.when import Growth

GROWTH = Growth(clean=2)
EXPERIMENT = Experiment(
    kind="experiment/v1",
    name="x",
    hypothesis="x",
    steady_state={"a": Check(probe="tcp", expect=())},
    blast_radius=BlastRadius(at_once=4, in_total=8, percent_of_selector=20),
    method=(),
)


def after(*headlines: str) -> int:
    """The level after these runs, each at the level that it would have been given."""
    done: list[Ended] = []
    for headline in headlines:
        done.append(Ended(growth.level(GROWTH, done), headline))
    return growth.level(GROWTH, done)


@pytest.mark.parametrize(
    ("headlines", "level"),
    [
        ((), 0),
        (("HELD",), 0),
        (("HELD", "HELD"), 1),
        (("HELD", "UNKNOWN", "HELD"), 0),
        (("HELD", "UNKNOWN", "HELD", "HELD"), 1),
        (("HELD",) * 4, 2),
        (("HELD",) * 6, 3),
        (("HELD",) * 20, 3),
        (("HELD", "HELD", "DEVIATED"), 0),
        (("HELD",) * 4 + ("ABORTED",), 1),
        (("DEVIATED", "NOT_REVERTED"), 0),
        (("HELD",) * 6 + ("UNKNOWN",), 3),
    ],
)
def test_it_grows_after_clean_runs_and_shrinks_after_a_failure(headlines: tuple[str, ...], level: int) -> None:
    assert after(*headlines) == level


def test_without_a_policy_it_does_not_grow() -> None:
    assert growth.level(None, [Ended(0, "HELD")] * 9) == 0
    assert growth.reach(None, 0) is None


def test_a_run_that_reached_less_far_shows_nothing_about_a_higher_level() -> None:
    assert growth.level(GROWTH, [Ended(0, "HELD")] * 9) == 1


@pytest.mark.parametrize(
    ("reach", "at_once", "in_total", "percent"),
    [
        (Pick(number=1), 1, 1, 20),
        (Pick(share=0.05), 4, 8, 5),
        (Pick(share=0.25), 4, 8, 20),
        (Pick(number=99), 4, 8, 20),
        (None, 4, 8, 20),
    ],
)
def test_a_blast_radius_only_gets_smaller(reach: Pick | None, at_once: int, in_total: int, percent: int) -> None:
    radius = growth.narrowed(EXPERIMENT, reach).blast_radius

    assert (radius.at_once, radius.in_total, radius.percent_of_selector) == (at_once, in_total, percent)


def test_what_was_not_looked_at_for_thirty_days_is_red() -> None:
    assert not ranking.red(0.0, 30 * 86400.0)
    assert ranking.red(0.0, 30 * 86400.0 + 1)
    assert ranking.red(None, 0.0)


class At:
    def __init__(self, due: int) -> None:
        self.due = due


class Every:
    """Due at every multiple of a number of seconds."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def due(self, after: float, before: float) -> Iterator[At]:
        first = (int(after) // self.seconds + 1) * self.seconds
        return (At(n) for n in range(first, int(before) + 1, self.seconds))


def test_each_slot_is_popped_once_and_none_is_left_out() -> None:
    wheel = Wheel([Every(7), Every(10)], 0)
    seen: list[tuple[int, int]] = []
    for now in (6.9, 7.0, 9.5, 10.2, 20.0, 20.0, 34.9, 35.0):
        seen += [(one.item.seconds, one.slot.due) for one in wheel.pop(now)]

    assert seen == [(7, 7), (10, 10), (7, 14), (10, 20), (7, 28), (10, 30), (7, 35)]


def test_slots_that_were_slept_through_collapse_into_the_latest() -> None:
    wheel = Wheel([Every(10)], 0)

    [one] = wheel.pop(65)

    assert (one.slot.due, one.before.due, one.first, one.earlier) == (60, 50, 10, 5)
    assert wheel.next() == 70


def test_however_long_it_slept_the_work_is_bounded() -> None:
    [one] = Wheel([Every(1)], 0).pop(10_000_000)

    assert one.earlier == SLOTS_MAX - 1


def test_a_clock_that_goes_back_pops_nothing_twice() -> None:
    wheel = Wheel([Every(10)], 0)
    wheel.pop(30)

    assert wheel.pop(20) == []
    assert [one.slot.due for one in wheel.pop(40)] == [40]


class Never:
    def due(self, after: float, before: float) -> Iterator[At]:
        return iter(())


def test_a_schedule_without_slots_costs_nothing() -> None:
    wheel = Wheel([Never()], 0)

    assert wheel.pop(30 * 86400) == []
