"""Toxics on virtual time: exact dues, exact bytes. The sockets' tests can only say `about`."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos_runner.proxy.counters import ToxicCount
from chaos_runner.proxy.stages import STAGES
from chaos_runner.proxy.stages.stage import End, Item, Stage
from chaos_runner.proxy.toxics import DRAWS_AT_ONCE, Toxic, draw, draws


class Bench:
    """A stage, what it let out and when, and a clock that jumps to the next due."""

    def __init__(self, kind: str, **attributes: int) -> None:
        self.now = 0.0
        self.out: list[tuple[float, Item]] = []
        self.toxic = Toxic("t", kind, "upstream", toxicity=1, settings=attributes, count=ToxicCount())
        self.touched: list[int] = []
        self.stage: Stage = STAGES[kind](self.toxic, self, self.touched.append, 0.0, "seed")

    def feed(self, at: float, item: Item) -> None:
        self.out.append((round(at, 6), item))

    def at(self, when: float, *items: Item) -> Bench:
        self.until(when)
        self.now = when
        for item in items:
            self.stage.feed(when, item)
        return self

    def until(self, when: float) -> Bench:
        while (due := self.stage.due()) <= when and due < inf:
            self.now = max(self.now, due)
            self.stage.wake(self.now)
        return self

    def change(self, **attributes: int) -> Bench:
        self.toxic.attributes = attributes
        self.stage.change(self.now)
        return self

    @property
    def data(self) -> bytes:
        return b"".join(item for _, item in self.out if isinstance(item, bytes))


def test_latency_counts_from_each_arrival() -> None:
    bench = Bench("latency", latency=100, jitter=0).at(0.0, b"a").at(0.02, b"b", End.FIN).until(1)

    assert bench.out == [(0.1, b"a"), (0.12, b"b"), (0.12, End.FIN)]
    assert bench.toxic.count.delay_s == pytest.approx(0.2)


def test_changed_latency_lets_the_first_go_and_times_the_rest_anew() -> None:
    bench = Bench("latency", latency=1000, jitter=0).at(0.0, b"a").at(0.1, b"b").at(0.2, b"c")

    assert bench.change(latency=500, jitter=0).until(5).out == [(0.2, b"a"), (0.6, b"b"), (0.7, b"c")]


def test_a_late_wake_up_does_not_add_up() -> None:
    bench = Bench("latency", latency=100, jitter=0).at(0.0, b"a")
    bench.stage.wake(0.25)

    assert bench.out == [(0.1, b"a")]


@given(st.lists(st.tuples(st.floats(0, 0.05), st.binary(min_size=1, max_size=9)), max_size=20), st.integers(0, 300))
def test_jitter_never_reorders(arrivals: list[tuple[float, bytes]], jitter: int) -> None:
    bench, when = Bench("latency", latency=100, jitter=jitter), 0.0
    for gap, chunk in arrivals:
        when += gap
        bench.at(when, chunk)
    bench.at(when, End.FIN).until(10)

    assert bench.data == b"".join(chunk for _, chunk in arrivals)
    assert bench.out[-1][1] is End.FIN
    assert [at for at, _ in bench.out] == sorted(at for at, _ in bench.out)


def test_bandwidth_sends_tenths_of_a_second_and_then_the_rest() -> None:
    bench = Bench("bandwidth", rate=10).at(0.0, b"x" * 2500, b"y" * 500, End.FIN).until(9)

    assert [(at, item if isinstance(item, End) else len(item)) for at, item in bench.out] == [
        (0.1, 1000), (0.2, 1000), (0.25, 500), (0.3, 500), (0.3, End.FIN),
    ]  # fmt: skip


def test_bandwidth_saves_nothing_up_while_idle() -> None:
    bench = Bench("bandwidth", rate=10).at(0.0, b"x" * 500).at(5.0, b"y" * 500).until(9)

    assert [at for at, _ in bench.out] == [0.05, 5.05]


def test_bandwidth_0_holds_until_it_goes() -> None:
    bench = Bench("bandwidth", rate=0).at(0.0, b"a", b"b", End.FIN).until(1e6)
    assert bench.out == []
    bench.stage.release(7.0)

    assert bench.out == [(7.0, b"a"), (7.0, b"b"), (7.0, End.FIN)]
    assert bench.stage.due() == inf


def test_slow_close_counts_from_the_end() -> None:
    bench = Bench("slow_close", delay=300).at(0.0, b"a").at(1.0, End.FIN)

    assert bench.change(delay=500).until(9).out == [(0.0, b"a"), (1.5, End.FIN)]


def test_timeout_is_silence() -> None:
    bench = Bench("timeout", timeout=500)
    for tenth in range(10):
        bench.at(tenth / 10, b"x")

    assert bench.until(9).out == [(1.4, End.CUT)]


def test_reset_peer_waits_for_the_first_thing_only() -> None:
    bench = Bench("reset_peer", timeout=500).until(9).at(10.0, b"x").at(10.4, b"y").until(20)

    assert bench.out == [(10.5, End.RST)]
    assert bench.touched == [1, 1]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.integers(-3, 120))
def test_limit_data_passes_its_number_and_no_more(chunks: list[bytes], limit: int) -> None:
    bench = Bench("limit_data", bytes=limit).at(0.0, *chunks)

    whole = b"".join(chunks)
    assert bench.data == whole[: max(limit, 0)]
    assert ((0.0, End.CUT) in bench.out) == (bool(whole) and len(whole) >= limit)


@given(st.binary(min_size=1, max_size=5000), st.integers(1, 400), st.integers(0, 400))
def test_slices_are_of_the_size_asked_for(data: bytes, average: int, variation: int) -> None:
    variation = min(variation, average)
    bench = Bench("slicer", average_size=average, size_variation=variation, delay=0).at(0.0, data, End.FIN).until(0.001)

    sizes = [len(item) for _, item in bench.out if isinstance(item, bytes)]
    assert bench.data == data
    assert all(0 < size <= average + variation for size in sizes)
    assert bench.out[-1] == (pytest.approx(0.0, abs=0.001), End.FIN)


def test_a_flood_is_cut_into_single_bytes_a_few_at_a_time() -> None:
    bench = Bench("slicer", average_size=1, size_variation=0, delay=0).at(0.0, *[b"x" * 32_768] * 4)
    bench.stage.wake(0.0)

    assert 0 < len(bench.out) <= 256
    assert 0.0 < bench.stage.due() < 0.001
    bench.stage.release(0.0)
    assert bench.data == b"x" * 4 * 32_768


def test_slices_are_a_pause_apart() -> None:
    bench = Bench("slicer", average_size=1, size_variation=0, delay=5000).at(0.0, b"abc", End.FIN).until(1)

    assert bench.out == [(0.0, b"a"), (0.005, b"b"), (0.01, b"c"), (0.015, End.FIN)]


@pytest.mark.parametrize(("kind", "attributes"), [
    ("latency", {"latency": 9000, "jitter": 0}), ("bandwidth", {"rate": 0}), ("reset_peer", {"timeout": 9000}),
    ("slicer", {"average_size": 1, "size_variation": 0, "delay": 9000}), ("slow_close", {"delay": 9000}),
])  # fmt: skip
def test_release_hands_on_all_in_order(kind: str, attributes: dict[str, int]) -> None:
    bench = Bench(kind, **attributes).at(0.0, b"one", b"two").at(0.001, End.FIN)
    bench.stage.release(1.0)

    assert bench.data == b"onetwo"
    assert bench.out[-1] == (1.0, End.FIN)
    assert not bench.stage.queue
    assert bench.stage.held == 0


def test_a_stage_is_full_at_its_limit_and_has_room_at_half() -> None:
    latency, bandwidth = Bench("latency", latency=9000, jitter=0), Bench("bandwidth", rate=0)
    latency.at(0.0, *[b"x"] * 1024)
    bandwidth.at(0.0, *[b"x"] * 5)
    big = Bench("latency", latency=9000, jitter=0).at(0.0, *[b"x" * (1 << 20)] * 33)

    assert [bench.stage.full(1.0) for bench in (latency, bandwidth, big)] == [False, True, True]
    assert latency.stage.full(0.5)


@settings(max_examples=25)
@given(st.integers(0, 1 << 32), st.text(max_size=9))
def test_draws_are_even_and_repeatable(seed: int, name: str) -> None:
    drawn = [draw(seed, number, name) for number in range(300)]

    assert drawn == [draw(seed, number, name) for number in range(300)]
    assert all(0 <= one < 1 for one in drawn)
    assert 0.35 < sum(drawn) / 300 < 0.65


def test_every_request_has_a_draw_of_its_own() -> None:
    drawn = [draws(1, 2, "slow", number // DRAWS_AT_ONCE)[number % DRAWS_AT_ONCE] for number in range(300)]

    assert drawn == [draws(1, 2, "slow", number // DRAWS_AT_ONCE)[number % DRAWS_AT_ONCE] for number in range(300)]
    assert len(set(drawn)) == 300
    assert 0.4 < sum(drawn) / 300 < 0.6


def test_a_runs_draws_do_not_depend_on_its_id() -> None:
    names: Any = ("cx.run-a.3.17", "cx.run-b.3.99", "cx.run-a.4.17")
    first, same, other = ([draw(1, number, name) for number in range(9)] for name in names)

    assert first == same != other
