from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.proxy.toxi import REAL


@pytest.fixture(scope="module")
def real_path() -> str:
    if not REAL.exists():
        reason = f"no Toxiproxy server at {REAL}: build it with `make real` or set TOXIPROXY_SERVER"
        (pytest.fail if os.environ.get("REQUIRE_REAL") == "1" else pytest.skip)(reason)
    return str(REAL)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gates")
