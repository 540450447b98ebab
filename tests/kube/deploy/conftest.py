"""The shop on both clusters, and connections as the accounts that the manifests make."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from chaos_runner.api import Env
from chaos_runner.environment import Ceilings, Cluster, Environment
from tests.kube import plane
from tests.kube.deploy import site as sites
from tests.kube.deploy.site import Site

ROOMY = Ceilings(at_once=50, in_total=50)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", params=["pocket", pytest.param("real", marks=pytest.mark.real)])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if request.param == "real" and plane.build.built() is None:
        reason = "the real control plane is not built: `make kube-build`"
        (pytest.fail if os.environ.get("REQUIRE_REAL") == "1" else pytest.skip)(reason)
    started = {"pocket": sites.pocket, "real": sites.real}[request.param]
    with started(tmp_path_factory.mktemp(request.param)) as here:
        yield here


def kubeconfig(site: Site, account: str, folder: Path, url: str = "") -> Path:
    """A kubeconfig of this account."""
    server: dict[str, str] = {"server": url or site.url}
    server["certificate-authority-data"] = base64.b64encode(site.ca).decode()
    config = {
        "clusters": [{"name": "c", "cluster": server}],
        "users": [{"name": "u", "user": {"token": site.tokens[account]}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path = folder / f"{account}.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    return path


Open = Callable[..., Env]


@pytest.fixture
async def opened(site: Site, tmp_path: Path) -> AsyncIterator[Open]:
    """Makes fresh connections, as `runner` or another account."""
    envs: list[Env] = []

    def make(account: str = "runner") -> Env:
        path = kubeconfig(site, account, tmp_path)
        cluster = Cluster(kubeconfig=f"file:{path}", uid=site.ground.uid)
        envs.append(Env("lab", Environment(cluster=cluster, ceilings=ROOMY)))
        return envs[-1]

    yield make
    for env in envs:
        await env.aclose()
