"""What a plan says before anything is measured."""

from __future__ import annotations

from chaos_runner import forecast
from chaos_runner.model import ErrorBudget
from chaos_runner.plan import ClauseForecast
from tests.judge import given


def test_the_shortest_window_counts() -> None:
    rules = given.rules(given.experiment(holds=(60.0, 20.0)))

    assert forecast.forecasts(rules) == (
        ClauseForecast("shoppers", "success >= 99%", 400.0, 300),
        ClauseForecast("shoppers", "p95 <= 1s", 400.0, 60),
    )


def test_too_few_events_are_refused_with_what_would_be_enough() -> None:
    made = given.experiment({"shoppers": given.load("success >= 99.9%")}, holds=(30.0,))

    assert forecast.refusals(given.rules(made), made) == (
        "shoppers: success >= 99.9%: 600 events in a fault window of 30s, a verdict needs 3000: `for: 150s` or 100/s"
        " would be enough",
        "shoppers: success >= 99.9%: 600 events in a baseline of 30s, 3000 are needed: `baseline: 150s` would be"
        " enough",
    )


def test_a_good_experiment_is_neither_refused_nor_warned_of() -> None:
    made = given.experiment({"shoppers": given.load(), "replicas": given.load("ready >= 2", during=["ready >= 1"])})
    rules = given.rules(made, lag_s=2.0)

    assert forecast.refusals(rules, made) == ()
    assert forecast.warnings(rules, made) == ()


def test_a_recovery_that_cannot_be_seen_in_time_is_refused() -> None:
    slow = given.experiment({"shoppers": given.load("success >= 90%", interval=5.0)}, holds=(200.0,), baseline=200.0)
    late = given.experiment(within=4.0)

    assert forecast.refusals(given.rules(slow, rate=0), slow) == (
        "shoppers: success >= 90%: a system that is well at once cannot be seen to be well within the recovery of 60s;"
        " make `recovery.within` longer or the samples more frequent",
    )
    assert forecast.refusals(given.rules(late, lag_s=2.0), late) == (
        "shoppers: success >= 99%: `recovery.within` must be at least 5s",
        "shoppers: p95 <= 1s: `recovery.within` must be at least 5s",
    )


def warned(lag_s: float = 0.0, **abort: object) -> tuple[str, ...]:
    made = given.experiment({"shoppers": given.load("success >= 99%")}, **abort)  # type: ignore[arg-type]
    return forecast.warnings(given.rules(made, lag_s=lag_s), made)


def test_abort_rules_that_cannot_fire_are_named() -> None:
    assert warned(violated_for=30.0) == ()
    assert warned(violated_for=31.0) == (
        "shoppers: success >= 99% cannot stop this run: `violated_for: 31s` against a fault of 30s",
    )
    assert warned(lag_s=2.0, violated_for=29.0) == (
        "shoppers: success >= 99% cannot stop this run: `violated_for: 29s` and answers up to 2s late"
        " against a fault of 30s",
    )
    assert warned(lag_s=20.0) == (
        "shoppers: success >= 99%: blindness shows after 30s, the fault lasts 30s",
    )  # fmt: skip


def test_a_slow_poll_that_cannot_gather_enough_to_stop_is_named() -> None:
    made = given.experiment({"shoppers": given.load("p95 <= 1s", interval=5.0)}, holds=(30.0,))

    (why,) = forecast.warnings(given.rules(made, rate=0), made)

    assert why == "shoppers: p95 <= 1s cannot stop this run: a sample every 5s against a fault of 30s"


def test_an_error_budget_beyond_reach_is_named() -> None:
    (why,) = warned(error_budget=ErrorBudget(**given.BUDGET))

    assert why == "the error budget cannot stop this run: its limit is 51.8s of outage, the faults last 30s in all"


def test_a_verdict_that_hangs_by_a_few_events_is_named() -> None:
    made = given.experiment({"shoppers": given.load("success >= 99%")}, holds=(15.0,))

    assert forecast.warnings(given.rules(made), made) == (
        "shoppers: success >= 99%: 300 events for 300 needed: if the effect is confirmed late, the verdict is UNKNOWN",
    )


def test_without_faults_there_is_nothing_to_forecast_but_that_nothing_is_tried() -> None:
    made = given.experiment(holds=())
    rules = given.rules(made)

    assert (forecast.forecasts(rules), forecast.refusals(rules, made)) == ((), ())
    assert forecast.warnings(rules, made) == (
        "the method has no fault: HELD will only say that the steady state is steady",
    )
