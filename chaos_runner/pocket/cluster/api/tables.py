"""The columns in which kubectl shows each kind. Pure but for the clock that ages are told by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from chaos_runner.pocket.cluster import objects, selectors
from chaos_runner.pocket.cluster.kinds import Kind
from chaos_runner.pocket.cluster.objects import Obj, at


class Column(msgspec.Struct, frozen=True):
    """One column; those of a higher priority are shown by `-o wide` only."""

    name: str
    cell: Callable[[Obj], Any]
    priority: int = 0
    type: str = "string"

    def definition(self) -> Obj:
        """The head of the column."""
        format_ = "name" if self.name == "Name" else ""
        about = {"name": self.name, "type": self.type, "format": format_, "description": self.name}
        return {**about, "priority": self.priority}


def columns(kind: Kind) -> tuple[Column, ...]:
    """The columns of a kind."""
    return COLUMNS.get(kind.name, (NAME, AGE))


def age(stamp: str | None) -> str:
    """How long ago, in the two greatest units at most."""
    if not stamp:
        return "<unknown>"
    seconds = int(max(0.0, objects.age_s(stamp)))
    if seconds < 120:
        return f"{seconds}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    return f"{hours}h" if hours < 48 else f"{days}d"


def pod_status(pod: Obj) -> str:
    """What `kubectl get pods` says of it."""
    if objects.terminating(pod):
        return "Terminating"
    for state in (found.get("state") or {} for found in at(pod, "status", "containerStatuses", default=()) or ()):
        reason = at(state, "waiting", "reason") or at(state, "terminated", "reason")
        if reason:
            return str(reason)
    return str(at(pod, "status", "reason") or at(pod, "status", "phase", default="Unknown"))


def _pod_ready(pod: Obj) -> str:
    found = at(pod, "status", "containerStatuses", default=()) or ()
    return f"{sum(1 for one in found if one.get('ready'))}/{len(at(pod, 'spec', 'containers', default=()))}"


def _restarts(pod: Obj) -> str:
    return str(sum(one.get("restartCount", 0) for one in at(pod, "status", "containerStatuses", default=()) or ()))


def _node_status(node: Obj) -> str:
    found = objects.condition(node, "Ready")
    word = {"True": "Ready", "False": "NotReady"}.get(found["status"] if found else "", "Unknown")
    return word + (",SchedulingDisabled" if at(node, "spec", "unschedulable") else "")


def _address(node: Obj) -> str:
    found = at(node, "status", "addresses", default=()) or ()
    return next((one["address"] for one in found if one["type"] == "InternalIP"), "<none>")


def _ports(service: Obj) -> str:
    found = at(service, "spec", "ports", default=()) or ()
    return ",".join(f"{port['port']}/{port.get('protocol', 'TCP')}" for port in found) or "<none>"


def _of(*path: str, absent: Any = "<none>") -> Callable[[Obj], Any]:
    return lambda obj: at(obj, *path, default=absent)


def _share(part: tuple[str, ...], whole: tuple[str, ...]) -> Callable[[Obj], str]:
    return lambda obj: f"{at(obj, *part, default=0) or 0}/{at(obj, *whole, default=0) or 0}"


def _containers(obj: Obj) -> str:
    return ",".join(one["name"] for one in at(obj, "spec", "template", "spec", "containers", default=()))


def _images(obj: Obj) -> str:
    return ",".join(one.get("image", "") for one in at(obj, "spec", "template", "spec", "containers", default=()))


def _selector(obj: Obj) -> str:
    return selectors.text_of(at(obj, "spec", "selector")) or "<none>"


def _map_selector(obj: Obj) -> str:
    return ",".join(f"{name}={value}" for name, value in (at(obj, "spec", "selector") or {}).items()) or "<none>"


def _endpoints(slice_: Obj) -> str:
    addresses = [address for one in slice_.get("endpoints") or () for address in one.get("addresses", ())]
    more = f" + {len(addresses) - 3} more..." if len(addresses) > 3 else ""
    return ",".join(addresses[:3]) + more if addresses else "<unset>"


def _slice_ports(slice_: Obj) -> str:
    return ",".join(str(port.get("port")) for port in slice_.get("ports") or ()) or "<unset>"


def _about(event: Obj) -> str:
    found = event.get("involvedObject") or {}
    return f"{found.get('kind', '').lower()}/{found.get('name', '')}"


NAME = Column("Name", objects.name)
AGE = Column("Age", lambda obj: age(obj["metadata"].get("creationTimestamp")))
CONTAINERS = (Column("Containers", _containers, 1), Column("Images", _images, 1), Column("Selector", _selector, 1))
READY = Column("Ready", _share(("status", "readyReplicas"), ("spec", "replicas")))

COLUMNS: dict[str, tuple[Column, ...]] = {
    "Pod": (
        NAME,
        Column("Ready", _pod_ready),
        Column("Status", pod_status),
        Column("Restarts", _restarts),
        AGE,
        Column("IP", _of("status", "podIP"), 1),
        Column("Node", _of("spec", "nodeName"), 1),
        Column("Nominated Node", _of("status", "nominatedNodeName"), 1),
        Column("Readiness Gates", lambda _: "<none>", 1),
    ),
    "Node": (
        NAME,
        Column("Status", _node_status),
        Column("Roles", lambda _: "<none>"),
        AGE,
        Column("Version", _of("status", "nodeInfo", "kubeletVersion")),
        Column("Internal-IP", _address, 1),
        Column("OS-Image", _of("status", "nodeInfo", "osImage"), 1),
    ),
    "Namespace": (NAME, Column("Status", _of("status", "phase")), AGE),
    "Deployment": (
        NAME,
        READY,
        Column("Up-to-date", _of("status", "updatedReplicas", absent=0), type="integer"),
        Column("Available", _of("status", "availableReplicas", absent=0), type="integer"),
        AGE,
        *CONTAINERS,
    ),
    "ReplicaSet": (
        NAME,
        Column("Desired", _of("spec", "replicas", absent=0), type="integer"),
        Column("Current", _of("status", "replicas", absent=0), type="integer"),
        Column("Ready", _of("status", "readyReplicas", absent=0), type="integer"),
        AGE,
        *CONTAINERS,
    ),
    "StatefulSet": (NAME, READY, AGE, *CONTAINERS[:2]),
    "DaemonSet": (
        NAME,
        Column("Desired", _of("status", "desiredNumberScheduled", absent=0), type="integer"),
        Column("Current", _of("status", "currentNumberScheduled", absent=0), type="integer"),
        Column("Ready", _of("status", "numberReady", absent=0), type="integer"),
        AGE,
        *CONTAINERS,
    ),
    "Service": (
        NAME,
        Column("Type", _of("spec", "type")),
        Column("Cluster-IP", _of("spec", "clusterIP")),
        Column("External-IP", lambda _: "<none>"),
        Column("Port(s)", _ports),
        AGE,
        Column("Selector", _map_selector, 1),
    ),
    "EndpointSlice": (
        NAME,
        Column("AddressType", _of("addressType")),
        Column("Ports", _slice_ports),
        Column("Endpoints", _endpoints),
        AGE,
    ),
    "PodDisruptionBudget": (
        NAME,
        Column("Min available", _of("spec", "minAvailable", absent="N/A")),
        Column("Max unavailable", _of("spec", "maxUnavailable", absent="N/A")),
        Column("Allowed disruptions", _of("status", "disruptionsAllowed", absent=0), type="integer"),
        AGE,
    ),
    "Event": (
        Column("Last Seen", lambda event: age(event.get("lastTimestamp") or event["metadata"]["creationTimestamp"])),
        Column("Type", _of("type")),
        Column("Reason", _of("reason")),
        Column("Object", _about),
        Column("Message", _of("message", absent="")),
        Column("Name", objects.name, 1),
    ),
    "Lease": (NAME, Column("Holder", _of("spec", "holderIdentity", absent="")), AGE),
    "ServiceAccount": (NAME, Column("Secrets", lambda obj: len(obj.get("secrets") or ()), type="integer"), AGE),
}
