"""What all suites share: the count of tests that drove a real part."""

from __future__ import annotations

import os

import pytest

_REAL = pytest.StashKey[set[str]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[_REAL] = {item.nodeid for item in items if item.get_closest_marker("real")}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says how many tests drove a real part: a green run says little if they were all skipped."""
    real = config.stash.get(_REAL, set())
    if not real:
        return
    ended = {
        word: {report.nodeid for report in terminalreporter.stats.get(word, ()) if report.nodeid in real}
        for word in ("passed", "failed", "error", "skipped")
    }
    ran = len(real & (ended["passed"] | ended["failed"]))
    required = ", REQUIRE_REAL=1" if os.environ.get("REQUIRE_REAL") == "1" else ""
    terminalreporter.write_line(
        f"real parts: {ran} of {len(real)} tests ran, {len(ended['skipped'])} were skipped{required}"
    )
