"""What all suites share: the ones that mostly wait begin first, and the count of tests that drove a real part."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import hypothesis
import pytest

from tests import again

hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")
HERE = Path(__file__).parent
# By how long they take.
LONG = (
    "schedule_daemon/test_shop.py",
    "demo",
    "crash",
    "gates/test_runs.py",
    "signals/test_real.py",
    "real",
    "guardian",
    "schedule_daemon/test_daemons.py",
    "conductor/test_deaths.py",
    "conductor/test_days.py",
    "gates",
    "pocket",
    "recover/test_sequences.py",
    "schedule_daemon",
    "faults",
    "docs",
    "proxy",
    "sim",
    "load/test_hostile.py",
)


@functools.cache
def _turn(path: Path) -> int:
    file = path.relative_to(HERE)
    return next((turn for turn, name in enumerate(LONG) if file.is_relative_to(name)), len(LONG))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Several processes share the files out in this order: what takes longest must not come last."""
    items.sort(key=lambda item: _turn(item.path))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what was tried once more, and how many tests drove a real part: green says little if all were skipped."""
    for report in (*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())):
        for why in (value for name, value in getattr(report, "user_properties", ()) if name == again.NOTED):
            terminalreporter.write_line(f"tried once more: {report.nodeid}: {why}")
    ended: dict[str, set[str]] = {}
    for word in ("passed", "failed", "error", "skipped"):
        reports = terminalreporter.stats.get(word, ())
        ended[word] = {report.nodeid for report in reports if "real" in getattr(report, "keywords", ())}
    real = set().union(*ended.values())
    if not real:
        return
    ran = len(ended["passed"] | ended["failed"])
    required = ", REQUIRE_REAL=1" if os.environ.get("REQUIRE_REAL") == "1" else ""
    terminalreporter.write_line(
        f"real parts: {ran} of {len(real)} tests ran, {len(ended['skipped'])} were skipped{required}"
    )
