"""A whole game day on the demo shop, by a script: what `make gameday-demo` shows, and the same by Textual's pilot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.console import afternoon


@pytest.mark.campaign
@pytest.mark.world
def test_a_day_with_two_deaths_loses_no_record_and_leaves_no_fault(tmp_path: Path) -> None:
    came = afternoon.spend(tmp_path, tmp_path / "reports", print)
    assert came.misses == []
    assert (afternoon.attached(came.entries), afternoon.conductors(came.entries)) == (3, 2)
    told = json.loads((tmp_path / "reports" / f"{came.day.id}.json").read_text())
    assert told["schemaVersion"] == 1


@pytest.mark.campaign
@pytest.mark.world
def test_the_same_day_is_led_from_the_full_console(tmp_path: Path) -> None:
    came = afternoon.spend_with_pilot(tmp_path, tmp_path / "reports")
    assert came.misses == []
    assert (afternoon.attached(came.entries), afternoon.conductors(came.entries)) == (0, 1)
