from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos_runner.store import SqliteStore, open_store


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / ".chaos-runner"


@pytest.fixture
def store(state: Path) -> Iterator[SqliteStore]:
    with open_store(state) as opened:
        yield opened
