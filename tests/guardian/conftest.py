"""An embedded proxy, a runner and its guardian as processes of their own; nothing of them is left after a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.guardian.bench import Small
from tests.guardian.deaths import Ground
from tests.proxy import toxi


def served(folder: Path) -> toxi.Api:
    api = toxi.start_embedded(folder / "proxy.log", env={"CHAOS_RUNNER_PROXY_TOKEN": ""})
    api.make("p")
    return api


@pytest.fixture
def api(tmp_path: Path) -> Iterator[toxi.Api]:
    api = served(tmp_path)
    yield api
    toxi.stop(api)


def made(folder: Path) -> Small:
    return Small(folder / "state", served(folder))


def ended(bench: Small) -> None:
    bench.close()
    toxi.stop(bench.api)


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Small]]:
    """Each call gives one that was made while the test before waited: making one takes longer than most tests."""
    with ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(made, tmp_path_factory.mktemp("bench"))]

        def following() -> Small:
            ahead.append(pool.submit(made, tmp_path_factory.mktemp("bench")))
            return ahead.pop(0).result()

        yield following
        for unused in ahead:
            ended(unused.result())


@pytest.fixture
def bench(benches: Callable[[], Small]) -> Iterator[Small]:
    bench = benches()
    yield bench
    ended(bench)


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    ground = Ground(tmp_path_factory.mktemp("ground"))
    yield ground
    ground.close()
