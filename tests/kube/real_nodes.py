"""A real control plane with nodes of real containers behind it: two kubelets, each with a containerd of its own.

Needs root and a kernel that gives namespaces and control groups; `missing` says what is not there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.kube import plane, raw
from tests.kube.ground import USERS
from tests.kube.plane import build, node
from tests.kube.real_ground import RealGround

import parts  # isort: skip - beside build, whose folder plane has put on the path

COUNT = 2
READY_S = 120.0
TOOLS = ("unshare", "nsenter", "setpriv", "ip", "mount", "openssl")


def missing() -> str:
    """Why there cannot be nodes here; empty where there can."""
    if os.geteuid() != 0:
        return "nodes of real containers need root"
    if absent := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"not installed: {', '.join(absent)}"
    if build.built() is None:
        return "the real control plane is not built: `make kube-build`"
    return "" if parts.unpacked() else "containerd and runc are not there: `make kube-build`"


def users(nodes: Sequence[node.Node]) -> tuple[str, ...]:
    """Those of the suite, and each node's kubelet."""
    return (*USERS, *(f"system:node:{one.name}" for one in nodes))


def join(ground: RealGround, nodes: Sequence[node.Node]) -> None:
    """Starts what runs containers; returns once each node is ready to take pods."""
    for one in nodes:
        one.start()
        one.join(ground.url, ground.ca, ground.tokens[f"system:node:{one.name}"])
    for one in nodes:
        raw.wait_until(lambda one=one: _takes_pods(ground, one.name), READY_S, one.trouble)


def _takes_pods(ground: RealGround, name: str) -> bool:
    answer = raw.ask(ground, "GET", f"/api/v1/nodes/{name}")
    if answer.status != 200:
        return False
    found: dict[str, Any] = answer.json
    ready = any((one["type"], one["status"]) == ("Ready", "True") for one in found["status"].get("conditions", ()))
    return ready and not found["spec"].get("taints")


class RealNodes(RealGround):
    """The ground with its nodes."""

    def __init__(self, running: plane.Plane, nodes: Sequence[node.Node]) -> None:
        super().__init__(running)
        self.nodes = nodes


@contextlib.contextmanager
def started(folder: Path, count: int = COUNT) -> Iterator[RealNodes]:
    """A control plane and nodes of one's own, for as long as the block runs."""
    programs, containers = build.built(), parts.unpacked()
    assert programs is not None, missing()
    assert containers is not None, missing()
    nodes = node.begun(folder, count, programs, containers)
    try:
        with plane.running(folder, users(nodes), node.host_of(nodes[0].number)) as running:
            ground = RealNodes(running, nodes)
            try:
                join(ground, nodes)
                yield ground
            finally:
                for one in nodes:
                    one.leave()
    finally:
        node.stop(nodes)
