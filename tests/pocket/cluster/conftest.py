"""An API server without sockets, and a cluster of real processes for a whole file."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from chaos_runner.pocket.cluster import handle
from tests.pocket.cluster.kit import Client, Desk

collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with handle.running(tmp_path_factory.mktemp("cluster"), "--user", "reader", "--silent-after", "3") as info:
        yield Client(info)
