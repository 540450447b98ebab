"""DaemonSets: one pod on every node, cordoned or not."""

from __future__ import annotations

from collections.abc import Iterable

from chaos_runner.pocket.cluster import kinds, objects
from chaos_runner.pocket.cluster.control import replicas
from chaos_runner.pocket.cluster.control.hands import Hands
from chaos_runner.pocket.cluster.objects import Obj, at, put
from chaos_runner.pocket.cluster.store import Change

TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


class DaemonSets:
    """Every DaemonSet has a pod on each node; a changed template is taken up by new pods only."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def concerns(self, change: Change) -> Iterable[str]:
        """DaemonSets, the owners of pods, and all of them when nodes come or go."""
        if change.kind is kinds.DAEMONSETS:
            yield change.key
        elif change.kind is kinds.PODS:
            yield from replicas.owner_key(kinds.DAEMONSETS, change)
        elif change.kind is kinds.NODES and (change.before is None or change.after is None):
            yield from self._hands.store.shelf(kinds.DAEMONSETS).keys

    def reconcile(self, key: str) -> float | None:
        """Makes what lacks, deletes what nobody asked for, counts."""
        owner = self._hands.store.get(kinds.DAEMONSETS, key)
        if owner is None or objects.terminating(owner):
            return None
        nodes = {objects.name(node) for node in self._hands.store.all(kinds.NODES) if _fits(owner, node)}
        pods = [pod for pod in self._hands.index.owned(kinds.PODS, objects.uid(owner)) if replicas.active(pod)]
        for node in sorted(nodes - {at(pod, "spec", "nodeName") for pod in pods}):
            self._hands.create(kinds.PODS, _pod(owner, node))
        for pod in pods:
            if at(pod, "spec", "nodeName") not in nodes:
                self._hands.delete(kinds.PODS, pod)
        self._count(owner, len(nodes))
        return None

    def _count(self, owner: Obj, wanted: int) -> None:
        pods = [pod for pod in self._hands.index.owned(kinds.PODS, objects.uid(owner)) if replicas.active(pod)]
        up = sum(1 for pod in pods if replicas.ready(pod))
        self._hands.status(
            kinds.DAEMONSETS,
            owner,
            observedGeneration=owner["metadata"]["generation"],
            desiredNumberScheduled=wanted,
            currentNumberScheduled=len(pods),
            updatedNumberScheduled=len(pods),
            numberMisscheduled=0,
            numberReady=up,
            numberAvailable=up,
            numberUnavailable=max(0, wanted - up),
        )


def _fits(owner: Obj, node: Obj) -> bool:
    wanted = at(owner, "spec", "template", "spec", "nodeSelector") or {}
    return wanted.items() <= objects.labels(node).items()


def _pod(owner: Obj, node: str) -> Obj:
    pod = replicas.pod_from(kinds.DAEMONSETS, owner)
    waits = [{"key": key, "operator": "Exists", "effect": effect} for key, effect in TOLERATED]
    pod = put(pod, [*(at(pod, "spec", "tolerations") or ()), *waits], "spec", "tolerations")
    return put(pod, node, "spec", "nodeName")
