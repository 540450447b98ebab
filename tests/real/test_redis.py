"""The same `chaos-runner run FILE`, on a real Redis behind a real Toxiproxy."""

from __future__ import annotations

import pytest

from tests.real.conftest import Ran

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("name", "headlines"), [("as it is", {"HELD": 0}), ("tightened", {"ABORTED": 4, "DEVIATED": 1})]
)
def test_a_slow_redis_holds_within_its_limit_and_fails_a_tighter_one(
    runs: dict[str, Ran], name: str, headlines: dict[str, int]
) -> None:
    ran = runs[name]
    assert ran.answer.get("headline") in headlines, f"{ran.answer}\n{ran.said}"
    assert ran.code == headlines[ran.answer["headline"]]
    assert ran.answer["outcome"]["cleanup"] == "CLEAN"


@pytest.mark.parametrize("name", ["as it is", "tightened"])
def test_it_was_redis_that_answered_and_nothing_is_left_on_the_proxy(runs: dict[str, Ran], name: str) -> None:
    ran = runs[name]
    assert ran.connections > 500, "Redis counts the connections that it got"
    assert ran.toxics == ran.open_rows == []
    assert ran.fastest_pong_ms < 90, "the latency, of which no answer was spared, is gone"
