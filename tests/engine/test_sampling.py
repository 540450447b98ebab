"""How checks are read while a run goes on: when, how many at once, and what becomes of answers that are none."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import anyio
import pytest

from chaos_runner.api import Metric, Probe, Reading, Unknown
from chaos_runner.clock import Clock
from chaos_runner.expect import clause
from chaos_runner.model import Check
from chaos_runner.records import ClauseCount, Sample
from chaos_runner.sampling import READ_S, READS_AT_ONCE, STREAM_LEAD_S, Sampling, metric_of, sample_of
from chaos_runner.testing import HANGS, LOST_REPLY, FakeProbe, FakeWorld, Reply, slow
from tests.engine.kit import check, travels, virtually

GAUGE = check("value >= 1")
EVENTS = check("success >= 90%", rate=20.0)


class Reads:
    """Checks of a world, sampled for some seconds that begin at second `since`."""

    def __init__(self, **checks: Check) -> None:
        self.world = FakeWorld()
        self.checks = checks or {"shop": GAUGE}
        self.probes: dict[str, Probe] = {name: FakeProbe(name=name, **one.with_) for name, one in self.checks.items()}
        self.first = -1
        self.last: list[Sample] = []

    def during(self, seconds: float, since: float = 0.0, **more: Any) -> list[Sample]:
        async def sampled() -> list[Sample]:
            clock = Clock()
            await anyio.sleep(since)
            sampling = Sampling(self.checks, self.probes, self.world.env(), clock)
            async with sampling.running() as self.first:
                await anyio.sleep(seconds)
                taken = sampling.take()
                self.last = await sampling.finish()
            await anyio.sleep(more.get("after", 0.0))
            return taken

        return virtually(sampled)

    def times(self) -> list[float]:
        return [round(t, 3) for t, asked, _key in self.world.asked if asked == "read"]


def counts(sample: Sample) -> tuple[int, int, int]:
    (one,) = sample.counts
    return one.good, one.bad, one.unknown


# --- when --------------------------------------------------------------------------------------------------------


def test_the_first_sample_is_taken_at_once() -> None:
    reads = Reads()
    (sample,) = reads.during(0.0001)

    assert reads.first == sample.tick == 0
    assert counts(sample) == (1, 0, 0)


def test_a_run_that_is_already_on_begins_with_its_next_tick() -> None:
    reads = Reads()
    samples = reads.during(2.0, since=3.2)

    assert reads.first == 4
    assert reads.times() == [4.0, 5.0]
    assert [sample.tick for sample in samples] == [4, 5]


@pytest.mark.parametrize(
    ("interval", "takes", "times"),
    [
        (1.0, 0.0, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
        (1.0, 0.7, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
        (1.0, 1.0, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
        (1.0, 2.5, [0.0, 3.0]),
        (2.0, 0.5, [0.0, 2.0, 4.0]),
        (2.0, 2.5, [0.0, 4.0]),
        (0.5, 0.6, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
    ],
)
def test_intervals_are_kept_and_what_was_missed_is_not_caught_up_on(
    interval: float, takes: float, times: list[float]
) -> None:
    reads = Reads(shop=check("value >= 1", interval=interval))
    reads.world.always("read", slow(takes))
    reads.during(5.9)

    assert reads.times() == times


def test_samples_belong_to_the_tick_they_were_due_in() -> None:
    reads = Reads(shop=check("value >= 1", interval=0.25))
    reads.world.always("read", slow(0.2))

    assert [sample.tick for sample in reads.during(1.99)] == [0, 0, 0, 0, 1, 1, 1, 1]


def test_nothing_is_read_any_more_once_it_is_over() -> None:
    reads = Reads()
    reads.during(2.5, after=10.0)

    assert reads.times() == [0.0, 1.0, 2.0]


def test_what_was_taken_is_not_taken_again() -> None:
    reads = Reads()
    reads.during(2.5)

    assert reads.last == []


# --- many --------------------------------------------------------------------------------------------------------


class Crowd(FakeProbe, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Counts who is inside."""

    async def read(self, env: Any) -> Reading:
        INSIDE.append(INSIDE[-1] + 1)
        try:
            await anyio.sleep(0.4)
        finally:
            INSIDE.append(INSIDE[-1] - 1)
        return Reading({"value": 1.0})


