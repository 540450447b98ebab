"""What an object may not say: the mistakes that a real server refuses and that our own tools could make. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from chaos_runner.pocket.cluster import objects, refusal, selectors
from chaos_runner.pocket.cluster.kinds import Kind
from chaos_runner.pocket.cluster.objects import Obj, at
from chaos_runner.pocket.cluster.refusal import invalid

NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
NAME_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character"
)
MICRO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")
WITH_REPLICAS = ("Deployment", "ReplicaSet", "StatefulSet")
WITH_TEMPLATE = (*WITH_REPLICAS, "DaemonSet")
REQUIRED = "Required value"
IMMUTABLE_POD = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def check_new(kind: Kind, obj: Obj) -> None:
    """Raises Refusal for an object that cannot be created."""
    _check_name(kind, objects.name(obj))
    _check_any(kind, obj)


def check_update(kind: Kind, old: Obj, new: Obj) -> None:
    """Raises Refusal for an object that cannot become this one."""
    name = objects.name(old)
    if objects.terminating(old):
        added = set(at(new, "metadata", "finalizers") or ()) - set(at(old, "metadata", "finalizers") or ())
        if added:
            why = "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
            raise invalid(kind, name, "metadata.finalizers", why + str(sorted(added)), "FieldValueForbidden")
    if kind.name in WITH_TEMPLATE and at(old, "spec", "selector") != at(new, "spec", "selector"):
        raise invalid(kind, name, "spec.selector", f"Invalid value: {at(new, 'spec', 'selector')}: field is immutable")
    if kind.name == "Pod" and _frozen(old) != _frozen(new):
        raise invalid(kind, name, "spec", IMMUTABLE_POD, "FieldValueForbidden")
    if kind.name == "Service" and at(new, "spec", "clusterIP") not in (at(old, "spec", "clusterIP"), None):
        raise invalid(kind, name, "spec.clusterIPs[0]", "Invalid value: field is immutable")
    _check_any(kind, new)


def _frozen(pod: Obj) -> Obj:
    """The part of a pod's spec that stays as it was born."""
    spec: Obj = dict(pod.get("spec") or {})
    for name in ("tolerations", "activeDeadlineSeconds", "terminationGracePeriodSeconds", "nodeName"):
        spec.pop(name, None)
    spec["containers"] = [{**one, "image": ""} for one in spec.get("containers") or ()]
    return spec


def _check_name(kind: Kind, name: str) -> None:
    if len(name) > 253 or (not kind.group.startswith("rbac") and not NAME.fullmatch(name)):
        raise invalid(kind, name, "metadata.name", f'Invalid value: "{name}": {NAME_TEXT}')


def _check_any(kind: Kind, obj: Obj) -> None:
    check = CHECKS.get(kind.name)
    if kind.name in WITH_REPLICAS:
        _check_replicas(kind, obj)
    if kind.name in WITH_TEMPLATE:
        _check_template(kind, obj)
    if check is not None:
        check(kind, obj)


def _check_replicas(kind: Kind, obj: Obj) -> None:
    replicas = at(obj, "spec", "replicas", default=1)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise refusal.bad_request(f"{kind.name} in version {kind.version!r} cannot be handled: spec.replicas")
    if replicas < 0:
        why = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise invalid(kind, objects.name(obj), "spec.replicas", why)


def _check_template(kind: Kind, obj: Obj) -> None:
    selector = at(obj, "spec", "selector")
    labels = at(obj, "spec", "template", "metadata", "labels") or {}
    if not selector:
        raise invalid(kind, objects.name(obj), "spec.selector", REQUIRED, "FieldValueRequired")
    if not selectors.fits(selectors.of_object(selector) or (), labels):
        why = f"Invalid value: {labels}: `selector` does not match template `labels`"
        raise invalid(kind, objects.name(obj), "spec.template.metadata.labels", why)
    _check_containers(kind, objects.name(obj), at(obj, "spec", "template", "spec"), "spec.template.spec")


def _check_pod(kind: Kind, obj: Obj) -> None:
    _check_containers(kind, objects.name(obj), obj.get("spec"), "spec")


def _check_containers(kind: Kind, name: str, spec: Any, where: str) -> None:
    containers = (spec or {}).get("containers") or ()
    if not containers:
        raise invalid(kind, name, f"{where}.containers", REQUIRED, "FieldValueRequired")
    for n, container in enumerate(containers):
        for field in ("name", "image"):
            if not container.get(field):
                raise invalid(kind, name, f"{where}.containers[{n}].{field}", REQUIRED, "FieldValueRequired")


def _check_node(kind: Kind, obj: Obj) -> None:
    seen: set[tuple[str, str]] = set()
    for n, taint in enumerate(at(obj, "spec", "taints") or ()):
        mark = (taint.get("key", ""), taint.get("effect", ""))
        if mark in seen:
            why = f"Duplicate value: {taint}"
            raise invalid(kind, objects.name(obj), f"spec.taints[{n}]", why, "FieldValueDuplicate")
        if mark[1] not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
            why = f'Unsupported value: "{mark[1]}"'
            raise invalid(kind, objects.name(obj), f"spec.taints[{n}].effect", why, "FieldValueNotSupported")
        seen.add(mark)


def _check_lease(kind: Kind, obj: Obj) -> None:
    for field in ("renewTime", "acquireTime"):
        given = at(obj, "spec", field)
        if given is not None and not (isinstance(given, str) and MICRO.fullmatch(given)):
            why = f'Invalid value: "{given}": must be a time with microseconds'
            raise invalid(kind, objects.name(obj), f"spec.{field}", why)


def _check_budget(kind: Kind, obj: Obj) -> None:
    spec = obj.get("spec") or {}
    if "minAvailable" in spec and "maxUnavailable" in spec:
        why = "Invalid value: minAvailable and maxUnavailable cannot be both set"
        raise invalid(kind, objects.name(obj), "spec", why)


CHECKS: dict[str, Callable[[Kind, Obj], None]] = {
    "Pod": _check_pod,
    "Node": _check_node,
    "Lease": _check_lease,
    "PodDisruptionBudget": _check_budget,
}
