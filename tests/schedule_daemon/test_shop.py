"""Schedules on the demo shop from end to end, as `make schedule-demo` shows them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import again
from tests.schedule_daemon import shop

BUSY_S = 15.0  # on a busy machine; the tool prints the time and goes by two seconds


@pytest.mark.campaign
@pytest.mark.world
def test_five_run_in_five_minutes_a_failed_one_waits_for_a_person_and_a_lever_stops_all(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    def spent(n: int) -> shop.Day:
        folder = tmp_path / str(n)
        folder.mkdir()
        return shop.spend(folder, lambda _line: None)

    def ended(day: shop.Day) -> tuple[int, str]:
        return (again.NOTHING_LEARNED if shop.misses(day, BUSY_S) else 0), day.said

    day, why = again.once(spent, ended)
    if why:
        record_property(again.NOTED, why)

    assert shop.misses(day, BUSY_S) == [], day.said
    assert all(len(row.readings) >= 13 for row in day.rows if row.run), "every value is kept with a yes"
    assert "blocked: run " in day.history
    assert "levers: ann pulled global: the five minutes are over" in day.history