INSIDE = [0]


def test_at_most_sixteen_checks_are_read_at_once_and_all_are_read() -> None:
    INSIDE[:] = [0]
    reads = Reads(**{f"c{n}": GAUGE for n in range(40)})
    reads.probes = {name: Crowd(name=name) for name in reads.checks}
    samples = reads.during(1.9)

    assert max(INSIDE) == READS_AT_ONCE == 16
    assert {sample.check for sample in samples} == set(reads.checks)


def test_waiting_for_a_turn_is_not_waiting_for_an_answer() -> None:
    reads = Reads(**{f"c{n}": GAUGE for n in range(2 * READS_AT_ONCE)})
    reads.world.always("read", slow(READ_S - 1))
    samples = reads.during(2 * READ_S)

    assert len({sample.check for sample in samples}) == 2 * READS_AT_ONCE
    assert all(counts(sample) == (1, 0, 0) for sample in samples)


def test_a_check_that_hangs_holds_up_no_other() -> None:
    reads = Reads(shop=GAUGE, other=GAUGE)
    reads.world.will("read", HANGS)
    samples = reads.during(READ_S + 0.5)
    well = [sample.tick for sample in samples if counts(sample) == (1, 0, 0)]

    assert sorted(well)[: int(READ_S)] == list(range(int(READ_S)))


# --- no answer ---------------------------------------------------------------------------------------------------


def test_a_read_that_takes_too_long_is_unknown_and_the_next_one_is_made() -> None:
    reads = Reads()
    reads.world.will("read", HANGS)
    samples = reads.during(READ_S + 1.5)

    assert [(sample.tick, counts(sample)) for sample in samples] == [(0, (0, 0, 1)), (10, (1, 0, 0)), (11, (1, 0, 0))]
    assert samples[0].why == "no answer within 10 s"


def test_a_probe_that_does_not_know_gives_an_unknown_sample_that_says_why() -> None:
    reads = Reads()
    reads.world.will("read", LOST_REPLY)
    first, second = reads.during(1.5)

    assert (counts(first), first.why) == ((0, 0, 1), "the reply was lost")
    assert counts(second) == (1, 0, 0)


def test_a_bug_in_a_probe_ends_the_run_as_itself() -> None:
    reads = Reads()
    reads.world.will("read", Reply(error="bug"))

    with travels(RuntimeError, "as scripted"):
        reads.during(60.0)
    assert reads.times() == [0.0]


ODD: list[Any] = [math.nan, math.inf, -math.inf, "1", True, None, 10**400, [1], {}, ""]


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("op", [">=", "<=", ">", "<"])
def test_what_cannot_be_compared_is_unknown_and_never_kept_as_a_figure(odd: Any, op: str) -> None:
    sample = sample_of("shop", (clause(f"value {op} 1"),), FakeProbe(), 0, Reading({"value": odd}))

    assert counts(sample) == (0, 0, 1)
    assert all(math.isfinite(value) for value in sample.values.values())


@pytest.mark.parametrize("odd", [*ODD, -1.0], ids=repr)
def test_a_latency_that_is_none_is_in_no_histogram(odd: Any) -> None:
    sample = sample_of("shop", (clause("value >= 1"),), FakeProbe(), 0, Reading({"value": 1.0}, latency_s=odd))

    assert sample.histogram == () or odd in (True, -1.0)
    assert counts(sample) == (1, 0, 0)


def test_no_answer_is_slower_than_any_limit() -> None:
    sample = sample_of("shop", (clause("p95 <= 1s"),), FakeProbe(), 0, Reading({"success": False}))

    assert counts(sample) == (0, 1, 0)


