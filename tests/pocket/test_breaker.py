"""When not to call. Pure: time is a number here."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chaos_runner.pocket import rules
from chaos_runner.pocket.breaker import Breaker, RetryBudget


def careful() -> Breaker:
    return Breaker(calls_min=5, share=0.5, open_for_s=1.0)


def call(breaker: Breaker, now: float, *, ok: bool) -> bool:
    ticket = breaker.admit(now)
    if ticket is None:
        return False
    breaker.record(ticket, ok=ok, now=now)
    return True


def opened() -> Breaker:
    breaker = careful()
    for _ in range(5):
        call(breaker, 0.0, ok=False)
    return breaker


def test_a_few_failures_do_not_open_it() -> None:
    breaker = careful()
    for _ in range(4):
        call(breaker, 0.0, ok=False)

    assert breaker.state(0.0) == "closed"


def test_enough_failures_open_it_and_no_call_is_made() -> None:
    breaker = opened()

    assert breaker.state(0.9) == "open"
    assert not call(breaker, 0.9, ok=True)


def test_half_open_allows_one_trial_at_a_time() -> None:
    breaker = opened()

    first, second = breaker.admit(1.0), breaker.admit(1.0)

    assert first is not None and first.trial
    assert second is None


def test_a_good_trial_closes_it() -> None:
    breaker = opened()
    call(breaker, 1.0, ok=True)

    assert breaker.state(1.0) == "closed"
    assert call(breaker, 1.0, ok=True)


def test_a_bad_trial_opens_it_for_the_whole_time_again() -> None:
    breaker = opened()
    call(breaker, 1.5, ok=False)

    assert breaker.state(2.4) == "open"
    assert breaker.state(2.5) == "half-open"


def test_outcomes_from_before_it_opened_are_history() -> None:
    breaker = careful()
    late = [breaker.admit(0.0) for _ in range(5)]
    for _ in range(5):
        call(breaker, 0.0, ok=False)
    call(breaker, 1.0, ok=True)
    for ticket in late:
        assert ticket is not None
        breaker.record(ticket, ok=False, now=1.1)

    assert breaker.state(1.1) == "closed"


def test_mostly_good_calls_keep_it_closed() -> None:
    breaker = careful()
    for n in range(200):
        assert call(breaker, n / 40, ok=n % 3 > 0)


def test_the_fragile_shop_never_stops_calling() -> None:
    row = rules.MODES["fragile"].payments
    breaker = Breaker(calls_min=row.breaker_calls_min, share=row.breaker_share, open_for_s=row.breaker_open_for_s)

    assert all(call(breaker, float(n), ok=False) for n in range(10_000))


@given(st.lists(st.booleans(), max_size=400))
def test_retries_never_exceed_their_share_of_calls(wants: list[bool]) -> None:
    budget, retries = RetryBudget(share=0.1), 0
    for calls, wanted in enumerate(wants, start=1):
        budget.earn()
        retries += wanted and budget.spend()
        assert retries <= calls * 0.1 + 1e-6


def test_a_long_calm_saves_only_so_many_retries() -> None:
    budget = RetryBudget(share=0.1, saved_max=10)
    for _ in range(10_000):
        budget.earn()

    assert sum(budget.spend() for _ in range(100)) == 10


def test_a_share_of_zero_means_no_retries() -> None:
    budget = RetryBudget(share=0.0)
    budget.earn()

    assert not budget.spend()
