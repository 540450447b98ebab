"""A small cluster in memory, behind a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.kube.cluster import Place, served


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    with served(tmp_path) as place:
        place.memory.space("shop")
        yield place
        await place.aclose()
