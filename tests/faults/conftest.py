"""The servers that the faults of proxies are tried on: the embedded proxy, and the real one where it is installed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos_runner.api import Env, Undo
from chaos_runner.environment import Environment, Toxiproxy
from chaos_runner.faults.proxy_down import ProxyDown
from chaos_runner.faults.toxic import ToxicFault
from chaos_runner.records import Target
from tests.proxy import toxi

MARK = "cx.run-1.1.4102444800"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def embedded_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[toxi.Api]:
    api = toxi.start_embedded(tmp_path_factory.mktemp("embedded") / "log")
    yield api
    toxi.stop(api)


@pytest.fixture(scope="session")
def real_path() -> Path:
    if not toxi.REAL.exists():
        reason = f"no Toxiproxy server at {toxi.REAL}: build it with `make real` or set TOXIPROXY_SERVER"
        (pytest.fail if os.environ.get("REQUIRE_REAL") == "1" else pytest.skip)(reason)
    return toxi.REAL


@pytest.fixture(scope="session")
def real_proxy(tmp_path_factory: pytest.TempPathFactory, real_path: Path) -> Iterator[toxi.Api]:
    api = toxi.start_real(tmp_path_factory.mktemp("real") / "log")
    yield api
    toxi.stop(api)


class ToxiWorld:
    """A server with a proxy `p` that somebody else's toxic is on."""

    def __init__(self, api: toxi.Api) -> None:
        self.api = api
        self.rig = toxi.Rig(api)
        self.api.toxic("latency", "upstream", name="theirs", latency=1)
        self.env = Env("test", Environment(toxiproxy=Toxiproxy(url=f"http://127.0.0.1:{api.port}")))

    @property
    def embedded(self) -> bool:
        return self.api.kind == "embedded"

    @property
    def target(self) -> Target:
        return Target("proxy/p", self.rig.upstream)

    def proxy(self) -> dict[str, Any]:
        return self.api("GET", "/proxies/p").json

    def toxics(self) -> set[str]:
        return {toxic["name"] for toxic in self.proxy()["toxics"]}

    def exchange(self) -> None:
        """Four bytes there and back again."""
        line = self.rig.line()
        line.client.sendall(b"ping")
        assert toxi.read(line.server, 4) == b"ping"
        line.server.sendall(b"pong")
        assert toxi.read(line.client, 4) == b"pong"

    async def begun(self, fault: ToxicFault | ProxyDown) -> Undo:
        """The fault on the proxy, with the lease that the embedded one wants."""
        undo = await fault.prepare(self.env, self.target, MARK)
        await fault.lease(self.env, undo, 30)
        await fault.inject(self.env, undo)
        return undo

    async def state(self) -> Any:
        return self.api("GET", "/proxies").json

    async def disturb(self) -> None:
        self.api.toxic("slow_close", name="new neighbour", delay=1)

    async def aclose(self) -> None:
        await self.env.aclose()
        self.rig.close()
        for run in ("run-1", "run-2"):
            self.api("DELETE", f"/chaos-runner/v1/leases/{run}")
        self.api.clear()


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.real)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[ToxiWorld]:
    """Each of the two servers."""
    world = ToxiWorld(request.getfixturevalue(f"{request.param}_proxy"))
    yield world
    await world.aclose()


@pytest.fixture
async def embedded_world(embedded_proxy: toxi.Api) -> AsyncIterator[ToxiWorld]:
    """The embedded server that all share."""
    world = ToxiWorld(embedded_proxy)
    yield world
    await world.aclose()


@pytest.fixture
async def own_world(tmp_path: Path) -> AsyncIterator[ToxiWorld]:
    """An embedded server for one test, that may be stopped or killed."""
    world = ToxiWorld(toxi.start_embedded(tmp_path / "log"))
    yield world
    await world.env.aclose()
    world.rig.close()
    toxi.stop(world.api)


@pytest.fixture
async def stalled(tmp_path: Path, real_path: Path) -> AsyncIterator[ToxiWorld]:
    """A real server for one test, that may be deadlocked."""
    world = ToxiWorld(toxi.start_real(tmp_path / "log"))
    yield world
    await world.env.aclose()
    world.rig.close()
    world.api.process.kill()
    world.api.process.wait(5)
