"""Envelopes, spreads, bands and marks show what was measured, all of it, and nothing else."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_runner import histogram, records
from chaos_runner.history import Run, fold
from chaos_runner.records import Sample
from chaos_runner.render import axis, bands, charts, heat, measured, planned, svg, windows
from tests.render.conftest import rendered
from tests.render.tree import Page
from tools import sample_history
from tools.sample_history import HISTORIES, History

COUNTS = st.dictionaries(st.integers(0, 1400), st.integers(1, 50), max_size=12)


def _columns(histograms: list[dict[int, int]], most: int = heat.COLUMNS_MAX) -> list[measured.Column]:
    samples = [Sample("a", tick, (), histogram=tuple(sorted(one.items()))) for tick, one in enumerate(histograms)]
    return measured.columns(measured.gathered(samples).get("a", {}), 0, max(0, len(histograms) - 1), most)


@given(st.lists(COUNTS, min_size=1, max_size=600))
def test_a_spread_holds_every_request_in_at_most_240_by_40_cells(histograms: list[dict[int, int]]) -> None:
    cells = heat.grid(_columns(histograms))
    if cells is None:
        assert not any(histograms)
        return

    assert len(cells.columns) <= 240
    assert cells.rows <= 40
    for _, _, shares in cells.columns:
        assert all(0 <= row < cells.rows for row in shares)
        assert sum(shares.values()) == pytest.approx(1.0 if shares else 0.0)
    assert sum(ticks for _, ticks, _ in cells.columns) == len(histograms)


def test_a_request_is_in_the_row_of_its_latency() -> None:
    slow, fast = histogram.bucket(0.9), histogram.bucket(0.01)
    cells = heat.grid(_columns([{fast: 99}, {slow: 1, fast: 3}]))
    assert cells is not None
    (row,) = (one for one in cells.columns[1][2] if one)

    assert cells.edge(row) <= 0.9 < cells.edge(row + 1)
    assert cells.columns[1][2] == {0: 0.75, row: 0.25}
    assert cells.columns[0][2] == {0: 1.0}


def _drawn(cells: heat.Grid) -> set[tuple[int, int]]:
    """The (tick, row) places that are inked, whatever the shade."""
    found: dict[int, list[str]] = {}
    for row in range(cells.rows):
        heat._along(row, cells, found)
    runs = re.findall(r"M(\d+) (\d+)h(\d+)", "".join("".join(one) for one in found.values()))
    places = [(tick, int(row)) for x, row, wide in runs for tick in range(int(x), int(x) + int(wide))]
    assert len(places) == len(set(places))
    return set(places)


@given(st.lists(COUNTS, min_size=1, max_size=60), st.integers(1, 60))
def test_neighbours_of_one_shade_are_drawn_as_one_and_none_is_left_out(
    histograms: list[dict[int, int]], most: int
) -> None:
    cells = heat.grid(_columns(histograms, most))
    if cells is None:
        return
    wanted = {
        (tick, row) for first, ticks, shares in cells.columns for row in shares for tick in range(first, first + ticks)
    }

    assert _drawn(cells) == wanted


def test_a_single_slow_request_among_a_thousand_is_seen() -> None:
    cells = heat.grid(_columns([{500: 1000}, {500: 999, 700: 1}]))
    assert cells is not None

    assert {row for tick, row in _drawn(cells) if tick == 1} == {0, cells.rows - 1}
    assert cells.rows > 1


@given(st.lists(COUNTS, min_size=2, max_size=40))
def test_the_table_of_a_spread_has_its_columns_and_all_its_requests(histograms: list[dict[int, int]]) -> None:
    columns = _columns(histograms)
    head, rows = heat.table(columns)

    assert all(len(row) == len(head) for row in rows)
    assert len(rows) == (len(columns) if any(histograms) else 0)
    assert len(head) <= heat.TABLE_ROWS + 1


def test_the_envelope_reaches_from_the_fastest_to_the_slowest_request() -> None:
    history = HISTORIES["held"]()
    run = fold(history.entries)
    ticks = measured.gathered(history.samples)
    found = charts.figures(run, planned.read(run), ticks, windows.spans(run, history.entries, history.samples))
    between = found[0].chart.between
    assert between is not None

    seen = [ticks["shoppers"][tick].histogram for tick in sorted(ticks["shoppers"])]
    assert between[0].values == tuple(histogram.middle(min(one)) for one in seen)
    assert between[1].values == tuple(histogram.middle(max(one)) for one in seen)
    for line in found[0].chart.series:
        assert all(
            low <= value <= high
            for low, value, high in zip(between[0].values, line.values, between[1].values, strict=True)
        )


def test_one_slow_and_one_fast_request_of_a_thousand_are_in_the_envelope() -> None:
    samples = [Sample("a", tick, (), histogram=((400, 1), (500, 998), (700, 1))) for tick in range(5)]
    run = Run(id="r")
    found = charts.figures(run, planned.Planned(), measured.gathered(samples), windows.spans(run, [], samples))
    between = found[0].chart.between
    assert between is not None

    assert set(between[0].values) == {histogram.middle(400)}
    assert set(between[1].values) == {histogram.middle(700)}


def test_an_envelope_breaks_where_nothing_was_measured() -> None:
    low, high = (svg.Series(name, "", (value, None, value)) for name, value in (("low", 1.0), ("high", 2.0)))
    chart = svg.Chart("c", "t", "d", "number", (0.5, 1.5, 2.5), (), between=(low, high))
    drawn = svg.draw(chart, svg.Frame(3.0))

    assert drawn.split('class="envelope" data-line="between" d="')[1].split('"')[0].count("z") == 2


def test_faults_at_the_same_time_differ_by_pattern_and_colour() -> None:
    faults = tuple((f"toxic on proxy/{n}", 10.0, 20.0) for n in range(4))
    drawn = svg.draw(svg.Chart("c", "t", "d", "number", (0.5,), ()), svg.Frame(30.0, windows=faults))

    fills = re.findall(r'fill="url\(#c-(hatch-\d)\)"', drawn)
    assert fills == ["hatch-0", "hatch-1", "hatch-2", "hatch-3"]
    assert len(set(bands.PATTERNS)) == 4
    for n in range(4):
        assert f'id="c-hatch-{n}"' in drawn
        assert f'class="band band-{n}"' in drawn


def _marked() -> History:
    history = HISTORIES["aborted"]()
    book = sample_history.Book("r-aborted")
    seen = records.AlertSeen("CheckoutSlow", "CheckoutSlow", {"severity": "page"}, "firing", 38.0)
    for t, record in ((41.0, seen), (43.0, records.Noted("Ada", "the queue grows"))):
        book.add(t, record)
    late = sorted([*history.entries, *book.entries], key=lambda one: one.t)
    return History(late, history.samples)


def test_alerts_and_notes_are_marked_in_every_chart_and_told_in_words() -> None:
    page = rendered(_marked())

    assert page.count('class="flag flag-alert"') == page.count('class="flag flag-note"') == 5
    assert page.count(">A1</text>") == page.count(">N1</text>") == 5
    for words in ("A1: CheckoutSlow fired", "N1: Ada: the queue grows", "stop decided", "toxic on proxy/payments"):
        assert Page(page).says(words)


@given(st.lists(st.floats(0, 100), max_size=60))
def test_tags_of_marks_never_lie_on_each_other(times: list[float]) -> None:
    marks = tuple(svg.Mark("note", "x", t, f"N{n}") for n, t in enumerate(times, 1))
    drawn = "".join(bands.marks(svg.Frame(100.0, marks=marks), axis.Scale(0.0, 100.0, 64, 884), 240))
    placed = [(float(y), float(x)) for x, y in re.findall(r'tag-note" x="([\d.]+)" y="([\d.]+)"', drawn)]

    assert drawn.count('class="flag flag-note"') == len(times)
    for (row, x), (other, further) in itertools.pairwise(sorted(placed)):
        assert row != other or further - x >= 18


def test_a_thousand_notes_are_cut_and_the_timeline_has_them() -> None:
    history = HISTORIES["held"]()
    book = sample_history.Book("r-held")
    for n in range(1000):
        book.add(40.0 + n / 100, records.Noted("Ada", f"note {n}"))
    page = rendered(History(sorted([*history.entries, *book.entries], key=lambda one: one.t), history.samples))

    assert page.count('class="flag flag-note"') == 5 * charts.MARKS_MAX
    assert len(page.encode()) < 300_000


def test_every_line_that_can_be_hidden_is_named_by_its_number() -> None:
    drawn = rendered(HISTORIES["aborted"]())
    shares = drawn.split('id="chart-1"')[1].split("</svg>")[0]

    assert re.findall(r'class="line s\d" data-line="(\d)"', shares) == ["0", "1"]
    assert sorted(re.findall(r'class="end s\d" data-line="(\d)"', shares)) == ["0", "1"]
