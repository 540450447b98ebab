"""A pod that is evicted, as when its node is drained: PodDisruptionBudgets are asked first."""

from __future__ import annotations

from typing import ClassVar

from chaos_runner.api import Env, Refused, Undo
from chaos_runner.faults import _cluster, _limits, _pods
from chaos_runner.faults._cluster import Ask
from chaos_runner.records import Target


class PodEvict(_pods.PodLoss, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Evicts a pod, this very one and never another of its name; a PodDisruptionBudget can refuse it.

    Cannot be undone: what owns the pod has to make another one, and `replaced_within` says how soon. Pods that are
    not Running and Ready, and those that nothing would replace, are never taken; nor is a majority of a StatefulSet.
    """

    kind: ClassVar[str] = "pod_evict"
    asks_budgets: ClassVar[bool] = True

    def harm(self, namespace: str) -> tuple[Ask, ...]:
        """Creating evictions."""
        from chaos_runner.clients.kubernetes.objects import Pod

        return (Ask("create", Pod.at, namespace, subresource="eviction"),)

    async def prepare(self, env: Env, target: Target, mark: str) -> Undo:
        """As for every pod; and an eviction that is only tried shows whether a budget would refuse it now."""
        undo = await super().prepare(env, target, mark)
        await self._evict(env, undo, dry_run=True)
        return undo

    async def inject(self, env: Env, undo: Undo) -> None:
        """Reads the pod again, announces it on the owner, then evicts the pod with this uid."""
        # A wrong uid is refused, and burns the budget for two minutes all the same.
        pod = await _pods.current(env, undo.target)
        if why := _limits.unfit(pod):
            raise Refused(f"{undo.target.key} is left alone: {why}")
        message = f"chaos-runner run {undo.run} evicts pod {pod.metadata.name} on purpose"
        await _cluster.announce(env, undo, _pods.owner(undo), "ChaosPodEvict", message)
        await self._evict(env, undo, dry_run=False)

    async def _evict(self, env: Env, undo: Undo, *, dry_run: bool) -> None:
        from chaos_runner.clients.kubernetes import writes

        namespace, name = _pods.names(undo.target)
        await writes.evict(
            await _cluster.server(env),
            namespace,
            name,
            uid=undo.target.uid,
            grace_s=self.grace_s,
            dry_run=dry_run,
            limit_s=_cluster.CHANGE_S,
        )
