"""Whether a fault took effect: by what the author named, by what it measured itself, and never by silence."""

from __future__ import annotations

import math
from typing import Any

import pytest

from chaos_runner import configure, confirm
from chaos_runner.confirm import Effect
from chaos_runner.records import FaultConfirmed, FaultUnconfirmed, Sample

BASELINE, WINDOW = range(5), range(10, 20)


def bucket(seconds: float) -> int:
    return math.floor(math.log(seconds / 1e-6) / math.log(1.02))


def slow(check: str, ticks: range, seconds: float) -> list[Sample]:
    return [Sample(check=check, tick=tick, counts=(), histogram=((bucket(seconds), 10),)) for tick in ticks]


def gauge(ticks: range, value: float) -> list[Sample]:
    return [Sample(check="shop", tick=tick, counts=(), values={"ready": value}) for tick in ticks]


def said(effect: Effect, samples: Any = (), rate: float = 0.0) -> FaultConfirmed | FaultUnconfirmed:
    return confirm.verdict(effect, BASELINE, WINDOW, list(samples), rate)


def asked(text: str) -> Effect:
    return Effect("f", confirm=(configure.confirmation(text),))


def test_a_fault_that_can_measure_nothing_is_unconfirmed() -> None:
    assert said(Effect("f")) == FaultUnconfirmed("f", "nothing here can show its effect")


def test_a_fault_that_measured_nothing_is_unconfirmed() -> None:
    assert said(Effect("f", able=True)) == FaultUnconfirmed("f", "nothing that passed the target was affected")


def test_what_it_measured_is_the_evidence() -> None:
    assert said(Effect("f", able=True, evidence="2 streams")) == FaultConfirmed("f", "counters", "2 streams")


@pytest.mark.parametrize(("seen", "rate", "kind"), [
    (0.5, 40.0, FaultUnconfirmed),
    (4.0, 40.0, FaultConfirmed),
    (0.0, 0.0, FaultConfirmed),
])  # fmt: skip
def test_evidence_from_somebody_elses_traffic_counts_for_nothing(seen: float, rate: float, kind: type) -> None:
    effect = Effect("f", able=True, evidence="2 streams", before={"exchanges_per_s": seen})

    assert isinstance(said(effect, rate=rate), kind)


def test_reading_back_is_enough_only_where_the_author_says_so() -> None:
    answer = said(asked("read-back"))

    assert isinstance(answer, FaultConfirmed)
    assert answer.how == "read-back"


@pytest.mark.parametrize(("text", "new", "kind"), [
    ("shop p50 rises >= 200ms", 0.4, FaultConfirmed),
    ("shop p50 rises >= 400ms", 0.4, FaultUnconfirmed),
    ("shop p50 falls >= 10ms", 0.4, FaultUnconfirmed),
    ("shop p50 falls >= 50ms", 0.01, FaultConfirmed),
])  # fmt: skip
def test_a_percentile_must_move_as_far_as_was_said(text: str, new: float, kind: type) -> None:
    assert isinstance(said(asked(text), slow("shop", BASELINE, 0.1) + slow("shop", WINDOW, new)), kind)


def test_a_value_must_move_as_far_as_was_said() -> None:
    answer = said(asked("shop ready falls >= 1"), gauge(BASELINE, 3.0) + gauge(WINDOW, 1.0))

    assert answer == FaultConfirmed("f", "confirm", "shop ready went from 3 to 1 (needed: shop ready falls >= 1)")


@pytest.mark.parametrize("samples", [[], slow("shop", BASELINE, 0.1), slow("shop", WINDOW, 0.5),
                                     slow("other", range(30), 0.5)])  # fmt: skip
def test_what_was_not_measured_before_and_after_confirms_nothing(samples: list[Sample]) -> None:
    answer = said(asked("shop p50 rises >= 10ms"), samples)

    assert answer == FaultUnconfirmed("f", "shop p50 was not measured")


def test_samples_outside_of_the_windows_say_nothing() -> None:
    between = slow("shop", range(5, 10), 9.0) + slow("shop", range(20, 40), 9.0)
    answer = said(asked("shop p50 rises >= 10ms"), slow("shop", BASELINE, 0.1) + slow("shop", WINDOW, 0.1) + between)

    assert isinstance(answer, FaultUnconfirmed)


def test_the_order_in_which_samples_came_makes_no_difference() -> None:
    samples = slow("shop", BASELINE, 0.1) + slow("shop", WINDOW, 0.5)

    assert said(asked("shop p50 rises >= 200ms"), samples) == said(asked("shop p50 rises >= 200ms"), samples[::-1])


def test_all_of_several_confirmations_must_come_true() -> None:
    both = Effect("f", confirm=(*asked("shop p50 rises >= 10ms").confirm, *asked("shop p50 rises >= 9s").confirm))

    assert isinstance(said(both, slow("shop", BASELINE, 0.1) + slow("shop", WINDOW, 0.5)), FaultUnconfirmed)
