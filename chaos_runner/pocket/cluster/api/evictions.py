"""Evicting a pod: a deletion that asks the disruption budgets first, with the answers of a real server."""

from __future__ import annotations

import msgspec

from chaos_runner.pocket.cluster import kinds, objects, refusal, selectors
from chaos_runner.pocket.cluster.api import answers, bodies
from chaos_runner.pocket.cluster.api.bodies import DeleteOptions
from chaos_runner.pocket.cluster.api.deletes import Deletes, check
from chaos_runner.pocket.cluster.api.routes import Place
from chaos_runner.pocket.cluster.objects import Obj, at, put
from chaos_runner.pocket.cluster.store import Store

REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
TWO_BUDGETS = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
VERSIONS = ("policy/v1", "policy/v1beta1")
WAIT_S = 10


class Evictions:
    """POST pods/NAME/eviction."""

    def __init__(self, store: Store, deletes: Deletes) -> None:
        self._store = store
        self._deletes = deletes

    def evict(self, place: Place, given: Obj, *, dry: bool = False) -> Obj:
        """The Status of success. Raises Refusal; the budget is asked, and spent, before the preconditions."""
        _check_body(place, given)
        pod = self._store.get(kinds.PODS, place.key)
        if pod is None:
            raise refusal.not_found(kinds.PODS, place.name)
        options = bodies.typed_options(given.get("deleteOptions"))
        dry = dry or options.dry
        if not (objects.terminating(pod) or at(pod, "status", "phase") in ("Pending", "Succeeded", "Failed")):
            budget = self._budget(pod)
            if budget is not None and _asked(budget, pod):
                self._spend(budget, pod, dry=dry)
        check(kinds.PODS, pod, options.preconditions)
        if not dry:
            self._end(pod, options)
        return answers.success(code=201)

    def _budget(self, pod: Obj) -> Obj | None:
        """The one budget that covers the pod."""
        found = [
            budget
            for budget in self._store.all(kinds.BUDGETS, objects.namespace(pod))
            if (terms := selectors.of_object(at(budget, "spec", "selector"))) is not None
            and selectors.fits(terms, objects.labels(pod))
        ]
        if len(found) > 1:
            raise refusal.Refusal(500, "", TWO_BUDGETS)
        return found[0] if found else None

    def _spend(self, budget: Obj, pod: Obj, *, dry: bool) -> None:
        """Takes one disruption from the budget. Raises Refusal where there is none."""
        status = budget.get("status") or {}
        if status.get("observedGeneration", 0) < budget["metadata"]["generation"]:
            raise _not_yet(budget)
        if status.get("disruptionsAllowed", 0) <= 0:
            raise _no_budget(budget, status)
        if dry:
            return
        spent = {**(status.get("disruptedPods") or {}), objects.name(pod): objects.stamp()}
        fresh = {**status, "disruptionsAllowed": status["disruptionsAllowed"] - 1, "disruptedPods": spent}
        self._store.put(kinds.BUDGETS, {**budget, "status": fresh})

    def _end(self, pod: Obj, options: DeleteOptions) -> None:
        conditions = objects.with_condition(
            at(pod, "status", "conditions"),
            "DisruptionTarget",
            "True",
            "EvictionByEvictionAPI",
            "Eviction API: evicting",
        )
        pod = self._store.put(kinds.PODS, put(pod, conditions, "status", "conditions"))
        options = msgspec.structs.replace(options, preconditions=None, dry_run=None)
        self._deletes.carry_out(kinds.PODS, self._deletes.marked(kinds.PODS, pod, options))


def _check_body(place: Place, given: Obj) -> None:
    name = bodies.check_metadata(kinds.PODS, given).get("name")
    if given.get("kind", "Eviction") != "Eviction" or given.get("apiVersion", VERSIONS[0]) not in VERSIONS:
        raise refusal.bad_request(f"an Eviction of {VERSIONS[0]} is expected here")
    if name != place.name:
        raise refusal.bad_request("name in URL does not match name in Eviction object")


def _asked(budget: Obj, pod: Obj) -> bool:
    """Whether the budget has a say: a pod that is not ready may go where that breaks nothing."""
    if objects.is_true(pod, "Ready"):
        return True
    if at(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return False
    status = budget.get("status") or {}
    return not (status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0) > 0)


def _no_budget(budget: Obj, status: Obj) -> refusal.Refusal:
    needs, has = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    message = f"The disruption budget {objects.name(budget)} needs {needs} healthy pods and has {has} currently"
    causes = [{"reason": "DisruptionBudget", "message": message}]
    return refusal.Refusal(429, "TooManyRequests", REFUSED, {"causes": causes})


def _not_yet(budget: Obj) -> refusal.Refusal:
    message = f"The disruption budget {objects.name(budget)} is still being processed by the server."
    causes = [{"reason": "DisruptionBudget", "message": message}]
    details = {"causes": causes, "retryAfterSeconds": WAIT_S}
    return refusal.Refusal(429, "TooManyRequests", REFUSED, details, {"retry-after": str(WAIT_S)})
