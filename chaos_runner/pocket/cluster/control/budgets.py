"""PodDisruptionBudgets: how many pods are healthy, how many must be, and how many evictions that leaves."""

from __future__ import annotations

from collections.abc import Iterable

from chaos_runner.pocket.cluster import kinds, objects, selectors
from chaos_runner.pocket.cluster.control import replicas
from chaos_runner.pocket.cluster.control.hands import Hands
from chaos_runner.pocket.cluster.objects import Obj, at
from chaos_runner.pocket.cluster.store import Change

BURNT_S = 120.0  # an eviction that did not lead to a deletion is given back after this
SCALABLE = ("ReplicaSet", "StatefulSet")


class Budgets:
    """Every budget's status is up to date."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def concerns(self, change: Change) -> Iterable[str]:
        """Budgets; those that cover a pod, before or after; all of a namespace where a workload is scaled."""
        if change.kind is kinds.BUDGETS:
            yield change.key
        elif change.kind is kinds.PODS:
            for pod in (change.before, change.after):
                if pod is not None:
                    yield from self._covering(pod)
        elif change.kind.name in SCALABLE:
            prefix = change.key.partition("/")[0]
            yield from (objects.key_of(one) for one in self._hands.store.all(kinds.BUDGETS, prefix))

    def reconcile(self, key: str) -> float | None:
        """Counts one budget anew."""
        budget = self._hands.store.get(kinds.BUDGETS, key)
        if budget is None:
            return None
        terms = selectors.of_object(at(budget, "spec", "selector"))
        everyone = self._hands.store.all(kinds.PODS, objects.namespace(budget))
        pods = [] if terms is None else [pod for pod in everyone if selectors.fits(terms, objects.labels(pod))]
        living = [pod for pod in pods if replicas.active(pod)]
        burnt = _still_burnt(budget, pods)
        expected, wanted = self._expected(budget, living)
        healthy = sum(1 for pod in living if replicas.ready(pod) and objects.name(pod) not in burnt)
        allowed = max(0, healthy - wanted) if expected > 0 else 0
        self._write(budget, burnt, expected=expected, wanted=wanted, healthy=healthy, allowed=allowed)
        return BURNT_S / 4 if burnt else None

    def _write(
        self, budget: Obj, burnt: dict[str, str], *, expected: int, wanted: int, healthy: int, allowed: int
    ) -> None:
        status, reason = ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
        found = at(budget, "status", "conditions")
        self._hands.status(
            kinds.BUDGETS,
            budget,
            observedGeneration=budget["metadata"]["generation"],
            expectedPods=expected,
            desiredHealthy=wanted,
            currentHealthy=healthy,
            disruptionsAllowed=allowed,
            disruptedPods=burnt or None,
            conditions=objects.with_condition(found, "DisruptionAllowed", status, reason),
        )

    def _expected(self, budget: Obj, pods: list[Obj]) -> tuple[int, int]:
        """How many pods there should be, and how many must be healthy."""
        least, most = at(budget, "spec", "minAvailable"), at(budget, "spec", "maxUnavailable")
        if least is not None and not isinstance(least, str):
            return len(pods), int(least)
        expected = sum(self._scales(pods).values())
        if least is not None:
            return expected, objects.share_of(least, expected, up=True)
        return expected, max(0, expected - objects.share_of(1 if most is None else most, expected, up=True))

    def _scales(self, pods: list[Obj]) -> dict[str, int]:
        """The number that each controller of these pods was asked for; pods without one count for nothing."""
        scales: dict[str, int] = {}
        for pod in pods:
            found = objects.controller(pod)
            kind = kinds.BY_NAME.get(found["kind"]) if found else None
            if found is None or kind is None or kind.name not in SCALABLE or found["uid"] in scales:
                continue
            owner = self._hands.store.get(kind, objects.key(objects.namespace(pod), found["name"]))
            scales[found["uid"]] = int(at(owner, "spec", "replicas", default=0)) if owner is not None else 0
        return scales

    def _covering(self, pod: Obj) -> Iterable[str]:
        for budget in self._hands.store.all(kinds.BUDGETS, objects.namespace(pod)):
            terms = selectors.of_object(at(budget, "spec", "selector"))
            if terms is not None and selectors.fits(terms, objects.labels(pod)):
                yield objects.key_of(budget)


def _still_burnt(budget: Obj, pods: list[Obj]) -> dict[str, str]:
    """Evictions that were granted and whose pods are still there, unmarked, and not for too long."""
    waiting = {objects.name(pod) for pod in pods if not objects.terminating(pod)}
    granted = at(budget, "status", "disruptedPods") or {}
    return {name: when for name, when in granted.items() if name in waiting and objects.age_s(when) < BURNT_S}
