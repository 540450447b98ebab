"""A pod that is deleted: its containers are told to stop, and its owner makes another one."""

from __future__ import annotations

from typing import ClassVar

from chaos_runner.api import Env, Undo
from chaos_runner.faults import _cluster, _pods
from chaos_runner.faults._cluster import Ask


class PodKill(_pods.PodLoss, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Deletes a pod, this very one and never another of its name. Does not ask PodDisruptionBudgets.

    Cannot be undone: what owns the pod has to make another one, and `replaced_within` says how soon. Pods that are
    not Running and Ready, and those that nothing would replace, are never taken; nor is a majority of a StatefulSet.
    """

    kind: ClassVar[str] = "pod_kill"

    def harm(self, namespace: str) -> tuple[Ask, ...]:
        """Deleting pods."""
        from chaos_runner.clients.kubernetes.objects import Pod

        return (Ask("delete", Pod.at, namespace),)

    async def inject(self, env: Env, undo: Undo) -> None:
        """Announces it on the pod's owner, then deletes the pod with this uid."""
        from chaos_runner.clients.kubernetes import writes
        from chaos_runner.clients.kubernetes.objects import Pod

        namespace, name = _pods.names(undo.target)
        message = f"chaos-runner run {undo.run} deletes pod {name} on purpose"
        await _cluster.announce(env, undo, _pods.owner(undo), "ChaosPodKill", message)
        await writes.delete(
            await _cluster.server(env),
            Pod,
            namespace,
            name,
            uid=undo.target.uid,
            grace_s=self.grace_s,
            limit_s=_cluster.CHANGE_S,
        )
