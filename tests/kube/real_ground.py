"""The real control plane as a ground: users with their rights, a node without a kubelet, and an overloaded server."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.kube import plane, raw
from tests.kube.ground import USERS

RBAC = "/apis/rbac.authorization.k8s.io/v1"
NODE = "lab-1"
TRIES = 20
OVERLOADED = ("--enable-priority-and-fairness=false", "--max-mutating-requests-inflight=1", "--max-requests-inflight=1")


class RealGround:
    kind = "real"

    def __init__(self, running: plane.Plane) -> None:
        self.plane = running
        self.tokens = running.tokens
        self.uid = raw.done(self, "GET", "/api/v1/namespaces/kube-system")["metadata"]["uid"]
        _rights(self)

    @property
    def url(self) -> str:
        return self.plane.url

    @property
    def ca(self) -> bytes:
        return self.plane.ca

    def node(self) -> str:
        """A node that no kubelet stands behind, and that calls itself ready."""
        path = f"/api/v1/nodes/{NODE}"
        if raw.ask(self, "GET", path).status == 404:
            raw.done(self, "POST", "/api/v1/nodes", {"metadata": {"name": NODE}})
            condition = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
            raw.merge(self, f"{path}/status", {"status": {"conditions": [condition]}})
            raw.wait_until(lambda: not raw.done(self, "GET", path)["spec"].get("taints"))
            raw.settled(self, path)
        return NODE

    def ready(self, namespace: str, pod: str) -> None:
        """Writes what a kubelet would."""
        conditions = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady", "PodScheduled")]
        status = {"phase": "Running", "conditions": conditions}
        raw.merge(self, f"/api/v1/namespaces/{namespace}/pods/{pod}/status", {"status": status})

    def compact(self) -> None:
        self.plane.compact()

    @contextlib.contextmanager
    def overload(self) -> Iterator[Crowd]:
        """A second server on the same etcd that takes one change at a time, and one that never ends."""
        (port,) = plane.free_ports(1)
        self.plane.start_api("crowded", port, *OVERLOADED)
        crowd = Crowd(self, port)
        try:
            raw.wait_until(lambda: raw.ask(crowd, "GET", "/readyz").status == 200, plane.READY_S)
            crowd.begin()
            yield crowd
        finally:
            crowd.end()
            self.plane.end("crowded")


class Crowd:
    """Holds the one place that there is by a request whose body does not come."""

    def __init__(self, ground: RealGround, port: int) -> None:
        self.url, self.ca, self.tokens = f"https://{ground.plane.host}:{port}", ground.ca, ground.tokens
        self.address = (ground.plane.host, port)
        self.line: ssl.SSLSocket | None = None

    def begin(self) -> None:
        for _ in range(TRIES):
            self.line = self._holding()
            # The server changes things itself while it starts: whoever comes then is turned away, also this one.
            if not select.select([self.line], [], [], 1.0)[0]:
                break
            self.end()
        assert self.line is not None, "the place could not be taken"
        probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}
        path = "/api/v1/namespaces/lab/configmaps?dryRun=All"
        raw.wait_until(lambda: raw.ask(self, "POST", path, probe, user="plain").status == 429, 10)

    def _holding(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cadata=self.ca.decode())
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # later ones send tickets, which would look like an answer
        line = context.wrap_socket(socket.create_connection(self.address, 10), server_hostname=self.address[0])
        line.sendall(
            b"POST /api/v1/namespaces/lab/configmaps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            + f"Authorization: Bearer {self.tokens['plain']}\r\nContent-Length: 1000\r\n\r\n{{".encode()
        )
        return line

    def end(self) -> None:
        if self.line is not None:
            self.line.close()
            self.line = None


def _rights(ground: RealGround) -> None:
    raw.done(ground, "POST", "/api/v1/namespaces", {"metadata": {"name": "lab"}})
    everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    pods = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]},
    ]
    one = [{"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]}]
    _role(ground, None, "plain", everything, "plain")
    _role(ground, "lab", "reader", pods, "reader")
    _role(ground, "kube-system", "which-cluster", one, "reader", "nobody")


def _role(ground: RealGround, namespace: str | None, name: str, rules: list[Any], *users: str) -> None:
    inside = f"/namespaces/{namespace}" if namespace else ""
    kind = "Role" if namespace else "ClusterRole"
    subjects = [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"} for user in users]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
    raw.done(ground, "POST", f"{RBAC}{inside}/{kind.lower()}s", {"metadata": {"name": name}, "rules": rules})
    binding = {"metadata": {"name": name}, "roleRef": reference, "subjects": subjects}
    raw.done(ground, "POST", f"{RBAC}{inside}/{kind.lower()}bindings", binding)


@contextlib.contextmanager
def started(folder: Path) -> Iterator[RealGround]:
    """A control plane of one's own, for as long as the block runs."""
    with plane.running(folder, USERS) as running:
        yield RealGround(running)
