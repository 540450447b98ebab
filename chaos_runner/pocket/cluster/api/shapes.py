"""The shape of what the cluster itself reads of an object: nothing else is looked into, so the rest may be anything.

Whatever is stored has passed here; a wrong type is refused when it is written, not when somebody trips over it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chaos_runner.pocket.cluster import refusal
from chaos_runner.pocket.cluster.kinds import Kind
from chaos_runner.pocket.cluster.objects import Obj

Texts = dict[str, str]
Count = int | str


class Shape(msgspec.Struct, frozen=True, rename="camel"):
    """Unknown fields are nobody's business here."""


class Owner(Shape, frozen=True):
    uid: str
    name: str
    kind: str
    controller: bool = False


class Meta(Shape, frozen=True):
    name: str = ""
    namespace: str = ""
    generate_name: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: Texts = {}
    annotations: Texts = {}
    finalizers: list[str] = []
    owner_references: list[Owner] = []


class Term(Shape, frozen=True):
    key: str
    operator: str
    values: list[str] = []


class Selector(Shape, frozen=True):
    match_labels: Texts = {}
    match_expressions: list[Term] = []


class Port(Shape, frozen=True):
    container_port: int
    name: str = ""


class Request(Shape, frozen=True):
    path: str = ""
    port: Count = 0


class Probe(Shape, frozen=True):
    http_get: Request | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 1
    timeout_seconds: int = 1
    failure_threshold: int = 1
    success_threshold: int = 1


class Variable(Shape, frozen=True):
    name: str
    value: str = ""


class Container(Shape, frozen=True):
    name: str = ""
    image: str = ""
    command: list[str] = []
    args: list[str] = []
    ports: list[Port] = []
    env: list[Variable] = []
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None


class Toleration(Shape, frozen=True):
    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class NodeTerm(Shape, frozen=True):
    match_expressions: list[Term] = []
    match_fields: list[Term] = []


class NodeTerms(Shape, frozen=True):
    node_selector_terms: list[NodeTerm] = []


class NodeAffinity(Shape, frozen=True, rename={"required": "requiredDuringSchedulingIgnoredDuringExecution"}):
    required: NodeTerms | None = None


class Affinity(Shape, frozen=True):
    node_affinity: NodeAffinity | None = None


class Pod(Shape, frozen=True):
    containers: list[Container] = []
    node_name: str = ""
    node_selector: Texts = {}
    tolerations: list[Toleration] = []
    affinity: Affinity | None = None
    restart_policy: str = ""
    termination_grace_period_seconds: int = 0


class Template(Shape, frozen=True):
    metadata: Meta = Meta()
    spec: Pod = Pod()


class Rolling(Shape, frozen=True):
    max_surge: Count = 0
    max_unavailable: Count = 0
    partition: int = 0


class Strategy(Shape, frozen=True):
    type: str = ""
    rolling_update: Rolling | None = None


class Workload(Shape, frozen=True):
    replicas: int = 0
    selector: Selector | None = None
    template: Template = Template()
    strategy: Strategy | None = None
    update_strategy: Strategy | None = None
    min_ready_seconds: int = 0
    revision_history_limit: int = 0
    paused: bool = False


class ServicePort(Shape, frozen=True):
    port: int
    target_port: Count = 0
    name: str = ""


class Service(Shape, frozen=True):
    ports: list[ServicePort] = []
    selector: Texts = {}
    type: str = ""
    cluster_ip: str = msgspec.field(default="", name="clusterIP")


class Budget(Shape, frozen=True):
    selector: Selector | None = None
    min_available: Count | None = None
    max_unavailable: Count | None = None


class Taint(Shape, frozen=True):
    key: str
    effect: str
    value: str = ""


class Node(Shape, frozen=True):
    unschedulable: bool = False
    taints: list[Taint] = []


class Condition(Shape, frozen=True):
    type: str
    status: str


class ContainerStatus(Shape, frozen=True):
    ready: bool = False
    restart_count: int = 0
    state: dict[str, dict[str, Any]] = {}


class Status(Shape, frozen=True):
    phase: str = ""
    conditions: list[Condition] = []
    container_statuses: list[ContainerStatus] = []
    pod_ip: str = msgspec.field(default="", name="podIP")
    disruptions_allowed: int = 0
    disrupted_pods: Texts = {}
    observed_generation: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0


class Rule(Shape, frozen=True):
    verbs: list[str] = []
    api_groups: list[str] = []
    resources: list[str] = []
    resource_names: list[str] = []
    non_resource_urls: list[str] = msgspec.field(default_factory=list, name="nonResourceURLs")


class Subject(Shape, frozen=True):
    kind: str
    name: str
    namespace: str = ""


class Reference(Shape, frozen=True):
    kind: str
    name: str


class Endpoint(Shape, frozen=True):
    addresses: list[str]
    conditions: dict[str, bool | None] = {}


class SlicePort(Shape, frozen=True):
    port: int
    name: str = ""


class Whole(Shape, frozen=True):
    """An object: what all kinds have, and what some have beside spec and status."""

    metadata: Meta = Meta()
    status: Status = Status()
    rules: list[Rule] = []
    subjects: list[Subject] = []
    role_ref: Reference | None = None
    endpoints: list[Endpoint] = []
    ports: list[SlicePort] = []


SPECS: dict[str, type[Shape]] = {
    "Pod": Pod,
    "Node": Node,
    "Service": Service,
    "PodDisruptionBudget": Budget,
    **dict.fromkeys(("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"), Workload),
}


def check(kind: Kind, obj: Obj) -> None:
    """Raises Refusal for an object of another shape."""
    try:
        msgspec.convert(obj, Whole)
        msgspec.convert(obj.get("spec") or {}, SPECS.get(kind.name, Shape))
    except msgspec.ValidationError as why:
        raise refusal.bad_request(
            f'{kind.name} in version "{kind.version}" cannot be handled as a {kind.name}: {why}'
        ) from why
