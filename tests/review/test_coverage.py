"""Coverage and freshness."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_runner.render.site import matrix
from chaos_runner.review import coverage
from chaos_runner.review.coverage import Cell
from chaos_runner.review.digest import Digest
from tests.review.kit import DAY, NOON, run


def _cell(*digests: Digest, after: float = 0) -> Cell:
    (row,) = coverage.coverage(digests, NOON + after * DAY).rows
    (cell,) = row.cells
    assert cell is not None
    return cell


@pytest.mark.parametrize(("days", "red"), [(0, False), (30, False), (31, True), (400, True)])
def test_red_is_after_thirty_days(days: int, red: bool) -> None:
    cell = _cell(run(0), after=days)
    assert (cell.days, cell.red) == (days, red)


@given(st.integers(0, 200))
def test_freshness_is_whole_for_thirty_days_then_falls_in_a_line_to_nothing(days: int) -> None:
    fresh = coverage.freshness(days)
    assert fresh == (1 if days <= 30 else 0 if days >= 60 else pytest.approx(2 - days / 30))


@pytest.mark.parametrize(
    "fields",
    [
        {"word": "UNKNOWN"},
        {"word": "NOT_STARTED", "proven": ()},
        {"word": "HELD", "proven": ()},
        {"word": "ABORTED", "finding": "UNKNOWN"},
    ],
)
def test_an_inconclusive_run_neither_covers_nor_freshens(fields: dict[str, Any]) -> None:
    cell = _cell(run(0, **fields), after=1)
    assert (cell.runs, cell.conclusive, cell.days, cell.freshness, cell.red) == (1, 0, None, None, True)
    older = _cell(run(0), run(20, **fields), after=25)
    assert (older.runs, older.conclusive, older.days) == (2, 1, 25)


def test_a_run_of_two_classes_counts_for_the_one_that_took_effect() -> None:
    found = coverage.coverage([run(0, classes=("hang", "pod-lost"), proven=("hang",))], NOON)
    assert found.classes == ("hang", "pod-lost")
    hang, lost = found.rows[0].cells
    assert hang is not None
    assert lost is not None
    assert (hang.conclusive, lost.conclusive) == (1, 0)


def test_what_was_never_run_counts_neither_way_and_is_named() -> None:
    runs = [run(0), run(0, run="x", service="mail", classes=("hang",), proven=("hang",))]
    found = coverage.coverage(runs, NOON + 45 * DAY)
    mail, shop = found.rows
    assert mail.cells[1] is None
    said = matrix.arithmetic(shop, found.classes)
    assert said[0] == "Coverage: 1 of 1 tried failure classes has a conclusive run, 0 of them within 30 days."
    assert said[1] == "Freshness: that of the oldest, slow-dependency, 45 days: (60 − 45) / 30 = 0.50."
    assert said[-1] == "Never run here, and not counted: hang."


def test_the_oldest_class_speaks_for_a_service_ages_are_not_averaged() -> None:
    runs = [run(0, classes=("hang",), proven=("hang",)), run(40)]
    (row,) = coverage.coverage(runs, NOON + 41 * DAY).rows
    assert row.oldest is not None
    assert (row.oldest.failure, row.oldest.days) == ("hang", 41)


def test_only_the_day_counts_so_that_pages_of_one_day_are_the_same() -> None:
    early, late = (coverage.coverage([run(0)], NOON + 5 * DAY + seconds) for seconds in (0, 40_000))
    assert early == late


def test_a_clock_that_was_set_back_makes_no_negative_age() -> None:
    assert _cell(run(9), after=0).days == 0
