"""State folders in memory: a thousand commits in virtual time should not wait for a disk."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.kit import Rig

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as path:
        yield Path(path) / "state"


@pytest.fixture
def make(folder: Path) -> Iterator[Callable[..., Rig]]:
    """Makes rigs and closes them."""
    made: list[Rig] = []

    def rig(*names: str, **options: bool) -> Rig:
        made.append(Rig(folder / str(len(made)), *names, **options))
        return made[-1]

    yield rig
    for one in made:
        one.close()


@pytest.fixture
def rig(make: Callable[..., Rig]) -> Rig:
    return make()
