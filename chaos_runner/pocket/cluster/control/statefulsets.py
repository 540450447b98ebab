"""StatefulSets: pods with names of their own, made in order, replaced only when the old one is really gone."""

from __future__ import annotations

from collections.abc import Iterable

from chaos_runner.pocket.cluster import kinds, objects
from chaos_runner.pocket.cluster.control import replicas
from chaos_runner.pocket.cluster.control.hands import Hands
from chaos_runner.pocket.cluster.objects import Obj, at
from chaos_runner.pocket.cluster.store import Change

REVISION = "controller-revision-hash"


class StatefulSets:
    """Every StatefulSet has its pods 0 to n-1."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def concerns(self, change: Change) -> Iterable[str]:
        """StatefulSets, and the owners of pods."""
        if change.kind is kinds.STATEFULSETS:
            yield change.key
        elif change.kind is kinds.PODS:
            yield from replicas.owner_key(kinds.STATEFULSETS, change)

    def reconcile(self, key: str) -> float | None:
        """One step: make the next pod, or take the last one, or renew one."""
        owner = self._hands.store.get(kinds.STATEFULSETS, key)
        if owner is None or objects.terminating(owner):
            return None
        wanted = int(at(owner, "spec", "replicas", default=1))
        revision = revision_of(owner)
        pods = {objects.name(pod): pod for pod in self._hands.index.owned(kinds.PODS, objects.uid(owner))}
        if self._fill(owner, pods, wanted, revision) and self._shed(owner, pods, wanted):
            self._renew(owner, pods, wanted, revision)
        self._count(owner, revision)
        return None

    def _fill(self, owner: Obj, pods: dict[str, Obj], wanted: int, revision: str) -> bool:
        """Whether all that should be there are there, and ready if order matters."""
        ordered = at(owner, "spec", "podManagementPolicy") != "Parallel"
        whole = True
        for n in range(wanted):
            name = f"{objects.name(owner)}-{n}"
            pod = pods.get(name)
            if pod is None:
                self._make(owner, name, n, revision)
            elif not replicas.active(pod) and not objects.terminating(pod):
                self._hands.delete(kinds.PODS, pod)
            if pod is None or not replicas.active(pod) or not replicas.ready(pod):
                whole = False
                if ordered:
                    return False
        return whole

    def _make(self, owner: Obj, name: str, n: int, revision: str) -> None:
        labels = {
            REVISION: revision,
            "statefulset.kubernetes.io/pod-name": name,
            "apps.kubernetes.io/pod-index": str(n),
        }
        if self._hands.create(kinds.PODS, replicas.pod_from(kinds.STATEFULSETS, owner, name, labels)) is not None:
            message = f"create Pod {name} in StatefulSet {objects.name(owner)} successful"
            self._hands.event(kinds.STATEFULSETS, owner, "SuccessfulCreate", message)

    def _shed(self, owner: Obj, pods: dict[str, Obj], wanted: int) -> bool:
        """Whether there is nobody too many; the last goes first, one at a time."""
        surplus = [pod for name, pod in pods.items() if _ordinal(name) >= wanted]
        for pod in sorted(surplus, key=lambda pod: -_ordinal(objects.name(pod)))[:1]:
            if not objects.terminating(pod):
                self._hands.delete(kinds.PODS, pod)
                message = f"delete Pod {objects.name(pod)} in StatefulSet {objects.name(owner)} successful"
                self._hands.event(kinds.STATEFULSETS, owner, "SuccessfulDelete", message)
        return not surplus

    def _renew(self, owner: Obj, pods: dict[str, Obj], wanted: int, revision: str) -> None:
        if at(owner, "spec", "updateStrategy", "type") == "OnDelete":
            return
        partition = int(at(owner, "spec", "updateStrategy", "rollingUpdate", "partition", default=0))
        for n in range(wanted - 1, partition - 1, -1):
            pod = pods[f"{objects.name(owner)}-{n}"]
            if objects.labels(pod).get(REVISION) != revision:
                self._hands.delete(kinds.PODS, pod)
                return

    def _count(self, owner: Obj, revision: str) -> None:
        pods = [pod for pod in self._hands.index.owned(kinds.PODS, objects.uid(owner)) if replicas.active(pod)]
        up = sum(1 for pod in pods if replicas.ready(pod))
        updated = sum(1 for pod in pods if objects.labels(pod).get(REVISION) == revision)
        wanted = int(at(owner, "spec", "replicas", default=1))
        current = revision if updated == wanted else at(owner, "status", "currentRevision", default=revision)
        self._hands.status(
            kinds.STATEFULSETS,
            owner,
            observedGeneration=owner["metadata"]["generation"],
            replicas=len(pods),
            readyReplicas=up or None,
            availableReplicas=up,
            currentReplicas=(len(pods) if current == revision else len(pods) - updated) or None,
            updatedReplicas=updated or None,
            currentRevision=current,
            updateRevision=revision,
            collisionCount=0,
        )


def revision_of(owner: Obj) -> str:
    """The name of its present template."""
    return f"{objects.name(owner)}-{objects.digest(at(owner, 'spec', 'template'))}"


def _ordinal(name: str) -> int:
    text = name.rpartition("-")[2]
    return int(text) if text.isdecimal() else 0
