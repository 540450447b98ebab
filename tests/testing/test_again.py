"""The rigs' own rule: what was not measured is tried once more, and nothing else is."""

from __future__ import annotations

import pytest

from tests import again

GAP = "shoppers: success >= 99% is unknown: 59 of 440 results are unknown, at most 10 % may be"
TICKS = "not started: visitors: p95 <= 1s is unknown in the baseline: measured in 17 of 20 ticks, 18 are needed"


def tries(code: int, said: str) -> tuple[list[int], str]:
    made: list[int] = []

    def run(number: int) -> tuple[int, str]:
        made.append(number)
        return code, said

    (_, _), why = again.once(run, lambda ended: ended)
    return made, why


@pytest.mark.parametrize("said", [GAP, TICKS])
def test_what_was_not_measured_is_tried_once_more_and_never_a_third_time(said: str) -> None:
    made, why = tries(3, said)

    assert made == [1, 2]
    assert why in said


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, GAP),
        (1, GAP),
        (4, GAP),
        (5, GAP),
        (3, "UNKNOWN: proxy/payments: the effect was not shown"),
        (3, "not started: there is no proxy 'payment'"),
    ],
)
def test_nothing_else_is_tried_again(code: int, said: str) -> None:
    assert tries(code, said) == ([1], "")
