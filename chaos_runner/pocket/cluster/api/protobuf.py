"""Bodies in protobuf, as newer clients send those of the kinds below; read into the same dicts as JSON. Pure.

Only what kubectl creates and asks by itself: other kinds, and fields that are not listed, are refused, not ignored
(unless they are empty: clients send those too).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from chaos_runner.pocket.cluster.objects import Obj

MEDIA = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"
VARINT, EIGHT, LENGTH, FOUR = 0, 1, 2, 5
DEPTH_MAX = 16

# message -> field number -> name and type: str, int, bool, map, quantity-less messages by name, a star for many;
# "-" is a message that clients send without anything in it
MESSAGES: dict[str, dict[int, tuple[str, str]]] = {
    "Meta": {
        1: ("name", "str"),
        2: ("generateName", "str"),
        3: ("namespace", "str"),
        4: ("", "-"),
        5: ("uid", "str"),
        6: ("resourceVersion", "str"),
        7: ("", "-"),
        8: ("", "-"),
        11: ("labels", "map"),
        12: ("annotations", "map"),
        14: ("finalizers", "*str"),
        17: ("", "-"),
    },
    "Namespace": {1: ("metadata", "Meta"), 2: ("", "-"), 3: ("", "-")},
    "ServiceAccount": {1: ("metadata", "Meta")},
    "ConfigMap": {1: ("metadata", "Meta"), 2: ("data", "map"), 4: ("immutable", "bool")},
    "Secret": {1: ("metadata", "Meta"), 2: ("data", "bytes"), 3: ("type", "str"), 4: ("stringData", "map")},
    "Service": {1: ("metadata", "Meta"), 2: ("spec", "ServiceSpec"), 3: ("", "-")},
    "ServiceSpec": {
        1: ("ports", "*ServicePort"),
        2: ("selector", "map"),
        3: ("clusterIP", "str"),
        4: ("type", "str"),
        10: ("externalName", "str"),
    },
    "ServicePort": {
        1: ("name", "str"),
        2: ("protocol", "str"),
        3: ("port", "int"),
        4: ("targetPort", "IntOrString"),
        5: ("", "-"),
    },
    "SelfSubjectAccessReview": {1: ("metadata", "Meta"), 2: ("spec", "ReviewSpec"), 3: ("", "-")},
    "ReviewSpec": {1: ("resourceAttributes", "Resource"), 2: ("nonResourceAttributes", "Path")},
    "Resource": {
        1: ("namespace", "str"),
        2: ("verb", "str"),
        3: ("group", "str"),
        4: ("version", "str"),
        5: ("resource", "str"),
        6: ("subresource", "str"),
        7: ("name", "str"),
    },
    "Path": {1: ("path", "str"), 2: ("verb", "str")},
    "SelfSubjectRulesReview": {1: ("metadata", "Meta"), 2: ("spec", "RulesSpec"), 3: ("", "-")},
    "RulesSpec": {1: ("namespace", "str")},
    "SelfSubjectReview": {1: ("metadata", "Meta"), 2: ("", "-")},
    "TokenRequest": {1: ("metadata", "Meta"), 2: ("spec", "TokenSpec"), 3: ("", "-")},
    "TokenSpec": {1: ("audiences", "*str"), 4: ("expirationSeconds", "int")},
    "PodDisruptionBudget": {1: ("metadata", "Meta"), 2: ("spec", "BudgetSpec"), 3: ("", "-")},
    "BudgetSpec": {
        1: ("minAvailable", "IntOrString"),
        2: ("selector", "Selector"),
        3: ("maxUnavailable", "IntOrString"),
        4: ("unhealthyPodEvictionPolicy", "str"),
    },
    "IntOrString": {1: ("type", "int"), 2: ("int", "int"), 3: ("str", "str")},
    "Selector": {1: ("matchLabels", "map"), 2: ("matchExpressions", "*Expression")},
    "Expression": {1: ("key", "str"), 2: ("operator", "str"), 3: ("values", "*str")},
    "Role": {1: ("metadata", "Meta"), 2: ("rules", "*Rule")},
    "ClusterRole": {1: ("metadata", "Meta"), 2: ("rules", "*Rule")},
    "Rule": {
        1: ("verbs", "*str"),
        2: ("apiGroups", "*str"),
        3: ("resources", "*str"),
        4: ("resourceNames", "*str"),
        5: ("nonResourceURLs", "*str"),
    },
    "RoleBinding": {1: ("metadata", "Meta"), 2: ("subjects", "*Subject"), 3: ("roleRef", "RoleRef")},
    "ClusterRoleBinding": {1: ("metadata", "Meta"), 2: ("subjects", "*Subject"), 3: ("roleRef", "RoleRef")},
    "Subject": {1: ("kind", "str"), 2: ("apiGroup", "str"), 3: ("name", "str"), 4: ("namespace", "str")},
    "RoleRef": {1: ("apiGroup", "str"), 2: ("kind", "str"), 3: ("name", "str")},
    "Deployment": {1: ("metadata", "Meta"), 2: ("spec", "DeploymentSpec"), 3: ("", "-")},
    "DeploymentSpec": {
        1: ("replicas", "int"),
        2: ("selector", "Selector"),
        3: ("template", "Template"),
        4: ("", "-"),
        5: ("minReadySeconds", "int"),
        7: ("paused", "bool"),
    },
    "Template": {1: ("metadata", "Meta"), 2: ("spec", "PodSpec")},
    "PodSpec": {
        2: ("containers", "*Container"),
        3: ("restartPolicy", "str"),
        4: ("terminationGracePeriodSeconds", "int"),
        6: ("dnsPolicy", "str"),
        7: ("nodeSelector", "map"),
        8: ("serviceAccountName", "str"),
        10: ("nodeName", "str"),
        14: ("", "-"),
    },
    "Container": {
        1: ("name", "str"),
        2: ("image", "str"),
        3: ("command", "*str"),
        4: ("args", "*str"),
        6: ("ports", "*Port"),
        8: ("", "-"),
    },
    "Port": {2: ("", "-"), 3: ("containerPort", "int"), 1: ("name", "str"), 4: ("protocol", "str"), 5: ("", "-")},
}


class Unreadable(ValueError):
    """Not protobuf, or with something in it that is not known here."""


def decoded(body: bytes) -> Obj:
    """The object in a body, with its kind. Raises Unreadable."""
    if not body.startswith(MAGIC):
        raise Unreadable("no Kubernetes protobuf")
    try:
        envelope = dict(_fields(body[len(MAGIC) :]))
        about = dict(_fields(bytes(envelope[1])))
        kind, version = bytes(about[2]).decode(), bytes(about[1]).decode()
        return {"kind": kind, "apiVersion": version, **_message(kind, bytes(envelope.get(2, b"")), 0)}
    except (KeyError, IndexError, TypeError, UnicodeDecodeError) as why:
        raise Unreadable(f"not a message that is known here: {why!r}") from why


def _message(kind: str, data: bytes, depth: int) -> Obj:
    if depth > DEPTH_MAX:
        raise Unreadable("nested too deeply")
    schema, found = MESSAGES[kind], dict[str, Any]()
    for number, raw in _fields(data):
        if number not in schema and not raw:
            continue
        if number not in schema:
            raise Unreadable(f"{kind} has a field {number} that is not read here")
        name, type_ = schema[number]
        if type_ in ("map", "bytes"):
            entry = dict(_fields(bytes(raw)))
            value = bytes(entry.get(2, b""))
            text = base64.b64encode(value) if type_ == "bytes" else value
            found.setdefault(name, {})[bytes(entry.get(1, b"")).decode()] = text.decode()
        elif type_.startswith("*"):
            found.setdefault(name, []).append(_value(type_[1:], raw, depth))
        elif type_ != "-":
            found[name] = _value(type_, raw, depth)
        elif not _empty(raw):
            raise Unreadable(f"{kind} has something in field {number} that is not read here")
    return {name: value for name, value in found.items() if value != ""}


def _empty(raw: int | bytes, depth: int = 0) -> bool:
    """Whether there is nothing in it, as deep as is looked."""
    if not raw or isinstance(raw, int) or depth > DEPTH_MAX:
        return not raw
    return all(_empty(inner, depth + 1) for _, inner in _fields(raw))


def _value(type_: str, raw: int | bytes, depth: int) -> Any:
    if isinstance(raw, int):
        signed = raw - (1 << 64) if raw >> 63 else raw
        return bool(raw) if type_ == "bool" else signed
    if type_ == "str":
        return raw.decode()
    value = _message(type_, raw, depth + 1)
    if type_ == "IntOrString":
        return value.get("str", "") if value.get("type") == 1 else value.get("int", 0)
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers with their numbers or bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        size, at = _varint(data, at) if wire == LENGTH else ({EIGHT: 8, FOUR: 4}[wire], at)
        if at + size > len(data):
            raise Unreadable("cut short")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if not byte & 128:
            return value, at
        if shift > 63:
            raise Unreadable("a number that is too long")
