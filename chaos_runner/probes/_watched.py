"""What the probe of a cluster watches, and what it comes to: figures from the objects of a mirror."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from chaos_runner.api import Env, Unknown

if TYPE_CHECKING:
    from chaos_runner.clients.kubernetes.mirror import Mirror


class Subject(NamedTuple):
    """Objects of one kind: where, and which."""

    kind: str
    namespace: str | None
    labels: str | None = None
    fields: str | None = None


class Kept:
    """What one probe remembers between two samples: its mirror, and counters at the first sample."""

    def __init__(self) -> None:
        self.mirror: Mirror[Any] | None = None
        self.told = anyio.Event()  # the cluster has been asked once
        self.trouble = ""
        self._first: dict[str, int] | None = None
        self._last: dict[str, int] = {}

    def grown(self, counts: dict[str, int]) -> int:
        """By how much counters have grown since the first call; those that are gone keep what they had."""
        if self._first is None:
            self._first = dict(counts)
        self._last |= counts
        return sum(max(0, count - self._first.get(uid, 0)) for uid, count in self._last.items())


def subject(named: str, text: str, selector: str) -> Subject:
    """What has to be watched for one field of the probe."""
    namespace, _, name = text.rpartition("/")
    by_name = f"metadata.name={name}"
    return {
        "deployment": Subject("Deployment", namespace, fields=by_name),
        "statefulset": Subject("StatefulSet", namespace, fields=by_name),
        "pods": Subject("Pod", text, labels=selector),
        "node": Subject("Node", None, fields=by_name),
        "nodes": Subject("Node", None, labels=text),
        "service": Subject("EndpointSlice", namespace, labels=f"kubernetes.io/service-name={name}"),
        "events": Subject("Event", text, fields="type=Warning"),
    }[named]


async def kept(env: Env, what: Subject) -> Kept:
    """The memory of a probe in these connections."""

    @contextlib.asynccontextmanager
    async def remember() -> AsyncIterator[Kept]:
        yield Kept()

    async def opener(_env: Env) -> contextlib.AbstractAsyncContextManager[Kept]:
        return remember()

    found: Kept = await env.opened(f"kubernetes watch {what}", opener)
    return found


async def mirror(env: Env, what: Subject) -> Mirror[Any]:
    """A mirror that has not begun yet. Raises Refused or Doubt where the cluster cannot be opened."""
    from chaos_runner.clients.kubernetes import environments, mirror, notes, objects, services, workloads

    kinds: dict[str, Any] = {
        "Deployment": workloads.Deployment,
        "StatefulSet": workloads.StatefulSet,
        "Pod": objects.Pod,
        "Node": objects.Node,
        "EndpointSlice": services.EndpointSlice,
        "Event": notes.Event,
    }
    cluster = await environments.open_client(env)
    kind = kinds[what.kind]
    return mirror.Mirror(cluster, kind, what.namespace, what.labels, what.fields, mirror.LASTS_S)


def values(sort: str, items: Sequence[Any], memory: Kept) -> dict[str, Any]:
    """The figures of one sample. Raises Unknown where there is nothing to have any."""
    return _FIGURES[sort](items, memory)


def _workload(items: Sequence[Any], _memory: Kept) -> dict[str, Any]:
    if not items:
        raise Unknown("it does not exist")
    one = items[0]
    spec, status, wanted = one.spec, one.status, one.wanted
    seen = status.observed_generation >= one.metadata.generation and not spec.paused
    done = seen and status.updated_replicas == status.ready_replicas == status.replicas == wanted
    counts = {"ready": status.ready_replicas, "wanted": wanted, "updated": status.updated_replicas}
    return counts | {"rolled_out": done}


def _pods(items: Sequence[Any], memory: Kept) -> dict[str, Any]:
    restarts = memory.grown({pod.metadata.uid: pod.restarts for pod in items})
    return {"ready": sum(pod.ready for pod in items), "pods": len(items), "restarts": restarts}


class _Conditions(dict[str, Any]):
    """Figures of nodes: a condition that none of them has holds for none."""

    def __missing__(self, name: str) -> int:
        if not name.startswith("condition."):
            raise KeyError(name)
        return 0


def _nodes(items: Sequence[Any], _memory: Kept) -> dict[str, Any]:
    if not items:
        raise Unknown("there is no such node")
    true = [[one.type for one in node.status.conditions or () if one.status == "True"] for node in items]
    free = sum("Ready" in held and not node.spec.unschedulable for node, held in zip(items, true, strict=True))
    ready = sum("Ready" in held for held in true)
    found = _Conditions(ready=ready, nodes=len(items), schedulable=free)
    for name in {name for held in true for name in held}:
        found[f"condition.{name}"] = sum(name in held for held in true)
    return found


def _endpoints(items: Sequence[Any], _memory: Kept) -> dict[str, Any]:
    if not items:
        raise Unknown("no endpoints of such a service are known")
    return {"endpoints": sum(one.ready for one in items)}


def _warnings(items: Sequence[Any], memory: Kept) -> dict[str, Any]:
    from chaos_runner.clients.kubernetes.notes import RUN_LABEL

    others = [one for one in items if one.type == "Warning" and RUN_LABEL not in (one.metadata.labels or {})]
    return {"warnings": memory.grown({one.metadata.uid: one.count or 1 for one in others})}


_FIGURES: dict[str, Callable[[Sequence[Any], Kept], dict[str, Any]]] = {
    "deployment": _workload,
    "statefulset": _workload,
    "pods": _pods,
    "node": _nodes,
    "service": _endpoints,
    "events": _warnings,
}