def test_each_clause_is_judged_by_itself() -> None:
    clauses = tuple(clause(text) for text in ("success >= 90%", "p95 <= 100ms", "p50 <= 1s", "value >= 1"))
    reading = Reading({"success": True, "value": 0.5}, latency_s=0.4, unknown={"rss": "no such field"})
    sample = sample_of("shop", clauses, FakeProbe(), 7, reading)

    assert sample.counts == (
        ClauseCount(0, 1, 0, 0),
        ClauseCount(1, 0, 1, 0),
        ClauseCount(2, 1, 0, 0),
        ClauseCount(3, 0, 1, 0),
    )
    assert (sample.tick, sample.why) == (7, "rss: no such field")
    assert len(sample.exemplars) == 1


def test_an_unknown_reading_makes_every_clause_unknown() -> None:
    clauses = clause("success >= 90%"), clause("value >= 1")
    sample = sample_of("shop", clauses, FakeProbe(), 0, Unknown("why"))

    assert [(one.clause, one.good, one.bad, one.unknown) for one in sample.counts] == [(0, 0, 0, 1), (1, 0, 0, 1)]


def test_a_metric_that_the_probe_has_not_is_our_bug() -> None:
    with pytest.raises(KeyError, match="speed"):
        metric_of(FakeProbe(), clause("speed >= 1"))
    assert isinstance(metric_of(FakeProbe(), clause("p99.9 <= 1s")), Metric)


# --- streams -----------------------------------------------------------------------------------------------------


def spy(reads: Reads) -> list[float]:
    """The moments that a stream's samples tell of."""
    told: list[float] = []
    reads.world.reading = lambda _name, t: (told.append(t), Reading({"success": True, "value": 1.0}))[1]
    return told


@pytest.mark.parametrize(("since", "first"), [(0.0, 1), (3.2, 5), (4.0, 5)])
def test_a_stream_begins_a_second_later_and_its_ticks_are_the_runs(since: float, first: int) -> None:
    reads = Reads(shop=EVENTS)
    told = spy(reads)
    samples = reads.during(first - since + 3.0, since=since)

    assert reads.first == first >= since + STREAM_LEAD_S - 1e-9
    assert [sample.tick for sample in samples] == [first, first + 1, first + 2]
    assert told == pytest.approx([first, first + 1, first + 2])


def test_checks_that_are_read_and_checks_that_stream_begin_with_the_same_tick() -> None:
    reads = Reads(shop=EVENTS, gauge=GAUGE)
    samples = reads.during(3.5, since=0.5)

    assert {name: min(one.tick for one in samples if one.check == name) for name in reads.checks} == {
        "shop": 2,
        "gauge": 2,
    }


class Last:
    """A stream that has its last sample only when it is finished."""

    def __init__(self) -> None:
        self.beats = 0

    def take(self) -> tuple[Sample, ...]:
        return ()

    async def beat(self) -> None:
        self.beats += 1

    async def finish(self) -> tuple[Sample, ...]:
        await anyio.sleep(2.0)
        return (Sample(check="shop", tick=8, counts=(ClauseCount(0, 5, 0, 0),)),)


class Ending(FakeProbe, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Streams a `Last`."""

    def stream(self, env: Any, check: str, clauses: Any, t0_ns: int) -> Any:
        return contextlib.nullcontext(LAST)


LAST = Last()


def test_finishing_gives_what_was_not_taken_and_what_was_under_way() -> None:
    reads = Reads(shop=EVENTS, gauge=GAUGE)
    reads.probes["shop"] = Ending(rate=20.0)

    async def finished() -> list[tuple[str, int]]:
        sampling = Sampling(reads.checks, reads.probes, reads.world.env(), Clock())
        async with sampling.running():
            await anyio.sleep(1.5)
            await sampling.beat()
            return [(sample.check, sample.tick) for sample in await sampling.finish()]

    assert virtually(finished) == [("gauge", 1), ("shop", 9)]
    assert LAST.beats == 1


def test_a_stream_gives_each_tick_once_however_often_it_is_asked() -> None:
    reads = Reads(shop=EVENTS)

    async def taken() -> list[int]:
        ticks: list[int] = []
        sampling = Sampling(reads.checks, reads.probes, reads.world.env(), Clock())
        async with sampling.running():
            for _ in range(20):
                await anyio.sleep(0.3)
                ticks += [sample.tick for sample in sampling.take()]
        return ticks

    assert virtually(taken) == [1, 2, 3, 4, 5]
