"""The two clusters, each started once, and a namespace for each test."""

from __future__ import annotations

import importlib.util
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from chaos_runner.clients.kubernetes import connection
from chaos_runner.clients.kubernetes.connection import Cluster
from chaos_runner.clients.kubernetes.kubeconfig import Chosen, ServerEntry
from chaos_runner.clients.kubernetes.users import User
from tests.kube import raw
from tests.kube.ground import Ground

IMAGE = "registry.invalid/none:1"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", params=["pocket", pytest.param("real", marks=pytest.mark.real)])
def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    if request.param == "pocket":
        if importlib.util.find_spec("tests.kube.pocket_ground") is None:
            pytest.skip("there is no pocket cluster yet")
        from tests.kube import pocket_ground as chosen
    else:
        from tests.kube import plane
        from tests.kube import real_ground as chosen

        if plane.build.built() is None:
            reason = "the real control plane is not built: `make kube-build`"
            (pytest.fail if os.environ.get("REQUIRE_REAL") == "1" else pytest.skip)(reason)
    with chosen.started(tmp_path_factory.mktemp(request.param)) as started:
        yield started


def chosen(ground: Ground, user: str, *, url: str = "", token: str | None = None) -> Chosen:
    """What a kubeconfig for this user comes to."""
    import base64

    server = ServerEntry(
        server=url or ground.url, certificate_authority_data=base64.b64encode(ground.ca).decode() if ground.ca else ""
    )
    return Chosen(user, server, User(token=ground.tokens[user] if token is None else token))


@pytest.fixture
async def cluster(ground: Ground) -> AsyncIterator[Cluster]:
    """Our client, as the user who may do everything and is not exempt from anything."""
    async with connection.connect(chosen(ground, "plain")) as connected:
        yield connected


@pytest.fixture
def space(ground: Ground) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"t-{next(_numbers)}"
    raw.done(ground, "POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    if ground.kind == "real":  # the admission of pods waits for it
        raw.wait_until(lambda: raw.ask(ground, "GET", account).status == 200)
    yield name
    pods = f"/api/v1/namespaces/{name}/pods"
    for left in raw.done(ground, "GET", pods)["items"]:  # nobody ends those that are terminating on a node of paper
        raw.ask(ground, "DELETE", f"{pods}/{left['metadata']['name']}", {"gracePeriodSeconds": 0})
    raw.ask(ground, "DELETE", f"/api/v1/namespaces/{name}")


Make = Callable[..., dict[str, Any]]


@pytest.fixture
def pod(ground: Ground, space: str) -> Make:
    """Makes a pod on the node, Running and Ready unless it is to be pending."""

    def make(name: str, *, pending: bool = False, **labels: str) -> dict[str, Any]:
        spec: dict[str, Any] = {"containers": [{"name": "c", "image": IMAGE}]}
        if not pending:
            spec["nodeName"] = ground.node()
        body = {"metadata": {"name": name, "labels": labels}, "spec": spec}
        made = raw.done(ground, "POST", f"/api/v1/namespaces/{space}/pods", body)
        if not pending:
            ground.ready(space, name)
            made = raw.done(ground, "GET", f"/api/v1/namespaces/{space}/pods/{name}")
        return dict(made)

    return make


@pytest.fixture
def budget(ground: Ground, space: str) -> Callable[..., str]:
    """Makes a PodDisruptionBudget over `app=...` and waits until the cluster has counted."""

    def make(name: str, app: str, *, expected: int, **spec: Any) -> str:
        path = f"/apis/policy/v1/namespaces/{space}/poddisruptionbudgets"
        body = {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": app}}, **spec}}
        raw.done(ground, "POST", path, body)

        def counted() -> bool:
            status = raw.done(ground, "GET", f"{path}/{name}").get("status", {})
            seen = int(status.get("expectedPods", 0)), int(status.get("currentHealthy", 0))
            return bool(status.get("observedGeneration")) and seen[1] >= expected

        raw.wait_until(counted)
        return name

    return make
