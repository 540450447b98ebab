"""A workload with more or fewer pods than it should have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from msgspec import Meta

from chaos_runner.api import Bounds, Env, Present, Proof, Refused, Rights, Undo
from chaos_runner.faults import _cluster, _fields, _limits, _workloads
from chaos_runner.faults._cluster import Ask
from chaos_runner.model import Value, Where
from chaos_runner.plan import Limit
from chaos_runner.records import Target

if TYPE_CHECKING:
    from chaos_runner.faults._owned import Owned, Setting

_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"


class WorkloadSelector(Value, frozen=True, kw_only=True):
    """One workload, as NAMESPACE/NAME."""

    deployment: Annotated[str, Meta(description="a Deployment, such as shop/payments", pattern=_NAME)] = ""
    statefulset: Annotated[str, Meta(description="a StatefulSet, such as shop/db", pattern=_NAME)] = ""

    @property
    def named(self) -> bool:
        """It is always one by its name."""
        return True

    @property
    def key(self) -> str:
        """As `keep_available` names it."""
        return f"deployment/{self.deployment}" if self.deployment else f"statefulset/{self.statefulset}"

    def problems(self) -> Any:
        """Mistakes that need more than one field to see."""
        if bool(self.deployment) == bool(self.statefulset):
            found: Where = ((), "name one workload with `deployment: NAMESPACE/NAME` or `statefulset: NAMESPACE/NAME`")
            yield found


class Scale(_fields.FieldChange, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Sets how many pods a workload should have, and puts the number back. Refused where an autoscaler sets it.

    The workload carries the annotation `chaos-runner/replicas` meanwhile. A number that somebody else has written
    since is left as it is. A StatefulSet keeps a majority of its pods.
    """

    kind: ClassVar[str] = "scale"
    selector: ClassVar[Any] = WorkloadSelector
    place: ClassVar[str] = "replicas"

    to: Annotated[int, Meta(description="how many pods it should have", ge=0, le=10_000)]

    @classmethod
    def types(cls) -> dict[str, type[Owned]]:
        """Deployments and StatefulSets."""
        from chaos_runner.faults import _owned

        return {"deployment": _owned.OwnedDeployment, "statefulset": _owned.OwnedStatefulSet}

    @classmethod
    def type_of(cls, target: Target) -> type[Owned]:
        """By the first word of its key."""
        return cls.types()[target.key.partition("/")[0]]

    def now(self) -> Setting:
        """As many as were asked for."""
        return self.to

    def told(self, undo: Undo) -> str:
        """From how many to how many."""
        return (
            f"chaos-runner run {undo.run} has scaled this from {undo.before['was']} to {self.to};"
            f" to keep it so, remove the annotation {_cluster.KEY}/{self.place}"
        )

    async def unfit(self, env: Env, one: Owned) -> str:
        """An autoscaler, or a majority that would go."""
        from chaos_runner.faults._owned import OwnedNode, OwnedStatefulSet

        if isinstance(one, OwnedNode):
            return "a node has no number of pods"
        least = one.wanted - _limits.minority(one.wanted)
        if isinstance(one, OwnedStatefulSet) and self.to < least:
            return f"a majority of its {one.wanted} pods has to stay: at least {least}"
        kind = "StatefulSet" if isinstance(one, OwnedStatefulSet) else "Deployment"
        return await _autoscaled(env, kind, one.metadata.namespace, one.metadata.name)

    async def rights(self, env: Env, target: Target) -> Rights:
        """As for every field; and whether we may see autoscalers."""
        from chaos_runner.clients.kubernetes import workloads

        common = await super().rights(env, target)
        own = [Ask("list", workloads.Autoscaler.at, _fields.names(target)[0])]
        return await _cluster.rights(env, own) if common.allowed else common

    async def targets(self, env: Env, selector: WorkloadSelector) -> tuple[Target, ...]:
        """The workload."""
        return (Target(selector.key, (await _workloads.named(env, selector.key)).metadata.uid),)

    async def bounded(self, env: Env, selector: WorkloadSelector, keep: Mapping[str, int]) -> Bounds:
        """The workload, if enough of it would be left."""
        for name in keep:
            await _workloads.named(env, name)
        (target,) = await self.targets(env, selector)
        one = await _fields.found(env, self.type_of(target), target)
        if one is not None and (why := await self.unfit(env, one)):
            raise Refused(f"{target.key}: {why}")
        short = self._short(target, keep)
        return Bounds((target,), (Limit(short, (target.key,), 0),) if short else ())

    async def no_room(self, env: Env, target: Target, keep: Mapping[str, int]) -> str:
        """Why so few would be too few."""
        return self._short(target, keep)

    def _short(self, target: Target, keep: Mapping[str, int]) -> str:
        least = keep.get(target.key, 0)
        return f"{target.key}: keep_available {least}, and {self.to} would be left" if self.to < least else ""

    async def before(self, env: Env, undo: Undo) -> dict[str, float]:
        """How many it should have."""
        return {"replicas": float(undo.before["was"])}

    async def effect(self, env: Env, undo: Undo, before: dict[str, float]) -> Proof | None:
        """As many pods are Ready as were asked for."""
        from chaos_runner.faults._owned import OwnedNode

        if not isinstance(await self.observe(env, undo), Present):
            return None
        one = await _fields.found(env, self.type_of(undo.target), undo.target)
        if one is None or isinstance(one, OwnedNode) or one.status.ready_replicas != self.to:
            return None
        was, figures = undo.before["was"], {"ready": float(self.to)}
        return Proof(how="exchange", evidence=f"{undo.target.key}: {self.to} ready pods, of {was}", figures=figures)

    def params_of(self, now: Setting) -> dict[str, Any]:
        """As many as the note says."""
        return {"to": int(now)}


async def _autoscaled(env: Env, kind: str, namespace: str, name: str) -> str:
    from chaos_runner.clients.kubernetes import lists, refusals
    from chaos_runner.clients.kubernetes.workloads import Autoscaler

    try:
        every = await lists.every(await _cluster.server(env), Autoscaler, namespace)
    except refusals.NoSuchKind:
        return ""
    own = [
        one for one in every.items if (one.spec.scale_target_ref.kind, one.spec.scale_target_ref.name) == (kind, name)
    ]
    return f"horizontalpodautoscaler/{namespace}/{own[0].metadata.name} sets its number of pods" if own else ""
