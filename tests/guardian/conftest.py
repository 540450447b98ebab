"""An embedded proxy, a runner and its guardian as processes of their own; nothing of them is left after a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guardian.bench import Small
from tests.guardian.deaths import Ground
from tests.proxy import toxi


@pytest.fixture
def api(tmp_path: Path) -> Iterator[toxi.Api]:
    api = toxi.start_embedded(tmp_path / "proxy.log", env={"CHAOS_RUNNER_PROXY_TOKEN": ""})
    api.make("p")
    yield api
    toxi.stop(api)


@pytest.fixture
def bench(tmp_path: Path, api: toxi.Api) -> Iterator[Small]:
    bench = Small(tmp_path / "state", api)
    yield bench
    bench.close()


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    ground = Ground(tmp_path_factory.mktemp("ground"))
    yield ground
    ground.close()
