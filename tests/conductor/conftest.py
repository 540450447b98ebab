from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conductor.rig import Rig, port


@pytest.fixture(scope="module")
def address() -> Iterator[int]:
    with port() as number:
        yield number


@pytest.fixture
def rigged(address: int, tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Makes a day that has begun; whatever is left of it afterwards is killed."""
    made: list[Rig] = []

    def make(**how: Any) -> Rig:
        rig = Rig(tmp_path, address, **how)
        made.append(rig)
        rig.begin()
        return rig

    yield make
    for rig in made:
        rig.clean()
