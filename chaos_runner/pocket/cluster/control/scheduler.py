"""The scheduler: a node for each pod that has none. It honours cordons, taints, node selectors and spreads owners."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from chaos_runner.pocket.cluster import kinds, objects, selectors
from chaos_runner.pocket.cluster.control.hands import Hands
from chaos_runner.pocket.cluster.objects import Obj, at, put
from chaos_runner.pocket.cluster.selectors import Requirement
from chaos_runner.pocket.cluster.store import Change

HARD = ("NoSchedule", "NoExecute")


class Scheduler:
    """Every pod gets a node as soon as one fits."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._waiting: dict[str, None] = {}

    def concerns(self, change: Change) -> Iterable[str]:
        """Pods without a node; all that wait when a node changes for the better."""
        if change.kind is kinds.PODS:
            if change.after is not None and not at(change.after, "spec", "nodeName"):
                yield change.key
        elif change.kind is kinds.NODES and change.after is not None and _differs(change):
            yield from tuple(self._waiting)

    def reconcile(self, key: str) -> float | None:
        """Places one pod, or says why it cannot be placed."""
        pod = self._hands.store.get(kinds.PODS, key)
        if pod is None or at(pod, "spec", "nodeName") or objects.terminating(pod):
            self._waiting.pop(key, None)
            return None
        nodes = self._hands.store.all(kinds.NODES)
        refused = {objects.name(node): why for node in nodes if (why := unfit(pod, node))}
        fitting = [objects.name(node) for node in nodes if objects.name(node) not in refused]
        if not fitting:
            self._waiting[key] = None
            self._stuck(pod, len(nodes), Counter(refused.values()))
            return None
        self._waiting.pop(key, None)
        self._place(pod, min(fitting, key=lambda name: self._load(pod, name)))
        return None

    def _place(self, pod: Obj, node: str) -> None:
        conditions = objects.with_condition(at(pod, "status", "conditions"), "PodScheduled", "True")
        placed = put(put(pod, node, "spec", "nodeName"), conditions, "status", "conditions")
        self._hands.put(kinds.PODS, placed)
        message = f"Successfully assigned {objects.key_of(pod)} to {node}"
        self._hands.event(kinds.PODS, pod, "Scheduled", message)

    def _load(self, pod: Obj, node: str) -> tuple[int, int, str]:
        """How many of its siblings are there already, and how many pods at all."""
        owner = objects.controller(pod)
        if owner is None:
            return 0, self._hands.index.count_on(node), node
        siblings = self._hands.index.owned(kinds.PODS, owner["uid"])
        there = sum(1 for one in siblings if at(one, "spec", "nodeName") == node and not objects.terminating(one))
        return there, self._hands.index.count_on(node), node

    def _stuck(self, pod: Obj, total: int, reasons: Counter[str]) -> None:
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        message = f"0/{total} nodes are available: {why}." if why else "no nodes available to schedule pods"
        old = at(pod, "status", "conditions")
        conditions = objects.with_condition(old, "PodScheduled", "False", "Unschedulable", message)
        if conditions != old:
            self._hands.put(kinds.PODS, put(pod, conditions, "status", "conditions"))
            self._hands.event(kinds.PODS, pod, "FailedScheduling", message, warning=True)


def unfit(pod: Obj, node: Obj) -> str:
    """Why the node is nothing for the pod; empty where it fits."""
    if at(node, "spec", "unschedulable") and not tolerates(pod, "node.kubernetes.io/unschedulable", "", "NoSchedule"):
        return "node(s) were unschedulable"
    for taint in at(node, "spec", "taints") or ():
        if taint["effect"] in HARD and not tolerates(pod, taint["key"], taint.get("value", ""), taint["effect"]):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    if not objects.is_true(node, "Ready"):
        return "node(s) were not ready"
    wanted = at(pod, "spec", "nodeSelector") or {}
    if not wanted.items() <= objects.labels(node).items() or not _affine(pod, node):
        return "node(s) didn't match Pod's node affinity/selector"
    return ""


def tolerates(pod: Obj, key: str, value: str, effect: str) -> bool:
    """Whether the pod puts up with such a taint."""
    return toleration(pod, key, value, effect) is not None


def toleration(pod: Obj, key: str, value: str, effect: str) -> Obj | None:
    """The toleration that covers such a taint."""
    for one in at(pod, "spec", "tolerations") or ():
        if one.get("effect") not in (None, "", effect) or one.get("key") not in (None, "", key):
            continue
        if one.get("operator") == "Exists" or one.get("value", "") == value:
            found: Obj = one
            return found
    return None


def _affine(pod: Obj, node: Obj) -> bool:
    rule = at(pod, "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    if not rule:
        return True
    fields = {"metadata.name": objects.name(node)}
    return any(
        selectors.fits(_terms(choice.get("matchExpressions")), objects.labels(node))
        and selectors.fits(_terms(choice.get("matchFields")), fields)
        for choice in rule.get("nodeSelectorTerms") or ()
    )


def _terms(given: list[Obj] | None) -> tuple[Requirement, ...]:
    return tuple(Requirement(one["key"], one["operator"], frozenset(one.get("values") or ())) for one in given or ())


def _differs(change: Change) -> bool:
    """Whether a node changed in what placing depends on, and not only in its last heartbeat."""
    before, after = change.before, change.after
    if before is None or after is None:
        return True
    ready = objects.is_true(before, "Ready") != objects.is_true(after, "Ready")
    return ready or before.get("spec") != after.get("spec") or objects.labels(before) != objects.labels(after)
