"""Pure: every scheduled request ends exactly once for every clause, and ticks are told in order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_runner.wire import LoadClause, LoadPlan
from chaos_runner.worker.stalls import Stalls
from chaos_runner.worker.tally import EXEMPLARS_MAX, Schedule, Tally, bucket_of

S = 1_000_000_000
CLAUSES = (LoadClause("success"), LoadClause("slower", 1.0))


def plan(rate: float = 4, timeout_s: float = 2.0, clauses: tuple[LoadClause, ...] = CLAUSES) -> LoadPlan:
    return LoadPlan("shoppers", "127.0.0.1", 1, rate, timeout_s, clauses)


def tally_of(wanted: LoadPlan, until_s: float) -> tuple[Tally, list]:
    """A tally at `until_s`, with every request asked that was due before."""
    schedule = Schedule(wanted, 0)
    tally = Tally(wanted, schedule)
    tally.begin(int(until_s * S))
    asked = [tally.ask() for k in range(10_000) if schedule.due_ns(k) < until_s * S]
    return tally, asked


@given(st.floats(0.001, 5000), st.integers(0, 300))
def test_every_request_belongs_to_the_tick_that_contains_its_intended_time(rate, n):
    schedule = Schedule(plan(rate), 0)

    for k in range(schedule.first(n), min(schedule.first(n + 1), schedule.first(n) + 50)):
        assert n * S - 1 <= schedule.due_ns(k) < (n + 1) * S
    assert schedule.due_ns(schedule.first(n + 1)) >= (n + 1) * S - 1


def test_a_day_of_a_third_of_a_request_per_second_does_not_drift():
    schedule = Schedule(plan(round(20 / 60, 12)), 0)

    assert schedule.due_ns(28_800) == 86_400 * S


def test_a_tick_is_told_whole_once_all_its_requests_replied():
    tally, asked = tally_of(plan(), 1)
    for one in asked:
        tally.reply(one, one.due_ns + S // 50, 200, True)

    assert tally.ready(S - 1) == []
    (tick,) = tally.ready(S)

    assert (tick.n, tick.scheduled, tick.clauses, tick.last) == (0, 4, (0, 1), True)
    assert tick.counts == ((4, 0, 0), (4, 0, 0))
    assert tick.histogram == ((bucket_of(0.02), 4),)


def test_a_latency_clause_is_final_at_its_limit_and_success_only_later():
    tally, asked = tally_of(plan(), 1)
    for one in asked[1:]:
        tally.reply(one, one.due_ns + S // 50, 200, True)
    assert [t.clauses for t in tally.ready(S)] == []

    tally.limit(asked[0], 1)
    (early,) = tally.ready(S + 1)
    tally.reply(asked[0], int(1.7 * S), 200, True)
    (late,) = tally.ready(2 * S)

    assert (early.clauses, early.counts, early.last) == ((1,), ((3, 1, 0),), False)
    assert (late.clauses, late.counts, late.last) == ((0,), ((4, 0, 0),), True)
    assert [e.latency_s for e in late.exemplars] == [1.7]


def test_a_clause_is_never_told_out_of_order():
    tally, asked = tally_of(plan(), 2)
    for one in asked[1:]:
        tally.reply(one, one.due_ns + S // 50, 200, True)

    assert tally.ready(2 * S) == []
    tally.failed(asked[0], 2 * S, "timeout")

    assert [(t.n, t.clauses, t.last) for t in tally.ready(2 * S)] == [(0, (0, 1), True), (1, (0, 1), True)]


def test_a_failure_is_bad_for_success_and_for_every_limit_and_not_in_the_histogram():
    tally, asked = tally_of(plan(), 1)
    for one in asked:
        tally.failed(one, one.due_ns + S // 10, "reset")

    (tick,) = tally.ready(S)

    assert tick.counts == ((0, 4, 0), (0, 4, 0))
    assert (tick.histogram, tick.errors) == ((), {"reset": 4})


def test_a_fast_reply_with_the_wrong_status_is_bad_for_success_only():
    tally, asked = tally_of(plan(rate=1), 1)
    tally.reply(asked[0], S // 10, 503, False)

    (tick,) = tally.ready(S)

    assert tick.counts == ((0, 1, 0), (1, 0, 0))
    assert tick.exemplars[0].status == 503


def test_a_reply_after_the_timeout_is_a_timeout():
    tally, asked = tally_of(plan(rate=1), 1)
    tally.reply(asked[0], 2 * S + 1, 200, True)

    assert tally.ready(3 * S)[0].errors == {"timeout": 1}


def test_unknown_never_undoes_a_verdict_and_a_verdict_never_undoes_unknown():
    tally, asked = tally_of(plan(rate=1), 1)
    tally.limit(asked[0], 1)
    tally.unknown(asked[0])
    tally.reply(asked[0], S // 10, 200, True)
    tally.failed(asked[0], S, "reset")

    assert tally.ready(S)[0].counts == ((0, 0, 1), (0, 1, 0))


def test_a_tick_without_requests_is_told_too():
    tally, asked = tally_of(plan(rate=0.4), 2.4)
    tally.reply(asked[0], S // 50, 200, True)

    assert [(t.n, t.scheduled, t.last) for t in tally.ready(2 * S)] == [(0, 1, True), (1, 0, True)]


def test_at_most_five_exemplars():
    tally, asked = tally_of(plan(rate=100), 1)
    for one in asked:
        tally.failed(one, S, "eof")

    assert len(tally.ready(S)[0].exemplars) == EXEMPLARS_MAX


def test_stopping_counts_only_what_was_due():
    tally, asked = tally_of(plan(), 1)
    tally.begin(S)
    half = [tally.ask(), tally.ask()]
    tally.cut(int(1.4 * S))
    for one in asked + half:
        tally.reply(one, one.due_ns + S // 50, 200, True)

    ticks = tally.ready(int(1.4 * S))

    assert [(t.scheduled, t.counts[0]) for t in ticks] == [(4, (4, 0, 0)), (2, (2, 0, 0))]
    assert tally.done
    tally.begin(9 * S)
    assert tally.done


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_in_whatever_order_the_counts_add_up(seed):
    chance = random.Random(seed)
    wanted = plan(rate=chance.choice([0.7, 3, 17]))
    tally, asked = tally_of(wanted, 10)
    told = []
    events = asked * 3
    chance.shuffle(events)
    for one in events:
        at_ns = one.due_ns + chance.randrange(3 * S)
        chance.choice(
            [
                lambda one=one, at=at_ns: tally.reply(one, at, 200, chance.random() < 0.5),
                lambda one=one, at=at_ns: tally.failed(one, at, "reset"),
                lambda one=one: tally.limit(one, 1),
                lambda one=one: tally.unknown(one),
            ]
        )()
        told += tally.ready(chance.randrange(10 * S))
    for one in asked:
        tally.failed(one, 20 * S, "timeout")
    told += tally.ready(20 * S)

    assert sum(t.scheduled for t in told if t.last) >= len(asked)
    for clause in (0, 1):
        finals = [(t.n, t.scheduled, t.counts[t.clauses.index(clause)]) for t in told if clause in t.clauses]
        assert [n for n, _, _ in finals] == list(range(len(finals)))
        assert all(sum(counts) == scheduled for _, scheduled, counts in finals)
    assert [t.n for t in told if t.last] == list(range(len([t for t in told if t.last])))


def test_a_stall_is_what_exceeds_the_heartbeat_and_blinds_above_100_ms():
    stalls = Stalls(0)

    assert stalls.observe(20_000_000) == (0, False)
    assert stalls.observe(90_000_000) == (50_000_000, False)
    assert stalls.observe(90_000_000 + 121_000_000) == (101_000_000, True)
    assert stalls.blind_until_ns == 211_000_000


def test_a_stall_is_noted_in_each_tick_it_overlaps():
    tally, asked = tally_of(plan(rate=1), 3)
    tally.stalled(int(1.5 * S), int(2.5 * S))
    for one in asked:
        tally.unknown(one)

    assert [t.stall_s for t in tally.ready(3 * S)] == [0.0, 1.0, 1.0]


@given(st.floats(2e-6, 600))
def test_a_bucket_is_two_percent_wide(latency_s):
    bucket = bucket_of(latency_s)

    assert 1e-6 * 1.02**bucket <= latency_s * (1 + 1e-9)
    assert latency_s <= 1e-6 * 1.02 ** (bucket + 1) * (1 + 1e-9)
