"""What keeps a number of pods, what scales it, and what limits its disruption. No IO."""

from __future__ import annotations

from typing import ClassVar

from chaos_runner.clients.kubernetes.objects import AnnotatedMeta, Condition, Meta, Place, Selector, Value


class WorkloadSpec(Value, frozen=True, kw_only=True):
    """How many pods something should have, and which are its own."""

    replicas: int | None = None
    selector: Selector | None = None
    paused: bool = False


class WorkloadStatus(Value, frozen=True, kw_only=True):
    """How many pods something has."""

    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    updated_replicas: int = 0
    observed_generation: int = 0
    current_revision: str = ""
    update_revision: str = ""
    conditions: tuple[Condition, ...] | None = None


class Workload(Value, frozen=True, kw_only=True):
    """Something that keeps a number of pods."""

    metadata: AnnotatedMeta
    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()

    @property
    def wanted(self) -> int:
        """How many pods it should have; the API's default is one."""
        return 1 if self.spec.replicas is None else self.spec.replicas


class Deployment(Workload, frozen=True, kw_only=True):
    """A Deployment."""

    at: ClassVar[Place] = Place("apps", "v1", "deployments")


class ReplicaSet(Workload, frozen=True, kw_only=True):
    """A ReplicaSet."""

    at: ClassVar[Place] = Place("apps", "v1", "replicasets")


class StatefulSet(Workload, frozen=True, kw_only=True):
    """A StatefulSet."""

    at: ClassVar[Place] = Place("apps", "v1", "statefulsets")


class ScaleSpec(Value, frozen=True, kw_only=True):
    """How many there should be."""

    replicas: int = 0  # Go leaves a zero out


class ScaleStatus(Value, frozen=True, kw_only=True):
    """How many there are, and a label selector that finds them."""

    replicas: int = 0
    selector: str = ""


class Scale(Value, frozen=True, kw_only=True):
    """The scale of something that can be scaled; its uid and resourceVersion are those of the thing itself."""

    metadata: AnnotatedMeta
    spec: ScaleSpec = ScaleSpec()
    status: ScaleStatus = ScaleStatus()


class ScaleTarget(Value, frozen=True, kw_only=True):
    """What an autoscaler scales."""

    kind: str
    name: str
    api_version: str = ""


class AutoscalerSpec(Value, frozen=True, kw_only=True):
    """Between which numbers an autoscaler scales what."""

    scale_target_ref: ScaleTarget
    min_replicas: int | None = None
    max_replicas: int = 0


class Autoscaler(Value, frozen=True, kw_only=True):
    """A HorizontalPodAutoscaler."""

    at: ClassVar[Place] = Place("autoscaling", "v2", "horizontalpodautoscalers")

    metadata: Meta
    spec: AutoscalerSpec


class BudgetSpec(Value, frozen=True, kw_only=True):
    """What a budget asks for."""

    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    selector: Selector | None = None
    unhealthy_pod_eviction_policy: str = ""


class BudgetStatus(Value, frozen=True, kw_only=True):
    """What a budget allows now; not to be believed before its generation was observed."""

    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0
    expected_pods: int = 0
    observed_generation: int = 0
    disrupted_pods: dict[str, str] | None = None


class DisruptionBudget(Value, frozen=True, kw_only=True):
    """A PodDisruptionBudget."""

    at: ClassVar[Place] = Place("policy", "v1", "poddisruptionbudgets")

    metadata: AnnotatedMeta
    spec: BudgetSpec = BudgetSpec()
    status: BudgetStatus = BudgetStatus()
