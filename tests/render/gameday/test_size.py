"""A day of long runs, or of many, is still a page that can be mailed: charts give way to words, and that is said."""

from __future__ import annotations

import time

import msgspec
import pytest

from chaos_runner.render.gameday import Told
from tests.render.gameday.kit import rendered
from tests.render.tree import Page
from tools import sample_day, sample_history
from tools.sample_day import START
from tools.sample_history import History

BYTES_MAX = 300_000


def many(history: History, count: int) -> Told:
    runs = [sample_day.moved(history, f"r-{n}", 1, START + 4000 * n) for n in range(count)]
    return msgspec.structs.replace(sample_day.held(), runs=tuple(runs))


@pytest.mark.parametrize("count", [1, 3])
def test_hours_at_a_thousand_requests_a_second_fit_in_300_kilobytes(count: int) -> None:
    told = many(sample_history.hour(), count)
    began = time.process_time()
    page = rendered(told)
    took = time.process_time() - began
    print(f"{count} hours at 1 000/s: {len(page.encode()) / 1000:.0f} kB in {took:.2f} s of processor time")

    assert len(page.encode()) < BYTES_MAX
    assert not Page(page).unbalanced
    assert took < 30


def test_of_many_runs_the_worst_keep_their_details() -> None:
    told = many(sample_history.held(), 12)
    bad = sample_day.moved(sample_history.not_reverted(), "r-bad", 1, START + 60_000)
    page = Page(rendered(msgspec.structs.replace(told, runs=(*told.runs, bad))))

    assert len(rendered(told).encode()) < BYTES_MAX
    assert page.says("The proofs, comparisons and charts of this run are in its own report.")
    assert page.says("no read has shown the fault gone")
    assert any(value == "e13-overview" for _, name, value in page.attributes if name == "id")
