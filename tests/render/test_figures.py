"""Figures are right, and what was not measured never looks like a measurement."""

from __future__ import annotations

import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_runner import expect, histogram, records
from chaos_runner.history import Run, fold
from chaos_runner.model import Check
from chaos_runner.records import ClauseCount, Sample
from chaos_runner.render import axis, charts, measured, planned, svg, tables, text, windows
from tests.render.conftest import rendered
from tests.render.tree import Page
from tools import sample_history
from tools.sample_history import HISTORIES, History


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "not recorded"),
        (math.nan, "not recorded"),
        (0.0, "0 ms"),
        (0.000412, "0.412 ms"),
        (0.0126, "12.6 ms"),
        (0.41, "410 ms"),
        (0.9999, "1.00 s"),
        (7.0, "7 s"),
        (7.016, "7.02 s"),
        (59.96, "1 min"),
        (125.4, "2 min 5 s"),
        (3600.0, "1 h"),
        (-2.0, "−2 s"),
    ],
)
def test_durations_read_like_durations(seconds: float | None, shown: str) -> None:
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "not recorded"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.00001, "<0.01 %"),
        (0.99999, "99.99 %"),
        (0.379, "37.9 %"),
    ],
)
def test_shares_are_never_rounded_to_a_clean_0_or_100(value: float | None, shown: str) -> None:
    assert text.share(value) == shown


def test_times_and_counts_and_sentences() -> None:
    assert text.clock(3723.46) == "1:02:03.5"
    assert text.clock(59.99) == "01:00.0"
    assert text.utc(0.0) == text.utc(None) == text.MISSING
    assert text.utc(1_787_392_800.9) == "2026-08-22 10:00:00 UTC"
    assert text.counted(1, "target") == "1 target"
    assert text.number(1234567.0) == "1\u202f234\u202f567"
    assert text.sentence_case("it went well") == "It went well."
    assert text.sentence_case("proxy/a stayed") == "proxy/a stayed."


def test_the_two_parts_of_a_tick_are_put_together() -> None:
    early = Sample("a", 3, (ClauseCount(1, 4, 0, 0),), histogram=((10, 4),), scheduled=4)
    late = Sample("a", 3, (ClauseCount(0, 3, 1, 0),), errors=1)
    cell = measured.gathered([late, early])["a"][3]

    assert (cell.events(0), cell.events(1), cell.histogram) == ((3, 1, 0), (4, 0, 0), {10: 4})


def test_a_tick_of_unknowns_is_not_a_measurement() -> None:
    ticks = measured.gathered([Sample("a", 3, (ClauseCount(0, 0, 0, 40),), why="no route")])["a"]

    assert not ticks[3].known()
    assert ticks[3].bad_share(0) is None


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=400, unique=True), st.integers(1, 200))
def test_no_tick_is_lost_in_columns_and_there_are_never_too_many(numbers: list[int], most: int) -> None:
    ticks = measured.gathered([Sample("a", tick, (ClauseCount(0, 1, tick % 2, 0),)) for tick in numbers])["a"]
    columns = measured.columns(ticks, min(numbers), max(numbers), most)

    assert len(columns) <= most
    assert sum(one.cell.events(0)[0] for one in columns) == len(numbers)
    assert sum(one.blind for one in columns) == max(numbers) - min(numbers) + 1 - len(numbers)


def test_a_probe_that_reads_every_five_seconds_is_not_blind_in_between() -> None:
    ticks = measured.gathered([Sample("a", tick, (), values={"ready": 2.0}) for tick in (0, 5, 15)])["a"]

    assert [one.blind for one in measured.columns(ticks, 0, 19, 100, 5)] == [0] * 10 + [1] * 5 + [0] * 5


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30), st.booleans())
def test_scales_keep_order_and_stay_on_paper(values: list[float], log: bool) -> None:
    scale = axis.over(values, 240, 40, log)
    placed = [scale(value) for value in sorted(values)]

    assert all(40 - 1e-6 <= y <= 240 + 1e-6 for y in placed)
    assert placed == sorted(placed, reverse=True)
    assert len(scale.marks()) <= 13


@given(st.lists(st.floats(0, 300), min_size=1, max_size=8))
def test_labels_never_overlap(places: list[float]) -> None:
    found = svg.spread(sorted(places), 40, 240)

    assert all(two - one >= svg.LABEL_GAP - 1e-9 for one, two in itertools.pairwise(found))
    assert found[-1] <= 240


