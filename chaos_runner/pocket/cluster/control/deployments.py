"""Deployments: one ReplicaSet for each template, and a rolling change from the old ones to the new one."""

from __future__ import annotations

from collections.abc import Iterable

from chaos_runner.pocket.cluster import kinds, objects
from chaos_runner.pocket.cluster.control import replicas
from chaos_runner.pocket.cluster.control.hands import Hands
from chaos_runner.pocket.cluster.objects import Obj, at, put
from chaos_runner.pocket.cluster.store import Change

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Deployments:
    """Every Deployment runs the template that it says, in the number that it says."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def concerns(self, change: Change) -> Iterable[str]:
        """Deployments, and the owners of ReplicaSets."""
        if change.kind is kinds.DEPLOYMENTS:
            yield change.key
        elif change.kind is kinds.REPLICASETS:
            yield from replicas.owner_key(kinds.DEPLOYMENTS, change)

    def reconcile(self, key: str) -> float | None:
        """One step of the roll-out."""
        owner = self._hands.store.get(kinds.DEPLOYMENTS, key)
        if owner is None or objects.terminating(owner):
            return None
        owned = self._hands.index.owned(kinds.REPLICASETS, objects.uid(owner))
        new = self._current(owner, owned)
        if new is None:
            return None
        old = [one for one in owned if objects.uid(one) != objects.uid(new)]
        if not at(owner, "spec", "paused", default=False):
            self._roll(owner, new, old)
        self._forget(owner, old)
        self._count(owner, objects.uid(new))
        return None

    def _current(self, owner: Obj, owned: list[Obj]) -> Obj | None:
        """The ReplicaSet of the present template."""
        found = next((one for one in owned if _template_of(one) == at(owner, "spec", "template")), None)
        revisions = [int(objects.notes(one).get(REVISION, "0")) for one in owned]
        if found is None:
            return self._hands.create(kinds.REPLICASETS, _replicaset(owner, max([0, *revisions]) + 1))
        newest = max(revisions)
        if int(objects.notes(found).get(REVISION, "0")) < newest:
            found = self._hands.put(kinds.REPLICASETS, _revised(found, newest + 1))
        mine = objects.notes(found)[REVISION]
        if objects.notes(owner).get(REVISION) != mine:
            self._hands.put(kinds.DEPLOYMENTS, _revised(owner, int(mine)))
        return found

    def _roll(self, owner: Obj, new: Obj, old: list[Obj]) -> None:
        wanted = int(at(owner, "spec", "replicas", default=1))
        if at(owner, "spec", "strategy", "type") == "Recreate":
            for one in old:
                self._scale(owner, one, 0)
            if all(at(one, "status", "replicas", default=0) == 0 for one in old):
                self._scale(owner, new, wanted)
            return
        surge, unavailable = _leeway(owner, wanted)
        total = sum(_asked(one) for one in (new, *old))
        room = wanted if not any(_asked(one) for one in old) else _asked(new) + max(0, wanted + surge - total)
        self._scale(owner, new, min(wanted, max(room, min(_asked(new), wanted))))
        self._shrink(owner, new, old, wanted - unavailable)

    def _shrink(self, owner: Obj, new: Obj, old: list[Obj], needed: int) -> None:
        """Takes pods from the old ones: first those that are not available, then as many as the rest can spare."""
        up = sum(at(one, "status", "availableReplicas", default=0) for one in (new, *old))
        total = sum(_asked(one) for one in (new, *old))
        new_down = _asked(new) - at(new, "status", "availableReplicas", default=0)
        spare = max(0, total - needed - new_down)
        for one in sorted(old, key=lambda one: one["metadata"]["creationTimestamp"]):
            broken = _asked(one) - at(one, "status", "availableReplicas", default=0)
            gone = min(_asked(one), max(0, min(broken, spare)))
            self._scale(owner, one, _asked(one) - gone)
            spare -= gone
        can_go = max(0, min(spare, up - needed))
        for one in sorted(old, key=lambda one: one["metadata"]["creationTimestamp"]):
            fresh = self._hands.store.get(kinds.REPLICASETS, objects.key_of(one)) or one
            gone = min(_asked(fresh), can_go)
            self._scale(owner, fresh, _asked(fresh) - gone)
            can_go -= gone

    def _scale(self, owner: Obj, one: Obj, wanted: int) -> None:
        current = self._hands.store.get(kinds.REPLICASETS, objects.key_of(one))
        if current is None or _asked(current) == wanted:
            return
        word = "up" if wanted > _asked(current) else "down"
        message = f"Scaled {word} replica set {objects.name(one)} from {_asked(current)} to {wanted}"
        generation = current["metadata"]["generation"] + 1
        fresh = put(put(current, wanted, "spec", "replicas"), generation, "metadata", "generation")
        self._hands.put(kinds.REPLICASETS, fresh)
        self._hands.event(kinds.DEPLOYMENTS, owner, "ScalingReplicaSet", message)

    def _forget(self, owner: Obj, old: list[Obj]) -> None:
        """Deletes the oldest empty ReplicaSets beyond the history that is kept."""
        kept = int(at(owner, "spec", "revisionHistoryLimit", default=10))
        empty = [one for one in old if _asked(one) == 0 and at(one, "status", "replicas", default=0) == 0]
        empty.sort(key=lambda one: int(objects.notes(one).get(REVISION, "0")))
        for one in empty[: max(0, len(empty) - kept)]:
            self._hands.delete(kinds.REPLICASETS, one)

    def _count(self, owner: Obj, new_uid: str) -> None:
        owned = self._hands.index.owned(kinds.REPLICASETS, objects.uid(owner))
        new = next((one for one in owned if objects.uid(one) == new_uid), None)
        total, up, steady = (_sum(owned, part) for part in ("replicas", "readyReplicas", "availableReplicas"))
        updated = at(new or {}, "status", "replicas", default=0)
        wanted = int(at(owner, "spec", "replicas", default=1))
        self._hands.status(
            kinds.DEPLOYMENTS,
            owner,
            observedGeneration=owner["metadata"]["generation"],
            replicas=total or None,
            updatedReplicas=updated or None,
            readyReplicas=up or None,
            availableReplicas=steady or None,
            unavailableReplicas=max(0, max(total, wanted) - steady) or None,
            conditions=_conditions(owner, new, wanted=wanted, total=total, updated=updated, steady=steady),
        )


def _conditions(owner: Obj, new: Obj | None, *, wanted: int, total: int, updated: int, steady: int) -> list[Obj]:
    enough = steady >= wanted - _leeway(owner, wanted)[1]
    reason = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    if not enough:
        reason = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    found = objects.with_condition(at(owner, "status", "conditions"), "Available", *reason)
    name = objects.name(new) if new is not None else ""
    if updated == wanted == total == steady:
        progress = ("NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.')
    else:
        progress = ("ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
    found = objects.with_condition(found, "Progressing", "True", *progress)
    moment = objects.condition(owner, "Progressing") or {}
    moved = moment.get("reason") != progress[0]
    since = objects.stamp() if moved else moment.get("lastUpdateTime", objects.stamp())
    return [
        {**one, "lastUpdateTime": since if one["type"] == "Progressing" else one["lastTransitionTime"]} for one in found
    ]


def _leeway(owner: Obj, wanted: int) -> tuple[int, int]:
    """How many pods more, and how many available pods less, a roll-out may have."""
    rolling = at(owner, "spec", "strategy", "rollingUpdate") or {}
    surge = objects.share_of(rolling.get("maxSurge", "25%"), wanted, up=True)
    unavailable = objects.share_of(rolling.get("maxUnavailable", "25%"), wanted, up=False)
    return surge, unavailable if surge or unavailable else 1


def _replicaset(owner: Obj, revision: int) -> Obj:
    template = at(owner, "spec", "template")
    mark = objects.digest(template)
    labels = {**(at(template, "metadata", "labels") or {}), HASH: mark}
    annotations = {name: text for name, text in objects.notes(owner).items() if name != LAST_APPLIED}
    return {
        "metadata": {
            "name": f"{objects.name(owner)}-{mark}",
            "namespace": objects.namespace(owner),
            "labels": labels,
            "annotations": {**annotations, REVISION: str(revision)},
            "ownerReferences": [objects.owner_reference(kinds.DEPLOYMENTS, owner)],
        },
        "spec": {
            "replicas": 0,
            "minReadySeconds": at(owner, "spec", "minReadySeconds", default=0),
            "selector": put(at(owner, "spec", "selector"), mark, "matchLabels", HASH),
            "template": put(template, labels, "metadata", "labels"),
        },
    }


def _template_of(one: Obj) -> Obj:
    template: Obj = at(one, "spec", "template")
    return objects.drop(template, "metadata", "labels", HASH)


def _revised(obj: Obj, revision: int) -> Obj:
    return put(obj, str(revision), "metadata", "annotations", REVISION)


def _asked(one: Obj) -> int:
    return int(at(one, "spec", "replicas", default=0))


def _sum(owned: list[Obj], part: str) -> int:
    return sum(at(one, "status", part, default=0) for one in owned)
