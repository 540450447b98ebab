"""What the Kubernetes API speaks of, with only the fields that are used. No IO.

Whatever else an object carries is skipped while it is decoded: fifty thousand pods fit into memory this way. Go
writes `null` for empty lists and times, so these are optional here.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec


class Value(msgspec.Struct, frozen=True, rename="camel", kw_only=True, gc=False):
    """A frozen part of an object; names are the API's, in camel case on the wire."""


class Place(msgspec.Struct, frozen=True):
    """Where objects of a kind live: their group, version and plural name in a path."""

    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As an object's `apiVersion` has it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """The path that all its objects share."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"


class Owner(Value, frozen=True, kw_only=True):
    """Whom an object belongs to."""

    kind: str
    name: str
    uid: str
    api_version: str = ""
    controller: bool = False


class Meta(Value, frozen=True, kw_only=True):
    """What every object is called."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None
    owner_references: tuple[Owner, ...] | None = None
    deletion_timestamp: str | None = None
    creation_timestamp: str | None = None


class AnnotatedMeta(Meta, frozen=True, kw_only=True):
    """Metadata of a kind whose annotations and generation matter; pods have many and we read none."""

    annotations: dict[str, str] | None = None
    generation: int = 0
    deletion_grace_period_seconds: int | None = None


class Condition(Value, frozen=True, kw_only=True):
    """One condition of an object."""

    type: str
    status: str = "Unknown"
    reason: str | None = None
    message: str | None = None
    last_transition_time: str | None = None


class Selector(Value, frozen=True, kw_only=True):
    """Which pods something is about."""

    match_labels: dict[str, str] | None = None
    match_expressions: tuple[dict[str, Any], ...] | None = None


class Reference(Value, frozen=True, kw_only=True):
    """An object that another one speaks of."""

    kind: str = ""
    name: str = ""
    namespace: str = ""
    uid: str = ""
    api_version: str = ""


# --- pods -------------------------------------------------------------------------------------------------------------


class Volume(Value, frozen=True, kw_only=True):
    """A volume; only whether what it holds dies with the pod."""

    name: str = ""
    empty_dir: dict[str, Any] | None = None


class Toleration(Value, frozen=True, kw_only=True):
    """A taint that a pod accepts."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""


class PodSpec(Value, frozen=True, kw_only=True):
    """What a pod wants."""

    node_name: str = ""
    volumes: tuple[Volume, ...] | None = None
    termination_grace_period_seconds: int | None = None


class ContainerStatus(Value, frozen=True, kw_only=True):
    """How one container of a pod does."""

    name: str
    ready: bool = False
    restart_count: int = 0


class PodStatus(Value, frozen=True, kw_only=True):
    """How a pod does."""

    phase: str = "Unknown"
    conditions: tuple[Condition, ...] | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None
    pod_ip: str = msgspec.field(name="podIP", default="")


class Pod(Value, frozen=True, kw_only=True):
    """A pod."""

    at: ClassVar[Place] = Place("", "v1", "pods")

    metadata: Meta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def terminating(self) -> bool:
        """Whether somebody has deleted it already."""
        return self.metadata.deletion_timestamp is not None

    @property
    def ready(self) -> bool:
        """Running, Ready, and not about to go."""
        return self.status.phase == "Running" and not self.terminating and holds(self.status.conditions, "Ready")

    @property
    def finished(self) -> bool:
        """Whether it ran to its end."""
        return self.status.phase in {"Succeeded", "Failed"}

    @property
    def controller(self) -> Owner | None:
        """Who would make another one in its place; None for a bare pod."""
        for owner in self.metadata.owner_references or ():  # asked of every pod of a cluster: a generator costs three
            if owner.controller:
                return owner
        return None

    @property
    def restarts(self) -> int:
        """How often its containers were started again, together."""
        return sum(status.restart_count for status in self.status.container_statuses or ())


def holds(conditions: tuple[Condition, ...] | None, kind: str) -> bool:
    """Whether the condition of this type is there and true."""
    for condition in conditions or ():
        if condition.type == kind:
            return condition.status == "True"
    return False


# --- nodes and namespaces ---------------------------------------------------------------------------------------------


class Taint(Value, frozen=True, kw_only=True):
    """What keeps pods off a node."""

    key: str
    effect: str
    value: str = ""


class NodeSpec(Value, frozen=True, kw_only=True):
    """What a node takes."""

    unschedulable: bool = False
    taints: tuple[Taint, ...] | None = None


class NodeStatus(Value, frozen=True, kw_only=True):
    """How a node does."""

    conditions: tuple[Condition, ...] | None = None


class Node(Value, frozen=True, kw_only=True):
    """A node."""

    at: ClassVar[Place] = Place("", "v1", "nodes", namespaced=False)

    metadata: AnnotatedMeta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class Phase(Value, frozen=True, kw_only=True):
    """In which phase something is."""

    phase: str = ""


class Namespace(Value, frozen=True, kw_only=True):
    """A namespace."""

    at: ClassVar[Place] = Place("", "v1", "namespaces", namespaced=False)

    metadata: AnnotatedMeta
    status: Phase = Phase()
