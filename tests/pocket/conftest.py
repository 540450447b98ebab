"""Shops in this process and worlds of real processes, for the laws about them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos_runner.pocket import world

REAL = Path(
    os.environ.get("TOXIPROXY_SERVER", Path.home() / ".cache" / "chaos-runner" / "real" / "toxiproxy-2.12.0" / "server")
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.real)])
def proxy_path(request: pytest.FixtureRequest) -> str | None:
    """None for the embedded proxy, or the path of the real one."""
    if request.param == "embedded":
        return None
    if not REAL.exists():
        reason = f"no Toxiproxy server at {REAL}: build it with `make real` or set TOXIPROXY_SERVER"
        (pytest.fail if os.environ.get("REQUIRE_REAL") == "1" else pytest.skip)(reason)
    return str(REAL)


@pytest.fixture
def fragile() -> Iterator[world.World]:
    with world.start_world("fragile") as running:
        yield running
