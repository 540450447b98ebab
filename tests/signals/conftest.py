"""One watched shop for all tests of a session that drive a real Prometheus and a real Alertmanager."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.signals import station


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[station.Station]:
    """The shop with its monitoring; skipped, or failed where real parts are required, when it is not installed."""
    if reason := station.missing():
        (pytest.fail if os.environ.get("REQUIRE_REAL") == "1" else pytest.skip)(reason)
    with station.opened(tmp_path_factory.mktemp("watched")) as opened:
        yield opened
