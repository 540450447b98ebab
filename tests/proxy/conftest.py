"""The proxy under test: the embedded one, and the real Toxiproxy where it is installed."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.proxy import toxi


@pytest.fixture(scope="session")
def embedded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[toxi.Api]:
    api = toxi.start_embedded(tmp_path_factory.mktemp("embedded") / "log", "-seed", "7", "-proxy-metrics")
    yield api
    assert toxi.stop(api) == 0
    assert "Traceback" not in api.log.read_text(), api.log.read_text()


@pytest.fixture(scope="session")
def plain_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[toxi.Api]:
    log = tmp_path_factory.mktemp("plain") / "log"
    api = toxi.start_embedded(log, "-seed", "7", "-proxy-metrics", start=toxi.WITHOUT_UVLOOP)
    yield api
    assert toxi.stop(api) == 0
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[toxi.Api]:
    if not toxi.REAL.exists():
        reason = f"no Toxiproxy server at {toxi.REAL}: build it with `make real` or set TOXIPROXY_SERVER"
        (pytest.fail if os.environ.get("REQUIRE_REAL") == "1" else pytest.skip)(reason)
    api = toxi.start_real(tmp_path_factory.mktemp("real") / "log")
    yield api
    toxi.stop(api)


@pytest.fixture(params=["embedded", "plain", pytest.param("real", marks=pytest.mark.real)])
def api(request: pytest.FixtureRequest) -> Iterator[toxi.Api]:
    """Each server: the embedded one on uvloop if it is there, on plain asyncio, and the real one."""
    server: toxi.Api = request.getfixturevalue(f"{request.param}_server")
    yield server
    server.clear()


@pytest.fixture
def embedded(embedded_server: toxi.Api) -> Iterator[toxi.Api]:
    """The embedded server only: for what the real one does not do, or does badly."""
    yield embedded_server
    embedded_server.clear()


@pytest.fixture
def rig(api: toxi.Api) -> Iterator[toxi.Rig]:
    rig = toxi.Rig(api)
    yield rig
    rig.close()


@pytest.fixture
def own(embedded: toxi.Api) -> Iterator[toxi.Rig]:
    """A rig on the embedded server."""
    rig = toxi.Rig(embedded)
    yield rig
    rig.close()
