"""What is served, told the way clients ask: versions, groups, resources. Pure."""

from __future__ import annotations

from typing import Any

from chaos_runner.pocket.cluster import kinds
from chaos_runner.pocket.cluster.kinds import Kind

VERSION = {
    "major": "1",
    "minor": "34",
    "gitVersion": "v1.34.0+pocket",
    "gitCommit": "",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "chaos-runner pocket",
    "platform": "linux/pocket",
}


def document(path: str) -> dict[str, Any] | None:
    """The document at a path; None where there is none."""
    steps = path.strip("/").split("/")
    if steps == ["version"]:
        return VERSION
    if steps == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if steps == ["apis"]:
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in kinds.GROUPS]}
    if steps == ["api", "v1"]:
        return _resources("", "v1")
    if steps[0] == "apis" and len(steps) == 2 and steps[1] in kinds.GROUPS:
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(steps[1])}
    if steps[0] == "apis" and len(steps) == 3 and (steps[1], steps[2]) in _served():
        return _resources(steps[1], steps[2])
    return None


def _served() -> set[tuple[str, str]]:
    return {(kind.group, kind.version) for kind in kinds.KINDS if kind.group}


def _group(name: str) -> dict[str, Any]:
    version = kinds.version_of(name)
    served = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [served], "preferredVersion": served}


def _resources(group: str, version: str) -> dict[str, Any]:
    resources = [row for kind in kinds.of_group(group) for row in (_resource(kind), *_subresources(kind))]
    place = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": place, "resources": resources}


def _resource(kind: Kind) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.name,
        "verbs": list(kind.verbs),
    }
    row |= {"shortNames": list(kind.short)} if kind.short else {}
    return row | ({"categories": list(kind.categories)} if kind.categories else {})


def _subresources(kind: Kind) -> list[dict[str, Any]]:
    return [
        {
            "name": f"{kind.plural}/{sub.name}",
            "singularName": "",
            "namespaced": kind.namespaced,
            **({"group": sub.group, "version": sub.version} if sub.kind else {}),
            "kind": sub.kind or kind.name,
            "verbs": list(sub.verbs),
        }
        for sub in kind.subs
    ]
