"""The pocket cluster as a ground: its control plane, three nodes, and the users of the suite with their roles."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chaos_runner.pocket.cluster import handle
from chaos_runner.pocket.cluster.info import ClusterInfo
from tests.kube import ground, raw

TROUBLES = "/chaos-runner/v1/pocket/troubles"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
READY_WITHIN_S = 30.0


class PocketGround:
    """A running pocket cluster."""

    kind = "pocket"

    def __init__(self, info: ClusterInfo) -> None:
        self.info = info
        self.url = info.url
        self.ca = info.ca.encode()
        self.uid = info.uid
        self.tokens = {**info.tokens, "admin": info.tokens["pocket-admin"]}

    def node(self) -> str:
        return "pocket-1"

    def ready(self, namespace: str, pod: str) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while not _is_ready(raw.ask(self, "GET", f"/api/v1/namespaces/{namespace}/pods/{pod}").json):
            assert time.monotonic() < deadline, f"{namespace}/{pod} is not ready after {READY_WITHIN_S:g} s"
            time.sleep(0.02)

    def compact(self) -> None:
        raw.done(self, "POST", "/chaos-runner/v1/pocket/compact")

    @contextlib.contextmanager
    def overload(self) -> Iterator[Crowd]:
        raw.done(self, "PUT", TROUBLES, [{"user": "plain", "answer": "429"}])
        crowd = Crowd(self)
        try:
            yield crowd
        finally:
            crowd.end()


class Crowd:
    """The same server: what it turns away depends on who asks."""

    def __init__(self, ground: PocketGround) -> None:
        self.url = ground.url
        self._ground = ground

    def end(self) -> None:
        raw.done(self._ground, "PUT", TROUBLES, [])


@contextlib.contextmanager
def started(folder: Path) -> Iterator[PocketGround]:
    """A pocket cluster with the users, roles and namespaces of the suite."""
    users = [word for name in ground.USERS if name != "admin" for word in ("--user", name)]
    with handle.running(folder, *users) as info:
        cluster = PocketGround(info)
        raw.done(cluster, "POST", "/api/v1/namespaces", {"metadata": {"name": "lab"}})
        for deed in _roles():
            raw.done(cluster, "POST", *deed)
        yield cluster


def _roles() -> Iterator[tuple[str, Any]]:
    everything = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
    pods = [{"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["pods"]}]
    yield from _bound("plain", "", everything)
    yield from _bound("reader", "lab", pods)
    yield from _bound("reader", "", _namespaces("lab", "kube-system"))
    yield from _bound("nobody", "", _namespaces("kube-system"))


def _namespaces(*names: str) -> list[dict[str, list[str]]]:
    return [{"verbs": ["get"], "apiGroups": [""], "resources": ["namespaces"], "resourceNames": list(names)}]


def _bound(user: str, namespace: str, rules: list[dict[str, list[str]]]) -> Iterator[tuple[str, Any]]:
    base, kind = (f"{RBAC}/namespaces/{namespace}", "Role") if namespace else (RBAC, "ClusterRole")
    plural = f"{kind.lower()}s"
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": user}
    subjects = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}]
    yield f"{base}/{plural}", {"metadata": {"name": user}, "rules": rules}
    yield f"{base}/{kind.lower()}bindings", {"metadata": {"name": user}, "roleRef": reference, "subjects": subjects}


def _is_ready(pod: Any) -> bool:
    return any((one["type"], one["status"]) == ("Ready", "True") for one in pod["status"].get("conditions", ()))