def test_a_gap_breaks_the_line_and_is_marked() -> None:
    chart = svg.Chart(
        "c", "t", "d", "number", (0.5, 1.5, 2.5), (svg.Series("a", "s1", (1.0, None, 1.0)),), gaps=((1, 2),)
    )
    drawn = svg.draw(chart, svg.Frame(3.0))

    assert drawn.split('class="line s1" data-line="0" d="')[1].split('"')[0].count("M") == 2
    assert "not measured" in drawn


def test_the_blind_seconds_of_a_run_are_marked_in_its_charts_and_told_in_words() -> None:
    page = rendered(HISTORIES["unknown"]())

    assert page.count('class="gap"') == 3
    assert Page(page).says("Not measured in 10 seconds, first at 00:45: https://shop.stg/checkout: no route to host")
    assert Page(page).says("21 of 31 seconds")


def test_every_fault_window_is_hatched_and_the_decision_is_flagged_in_every_chart() -> None:
    page = rendered(HISTORIES["aborted"]())

    assert page.count('class="flag flag-stop"') == 5
    for chart in ("overview", "chart-0", "chart-0-heat", "chart-1", "chart-2"):
        assert f'fill="url(#{chart}-hatch-0)"' in page


def test_the_table_agrees_with_the_comparison() -> None:
    history = HISTORIES["held"]()
    run = fold(history.entries)
    spans = windows.spans(run, history.entries, history.samples)
    before = [s for s in history.samples if s.check == "shoppers" and 1 <= s.tick < 30]
    whole = histogram.merge([one.histogram for one in before])
    table = tables.compared(planned.read(run), measured.gathered(history.samples), spans)[0]

    assert [row.phase for row in table.rows] == ["before", "during", "after"]
    assert table.rows[0].figures[:3] == (
        text.number(sum(count for _, count in whole)),
        text.duration(histogram.quantile(whole, 0.5)),
        text.duration(histogram.quantile(whole, 0.95)),
    )
    assert table.shifts[0].startswith("Shift of latency during the fault: +")


def test_a_phase_without_samples_shows_dashes_and_no_zeros() -> None:
    history = HISTORIES["not_reverted"]()
    run = fold(history.entries)
    spans = windows.spans(run, history.entries, history.samples)
    after = tables.compared(planned.read(run), measured.gathered(history.samples), spans)[0].rows[2]

    assert (after.seconds, set(after.figures)) == ("not measured", {tables.NONE})


def test_readings_are_written_in_the_unit_of_their_clause() -> None:
    assert tables.figure(expect.clause("lag <= 2s"))(0.5) == "500 ms"
    assert tables.figure(expect.clause("used <= 80%"))(0.5) == "50 %"
    assert tables.figure(expect.clause("ready >= 2"))(2.0) == "2"


def test_fifty_checks_still_make_a_page_a_browser_likes() -> None:
    history = HISTORIES["held"]()
    plan = sample_history.planned()
    check = plan["experiment"]["steady_state"]["shoppers"]
    plan["experiment"]["steady_state"] = {f"check-{n}": check for n in range(50)}
    started = records.RunStarted(plan, {}, "ada")
    one = [sample for sample in history.samples if sample.check == "shoppers"]
    many = [records.Sample(f"check-{n}", s.tick, s.counts, histogram=s.histogram) for n in range(50) for s in one]
    entries = [records.Entry("r", 0, 0.0, 0.0, started), *history.entries[1:]]
    page = rendered(History(entries, many))

    assert len(page.encode()) < 3_000_000
    assert page.count('class="chart"') == 101 + charts.HEATS_MAX // 2
    told = {one["id"]: len(one["times"]) for one in json.loads(Page(page).scripts[0])["charts"]}
    assert all(count <= (240 if id_.endswith("-heat") else 40) for id_, count in told.items())


def test_readings_of_a_check_without_a_plan_are_charted_too() -> None:
    samples = [Sample("spare", tick, (), values={"depth": float(tick)}) for tick in range(10)]
    run = Run(id="r")
    found = charts.figures(run, planned.Planned(), measured.gathered(samples), windows.spans(run, [], samples))

    assert [one.chart.title for one in found] == ["spare: depth"]


def test_an_allowance_is_a_share_for_events_only() -> None:
    check = Check(probe="http", expect=(expect.clause("success >= 99%"), expect.clause("ready >= 2")))

    assert [tables.allowance(one) for one in check.clauses()] == [0.01, None]
