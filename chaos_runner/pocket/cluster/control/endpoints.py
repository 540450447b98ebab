"""EndpointSlices: which pods stand behind each Service, and which of them are ready."""

from __future__ import annotations

from collections.abc import Iterable

from chaos_runner.pocket.cluster import kinds, objects, selectors
from chaos_runner.pocket.cluster.control.hands import Hands
from chaos_runner.pocket.cluster.objects import Obj, at
from chaos_runner.pocket.cluster.store import Change

PER_SLICE = 100
SERVICE = "kubernetes.io/service-name"
MANAGED = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
OVER = ("Succeeded", "Failed")


class Endpoints:
    """Every Service with a selector has slices that name its pods."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def concerns(self, change: Change) -> Iterable[str]:
        """Services, and those that select a pod, before or after it changed."""
        if change.kind is kinds.SERVICES:
            yield change.key
        elif change.kind is kinds.PODS:
            for pod in (change.before, change.after):
                if pod is not None:
                    yield from self._selecting(pod)

    def reconcile(self, key: str) -> float | None:
        """Writes the slices of one Service."""
        service = self._hands.store.get(kinds.SERVICES, key)
        terms = selectors.of_map(at(service, "spec", "selector")) if service is not None else None
        if service is None or terms is None:
            return None
        pods = [
            pod
            for pod in self._hands.store.all(kinds.PODS, objects.namespace(service))
            if at(pod, "status", "podIP")
            and at(pod, "status", "phase") not in OVER
            and selectors.fits(terms, objects.labels(pod))
        ]
        old = {objects.name(one): one for one in self._hands.index.owned(kinds.SLICES, objects.uid(service))}
        wanted = _slices(service, pods)
        for slice_ in wanted:
            self._keep(old.pop(objects.name(slice_), None), slice_)
        for one in old.values():
            self._hands.delete(kinds.SLICES, one)
        return None

    def _keep(self, old: Obj | None, wanted: Obj) -> None:
        if old is None:
            self._hands.create(kinds.SLICES, wanted)
        elif (old["endpoints"], old["ports"]) != (wanted["endpoints"], wanted["ports"]):
            metadata = {**old["metadata"], "generation": old["metadata"].get("generation", 1) + 1}
            fresh = {"metadata": metadata, "endpoints": wanted["endpoints"], "ports": wanted["ports"]}
            self._hands.put(kinds.SLICES, {**old, **fresh})

    def _selecting(self, pod: Obj) -> Iterable[str]:
        for service in self._hands.store.all(kinds.SERVICES, objects.namespace(pod)):
            terms = selectors.of_map(at(service, "spec", "selector"))
            if terms is not None and selectors.fits(terms, objects.labels(pod)):
                yield objects.key_of(service)


def _slices(service: Obj, pods: list[Obj]) -> list[Obj]:
    ports = at(service, "spec", "ports") or ()
    rows = [_row(service, pod) for pod in sorted(pods, key=objects.name)]
    parts = [rows[n : n + PER_SLICE] for n in range(0, len(rows), PER_SLICE)] or [[]]
    named = [{"name": port.get("name", ""), "protocol": port["protocol"]} for port in ports]
    numbers = [_number(port, pods) for port in ports]
    known = [{**about, "port": number} for about, number in zip(named, numbers, strict=True) if number is not None]
    return [_slice(service, n, part, known) for n, part in enumerate(parts)]


def _slice(service: Obj, n: int, rows: list[Obj], ports: list[Obj]) -> Obj:
    name = f"{objects.name(service)}-{objects.digest([objects.uid(service), n], 5)}"
    metadata = {
        "name": name,
        "namespace": objects.namespace(service),
        "labels": {SERVICE: objects.name(service), **MANAGED},
        "ownerReferences": [objects.owner_reference(kinds.SERVICES, service)],
    }
    return {"metadata": metadata, "addressType": "IPv4", "endpoints": rows, "ports": ports}


def _row(service: Obj, pod: Obj) -> Obj:
    up, ending = objects.is_true(pod, "Ready"), objects.terminating(pod)
    anyway = bool(at(service, "spec", "publishNotReadyAddresses", default=False))
    reference = {part: pod["metadata"][part] for part in ("namespace", "name", "uid")}
    return {
        "addresses": [at(pod, "status", "podIP")],
        "conditions": {"ready": (up and not ending) or anyway, "serving": up, "terminating": ending},
        "nodeName": at(pod, "spec", "nodeName"),
        "targetRef": {"kind": "Pod", **reference},
    }


def _number(port: Obj, pods: list[Obj]) -> int | None:
    """The number of a target port; a name is looked up in the pods."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target
    named = (
        found["containerPort"]
        for pod in pods
        for container in at(pod, "spec", "containers", default=())
        for found in container.get("ports") or ()
        if found.get("name") == target
    )
    return next(named, None)
