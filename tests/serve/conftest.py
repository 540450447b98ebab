"""One filled server for all that only looks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serve import kit


@pytest.fixture(scope="package", name="served")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kit.Served]:
    state = kit.fill(tmp_path_factory.mktemp("serve"))
    with kit.serving(state) as served:
        yield served
