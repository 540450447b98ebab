"""Nodes: a cordon becomes a taint; a node that went silent is tainted, and its pods are asked to leave in time."""

from __future__ import annotations

from collections.abc import Iterable

from chaos_runner.pocket.cluster import kinds, objects
from chaos_runner.pocket.cluster.control import scheduler
from chaos_runner.pocket.cluster.control.hands import Hands
from chaos_runner.pocket.cluster.objects import Obj, at, put
from chaos_runner.pocket.cluster.store import Change

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
UNREACHABLE, NOT_READY = "node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"


class Cordons:
    """What a node says of itself stands in its taints, and its taints are obeyed."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def concerns(self, change: Change) -> Iterable[str]:
        """Nodes, but for plain heartbeats; the node of a pod that is new there."""
        if change.kind is kinds.NODES and change.after is not None:
            yield change.key
        elif change.kind is kinds.PODS and change.after is not None:
            node = at(change.after, "spec", "nodeName")
            if node and (change.before is None or at(change.before, "spec", "nodeName") != node):
                yield node

    def reconcile(self, key: str) -> float | None:
        """Sets the taints of one node, and enforces them."""
        node = self._hands.store.get(kinds.NODES, key)
        if node is None:
            return None
        wanted = _wanted(node)
        old = list(at(node, "spec", "taints") or ())
        ours = (UNSCHEDULABLE, UNREACHABLE, NOT_READY)
        kept = [taint for taint in old if taint["key"] not in ours or (taint["key"], taint["effect"]) in wanted]
        known = {(taint["key"], taint["effect"]) for taint in kept}
        fresh = [_taint(*mark) for mark in wanted if mark not in known]
        if len(kept) != len(old) or fresh:
            taints = [*kept, *fresh]
            node = put(node, taints, "spec", "taints") if taints else objects.drop(node, "spec", "taints")
            node = self._hands.put(kinds.NODES, node)
        return self._enforce(node)

    def _enforce(self, node: Obj) -> float | None:
        """Deletes pods that do not tolerate a NoExecute taint; the seconds until the next one is due."""
        taints = [taint for taint in at(node, "spec", "taints") or () if taint["effect"] == "NoExecute"]
        if not taints:
            return None
        waits = [self._evict(pod, taints) for pod in self._hands.index.on_node(objects.name(node))]
        return min((wait for wait in waits if wait is not None), default=None)

    def _evict(self, pod: Obj, taints: list[Obj]) -> float | None:
        if objects.terminating(pod):
            return None
        left = min(_patience_s(pod, taint) for taint in taints)
        if left > 0:
            return left if left < float("inf") else None
        message = "Taint manager: deleting due to NoExecute taint"
        old = at(pod, "status", "conditions")
        found = objects.with_condition(old, "DisruptionTarget", "True", "DeletionByTaintManager", message)
        pod = self._hands.put(kinds.PODS, put(pod, found, "status", "conditions"))
        self._hands.event(kinds.PODS, pod, "TaintManagerEviction", f"Marking for deletion Pod {objects.key_of(pod)}")
        self._hands.delete(kinds.PODS, pod)
        return None


def _wanted(node: Obj) -> list[tuple[str, str]]:
    found = objects.condition(node, "Ready")
    status = found["status"] if found else "Unknown"
    marks = [(UNSCHEDULABLE, "NoSchedule")] if at(node, "spec", "unschedulable") else []
    silent = {"Unknown": UNREACHABLE, "False": NOT_READY}.get(status)
    return marks + ([(silent, "NoSchedule"), (silent, "NoExecute")] if silent else [])


def _taint(key: str, effect: str) -> Obj:
    return {"key": key, "effect": effect, "timeAdded": objects.stamp()}


def _patience_s(pod: Obj, taint: Obj) -> float:
    """How much longer the pod may stay."""
    found = scheduler.toleration(pod, taint["key"], taint.get("value", ""), taint["effect"])
    if found is None:
        return 0.0
    if found.get("tolerationSeconds") is None:
        return float("inf")
    return float(found["tolerationSeconds"]) - objects.age_s(taint.get("timeAdded") or objects.stamp())
