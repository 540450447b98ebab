"""Nodes as objects: made at the start, kept Ready by what their processes say, Unknown when they fall silent."""

from __future__ import annotations

import time
from collections.abc import Callable

from chaos_runner.pocket.cluster import kinds, objects
from chaos_runner.pocket.cluster.api.discovery import VERSION
from chaos_runner.pocket.cluster.control.hands import Hands
from chaos_runner.pocket.cluster.objects import Obj, at, put

SILENT_AFTER_S = 10.0
LEASE_EVERY_S = 10.0
STATUS_EVERY_S = 60.0  # seldom: who patches a node with its version must not lose to a heartbeat
LEASES_IN = "kube-node-lease"
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")
CAPACITY = {"cpu": "8", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi"}

Silent = Callable[[str, bool], None]


class Heartbeats:
    """When each node was last heard of, and what follows from it."""

    def __init__(self, hands: Hands, tell: Silent, silent_after_s: float = SILENT_AFTER_S) -> None:
        self._hands = hands
        self._tell = tell
        self._after_s = silent_after_s
        self._heard: dict[str, float] = {}
        self._leased: dict[str, float] = {}
        self._written: dict[str, float] = {}

    def beat(self, node: str) -> None:
        """The node has said something."""
        now = time.monotonic()
        self._heard[node] = now
        if now - self._leased.get(node, -LEASE_EVERY_S) >= LEASE_EVERY_S:
            self._leased[node] = now
            self._lease(node)
        if now - self._written.get(node, -STATUS_EVERY_S) >= STATUS_EVERY_S or not self._is_ready(node):
            self._written[node] = now
            self._write(node, ready=True)

    def look(self) -> None:
        """Nodes that were silent for too long become Unknown."""
        now = time.monotonic()
        for node, heard in self._heard.items():
            if now - heard > self._after_s and self._is_ready(node):
                self._write(node, ready=False)

    def _is_ready(self, node: str) -> bool:
        found = self._hands.store.get(kinds.NODES, node)
        return found is not None and objects.is_true(found, "Ready")

    def _write(self, name: str, *, ready: bool) -> None:
        node = self._hands.store.get(kinds.NODES, name)
        if node is None:
            return
        self._hands.put(kinds.NODES, put(node, _conditions(node, ready=ready), "status", "conditions"))
        if objects.is_true(node, "Ready") != ready:
            said = "NodeReady" if ready else "NodeNotReady"
            self._hands.event(kinds.NODES, node, said, f"Node {name} status is now: {said}", warning=not ready)
            self._tell(name, not ready)

    def _lease(self, node: str) -> None:
        lease = self._hands.store.get(kinds.LEASES, f"{LEASES_IN}/{node}")
        spec = {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": objects.micro_stamp()}
        if lease is None:
            self._hands.create(kinds.LEASES, {"metadata": {"name": node, "namespace": LEASES_IN}, "spec": spec})
        else:
            self._hands.put(kinds.LEASES, {**lease, "spec": spec})


def node(name: str, address: str, n: int) -> Obj:
    """A node object that nobody has heard of yet."""
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/zone": f"pocket-{'abcdefgh'[n]}",
    }
    info = {
        "kubeletVersion": VERSION["gitVersion"],
        "kubeProxyVersion": VERSION["gitVersion"],
        "osImage": "processes of this machine",
        "operatingSystem": "linux",
        "architecture": "pocket",
        "containerRuntimeVersion": "process://",
        "kernelVersion": "",
        "machineID": "",
        "systemUUID": "",
        "bootID": "",
    }
    addresses = [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}]
    status = {"addresses": addresses, "capacity": CAPACITY, "allocatable": CAPACITY, "nodeInfo": info, "conditions": []}
    return {"metadata": {"name": name, "labels": labels}, "spec": {}, "status": status}


def _conditions(node: Obj, *, ready: bool) -> list[Obj]:
    found = at(node, "status", "conditions") or []
    now = objects.stamp()
    for kind in PRESSURES:
        status = "False" if ready else "Unknown"
        found = objects.with_condition(found, kind, status, "KubeletHasNo" + kind if ready else "NodeStatusUnknown")
    if ready:
        found = objects.with_condition(
            found, "Ready", "True", "KubeletReady", "the node's process is posting ready status"
        )
        return [{**one, "lastHeartbeatTime": now} for one in found]
    message = "Kubelet stopped posting node status."
    return objects.with_condition(found, "Ready", "Unknown", "NodeStatusUnknown", message)
