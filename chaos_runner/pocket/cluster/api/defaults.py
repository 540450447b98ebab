"""What an object says when its author left it out. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chaos_runner.pocket.cluster.objects import Obj, at, put

GRACE_S = 30
TOLERATED_S = 300
DOWN = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def filled(kind: str, obj: Obj) -> Obj:
    """The object with what was left out."""
    fill = FILL.get(kind)
    return obj if fill is None else fill(obj)


def _under(given: Any, defaults: Obj) -> Obj:
    return {**defaults, **{name: value for name, value in (given or {}).items() if value is not None}}


def _pod(obj: Obj) -> Obj:
    spec = pod_spec(obj.get("spec"))
    known = {toleration.get("key") for toleration in spec.get("tolerations") or ()}
    waits = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATED_S}
        for key in DOWN
        if key not in known and None not in known
    ]
    return {**obj, "spec": {**spec, "tolerations": [*(spec.get("tolerations") or ()), *waits]}}


def pod_spec(given: Obj | None) -> Obj:
    """The spec of a pod, or of a template for pods."""
    spec = _under(
        given,
        {
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": GRACE_S,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default",
            "securityContext": {},
            "schedulerName": "default-scheduler",
            "enableServiceLinks": True,
        },
    )
    return {**spec, "containers": [_container(one) for one in spec.get("containers") or ()]}


def _container(given: Obj) -> Obj:
    container = _under(
        given,
        {
            "imagePullPolicy": "IfNotPresent",
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
        },
    )
    if container.get("ports"):
        container["ports"] = [_under(port, {"protocol": "TCP"}) for port in container["ports"]]
    for name in ("readinessProbe", "livenessProbe", "startupProbe"):
        if container.get(name):
            container[name] = _probe(container[name])
    return container


def _probe(given: Obj) -> Obj:
    usual = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
    probe = _under(given, usual)
    if probe.get("httpGet"):
        probe["httpGet"] = _under(probe["httpGet"], {"path": "/", "scheme": "HTTP"})
    return probe


def _with_template(spec: Obj) -> Obj:
    template = spec.get("template") or {}
    template = {**template, "metadata": template.get("metadata") or {}, "spec": pod_spec(template.get("spec"))}
    return {**spec, "template": template}


def _deployment(obj: Obj) -> Obj:
    spec = _under(obj.get("spec"), {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600})
    strategy = _under(spec.get("strategy"), {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        rolling = _under(strategy.get("rollingUpdate"), {"maxUnavailable": "25%", "maxSurge": "25%"})
        strategy = {**strategy, "rollingUpdate": rolling}
    return {**obj, "spec": _with_template({**spec, "strategy": strategy})}


def _replicaset(obj: Obj) -> Obj:
    return {**obj, "spec": _with_template(_under(obj.get("spec"), {"replicas": 1}))}


def _statefulset(obj: Obj) -> Obj:
    spec = _under(
        obj.get("spec"),
        {
            "replicas": 1,
            "podManagementPolicy": "OrderedReady",
            "revisionHistoryLimit": 10,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        },
    )
    return {**obj, "spec": _with_template(spec)}


def _daemonset(obj: Obj) -> Obj:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
    return {**obj, "spec": _with_template(_under(obj.get("spec"), {"updateStrategy": rolling}))}


def _service(obj: Obj) -> Obj:
    spec = _under(
        obj.get("spec"),
        {
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
        },
    )
    ports = [_under(port, {"protocol": "TCP", "targetPort": port.get("port")}) for port in spec.get("ports") or ()]
    return {**obj, "spec": {**spec, "ports": ports}}


def _namespace(obj: Obj) -> Obj:
    labels = {**(at(obj, "metadata", "labels") or {}), "kubernetes.io/metadata.name": obj["metadata"].get("name", "")}
    obj = put(obj, labels, "metadata", "labels")
    return put(obj, ["kubernetes"], "spec", "finalizers")


def _binding(obj: Obj) -> Obj:
    group = {"apiGroup": "rbac.authorization.k8s.io"}
    subjects = [
        subject if subject.get("kind") == "ServiceAccount" else _under(subject, group)
        for subject in obj.get("subjects") or ()
    ]
    return {**obj, "subjects": subjects, "roleRef": _under(obj.get("roleRef"), group)}


FILL: dict[str, Callable[[Obj], Obj]] = {
    "Pod": _pod,
    "Deployment": _deployment,
    "ReplicaSet": _replicaset,
    "StatefulSet": _statefulset,
    "DaemonSet": _daemonset,
    "Service": _service,
    "Namespace": _namespace,
    "RoleBinding": _binding,
    "ClusterRoleBinding": _binding,
}
