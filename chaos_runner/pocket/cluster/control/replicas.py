"""ReplicaSets keep their number of pods; how pods are counted, made and chosen is shared by all workloads."""

from __future__ import annotations

import random
from collections.abc import Iterable

from chaos_runner.pocket.cluster import kinds, objects, selectors
from chaos_runner.pocket.cluster.control.hands import Hands
from chaos_runner.pocket.cluster.kinds import Kind
from chaos_runner.pocket.cluster.objects import Obj, at, put
from chaos_runner.pocket.cluster.store import Change

OVER = ("Succeeded", "Failed")


def active(pod: Obj) -> bool:
    """Whether it counts: neither over nor on its way out."""
    return not objects.terminating(pod) and at(pod, "status", "phase") not in OVER


def ready(pod: Obj) -> bool:
    """Whether it is Ready."""
    return objects.is_true(pod, "Ready")


def available(pod: Obj, min_ready_s: float) -> bool:
    """Whether it has been Ready for so long."""
    found = objects.condition(pod, "Ready")
    if found is None or found["status"] != "True":
        return False
    return min_ready_s == 0 or objects.age_s(found["lastTransitionTime"]) >= min_ready_s


def pod_from(kind: Kind, owner: Obj, name: str = "", more_labels: dict[str, str] | None = None) -> Obj:
    """A pod as the template of its owner wants it."""
    template = at(owner, "spec", "template") or {}
    about = template.get("metadata") or {}
    metadata: Obj = {
        "namespace": objects.namespace(owner),
        "labels": {**(about.get("labels") or {}), **(more_labels or {})},
        "ownerReferences": [objects.owner_reference(kind, owner)],
    }
    metadata |= {"name": name} if name else {"generateName": f"{objects.name(owner)}-"}
    metadata |= {"annotations": about["annotations"]} if about.get("annotations") else {}
    return {"metadata": metadata, "spec": template.get("spec") or {}}


def owner_key(kind: Kind, change: Change) -> Iterable[str]:
    """The owner of that kind, of something that changed."""
    for obj in (change.before, change.after):
        if obj is not None and (found := objects.controller(obj)) is not None and found["kind"] == kind.name:
            yield objects.key(objects.namespace(obj), found["name"])


def first_to_go(pod: Obj) -> tuple[bool, bool, bool, str]:
    """Sorts pods so that those that do least come first: not placed, not running, not ready, youngest."""
    born = "".join(chr(255 - ord(letter)) for letter in pod["metadata"]["creationTimestamp"])
    return bool(at(pod, "spec", "nodeName")), at(pod, "status", "phase") == "Running", ready(pod), born


class ReplicaSets:
    """Every ReplicaSet has as many pods as it says."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def concerns(self, change: Change) -> Iterable[str]:
        """ReplicaSets, the owners of pods, and whoever could adopt a pod that nobody controls."""
        if change.kind is kinds.REPLICASETS:
            yield change.key
        elif change.kind is kinds.PODS:
            yield from owner_key(kinds.REPLICASETS, change)
            if change.after is not None and objects.controller(change.after) is None:
                yield from self._could_adopt(change.after)

    def reconcile(self, key: str) -> float | None:
        """Makes or deletes pods, and counts them."""
        owner = self._hands.store.get(kinds.REPLICASETS, key)
        if owner is None or objects.terminating(owner):
            return None
        pods = self._claimed(owner)
        living = [pod for pod in pods if active(pod)]
        lacking = int(at(owner, "spec", "replicas", default=1)) - len(living)
        for _ in range(max(0, lacking)):
            self._made(owner)
        for pod in sorted(living, key=first_to_go)[:-lacking] if lacking < 0 else ():
            self._hands.delete(kinds.PODS, pod)
            message = f"Deleted pod: {objects.name(pod)}"
            self._hands.event(kinds.REPLICASETS, owner, "SuccessfulDelete", message)
        return self._count(owner)

    def _made(self, owner: Obj) -> None:
        pod = self._hands.create(kinds.PODS, pod_from(kinds.REPLICASETS, owner))
        if pod is not None:
            message = f"Created pod: {objects.name(pod)}"
            self._hands.event(kinds.REPLICASETS, owner, "SuccessfulCreate", message)

    def _count(self, owner: Obj) -> float | None:
        min_ready_s = at(owner, "spec", "minReadySeconds", default=0)
        living = [pod for pod in self._hands.index.owned(kinds.PODS, objects.uid(owner)) if active(pod)]
        up = [pod for pod in living if ready(pod)]
        steady = sum(1 for pod in up if available(pod, min_ready_s))
        self._hands.status(
            kinds.REPLICASETS,
            owner,
            replicas=len(living),
            fullyLabeledReplicas=len(living) or None,
            readyReplicas=len(up) or None,
            availableReplicas=steady or None,
            observedGeneration=owner["metadata"]["generation"],
        )
        return float(min_ready_s) if steady < len(up) else None

    def _claimed(self, owner: Obj) -> list[Obj]:
        """Its pods, after taking in orphans that fit and letting go of pods that fit no more."""
        terms = selectors.of_object(at(owner, "spec", "selector")) or ()
        mine: list[Obj] = []
        for pod in self._hands.index.owned(kinds.PODS, objects.uid(owner)):
            if selectors.fits(terms, objects.labels(pod)) or objects.terminating(pod):
                mine.append(pod)
            else:
                self._hands.put(kinds.PODS, objects.drop(pod, "metadata", "ownerReferences"))
        for pod in self._hands.index.orphans(objects.namespace(owner)):
            if active(pod) and selectors.fits(terms, objects.labels(pod)):
                reference = [objects.owner_reference(kinds.REPLICASETS, owner)]
                mine.append(self._hands.put(kinds.PODS, put(pod, reference, "metadata", "ownerReferences")))
        return mine

    def _could_adopt(self, pod: Obj) -> Iterable[str]:
        for owner in self._hands.store.all(kinds.REPLICASETS, objects.namespace(pod)):
            terms = selectors.of_object(at(owner, "spec", "selector"))
            if terms and selectors.fits(terms, objects.labels(pod)):
                yield objects.key_of(owner)


def random_suffix() -> str:
    """Five letters that nobody could have guessed."""
    return objects.suffix(random.randrange)
