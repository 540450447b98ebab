"""Changes objects, one request each, bound to the very object that was read. Network.

Whatever could be about another object of the same name carries the uid. What is only tried (`dry_run`) is said in the
body: in the query it is ignored as soon as there is a body.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from chaos_runner.api import Refused
from chaos_runner.clients.kubernetes import answers, paths
from chaos_runner.clients.kubernetes.connection import CALL_S, Cluster
from chaos_runner.clients.kubernetes.lists import Object, place
from chaos_runner.clients.kubernetes.objects import Pod
from chaos_runner.clients.kubernetes.workloads import Scale

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
T = TypeVar("T", bound=Object)
_Json = dict[str, Any]


async def delete(
    cluster: Cluster,
    kind: type[T],
    namespace: str | None,
    name: str,
    *,
    uid: str,
    resource_version: str = "",
    grace_s: int | None = None,
    dry_run: bool = False,
    limit_s: float = CALL_S,
) -> None:
    """Deletes this very object. Raises NotFound, or Conflict where the name belongs to another one now."""
    body = {"apiVersion": "v1", "kind": "DeleteOptions"} | _options(uid, resource_version, grace_s, dry_run)
    await cluster.call("DELETE", paths.single(place(kind), namespace, name), _encoded(body), limit_s=limit_s)


async def evict(
    cluster: Cluster,
    namespace: str,
    name: str,
    *,
    uid: str,
    resource_version: str = "",
    grace_s: int | None = None,
    dry_run: bool = False,
    limit_s: float = CALL_S,
) -> None:
    """Asks for this very pod to go, as its budgets allow. Raises Budget, TwoBudgets, NotFound or Conflict.

    A wrong uid still burns the budget for two minutes: read the pod right before.
    """
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
        "deleteOptions": _options(uid, resource_version, grace_s, dry_run),
    }
    path = paths.single(Pod.at, namespace, name, "eviction")
    await cluster.call("POST", path, _encoded(body), limit_s=limit_s)


async def merge(
    cluster: Cluster,
    kind: type[T],
    namespace: str | None,
    name: str,
    patch: _Json,
    *,
    uid: str,
    resource_version: str,
    limit_s: float = CALL_S,
) -> T:
    """Sets these fields (None removes one), if nobody has changed the object since it was read. Raises Conflict."""
    path = paths.single(place(kind), namespace, name)
    body = _bound(patch, uid, resource_version)
    answer = await cluster.call("PATCH", path, _encoded(body), content_type=MERGE, limit_s=limit_s)
    return answers.read(kind, answer, f"PATCH {path}")


async def edit(
    cluster: Cluster,
    kind: type[T],
    namespace: str | None,
    name: str,
    operations: Sequence[_Json],
    *,
    uid: str,
    limit_s: float = CALL_S,
) -> T:
    """Applies a JSON patch, whole or not at all, to this very object. Raises Unmatched where a `test` in it fails."""
    if not uid:
        raise Refused("nothing is changed without the uid of what was read")
    tests = [{"op": "test", "path": "/metadata/uid", "value": uid}, *operations]
    path = paths.single(place(kind), namespace, name)
    answer = await cluster.call("PATCH", path, msgspec.json.encode(tests), content_type=JSON_PATCH, limit_s=limit_s)
    return answers.read(kind, answer, f"PATCH {path}")


async def scale_of(cluster: Cluster, kind: type[T], namespace: str, name: str, *, limit_s: float = CALL_S) -> Scale:
    """How many there should be, and are. Raises NotFound."""
    path = paths.single(place(kind), namespace, name, "scale")
    return answers.read(Scale, await cluster.call("GET", path, limit_s=limit_s), f"GET {path}")


async def scale(
    cluster: Cluster,
    kind: type[T],
    namespace: str,
    name: str,
    replicas: int,
    *,
    uid: str,
    resource_version: str,
    limit_s: float = CALL_S,
) -> Scale:
    """Sets how many there should be, if nobody has changed the object since it was read. Raises Conflict."""
    if replicas < 0:
        raise Refused(f"{name} cannot have {replicas} replicas")
    path = paths.single(place(kind), namespace, name, "scale")
    body = _bound({"spec": {"replicas": replicas}}, uid, resource_version)
    answer = await cluster.call("PATCH", path, _encoded(body), content_type=MERGE, limit_s=limit_s)
    return answers.read(Scale, answer, f"PATCH {path}")


def _options(uid: str, resource_version: str, grace_s: int | None, dry_run: bool) -> _Json:
    if not uid:
        raise Refused("nothing is deleted without the uid of what was read")
    options: _Json = {"preconditions": {"uid": uid}}
    if resource_version:
        options["preconditions"]["resourceVersion"] = resource_version
    if grace_s is not None:
        options["gracePeriodSeconds"] = grace_s
    return options | ({"dryRun": ["All"]} if dry_run else {})


def _bound(patch: _Json, uid: str, resource_version: str) -> _Json:
    if not uid or not resource_version:
        raise Refused("nothing is changed without the uid and resourceVersion of what was read")
    named = {"uid": uid, "resourceVersion": resource_version}
    return {**patch, "metadata": {**patch.get("metadata", {}), **named}}


def _encoded(body: _Json) -> bytes:
    return msgspec.json.encode(body)
