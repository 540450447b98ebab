"""A node that is emptied as for maintenance: cordoned, and its pods evicted one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec
from msgspec import Meta

from chaos_runner.api import Bounds, Env, Refused
from chaos_runner.expect import Duration
from chaos_runner.faults import _cluster, _drained, _limits, _nodes, _workloads
from chaos_runner.faults._drained import Drained
from chaos_runner.faults.pod_evict import PodEvict
from chaos_runner.plan import Limit, Part

if TYPE_CHECKING:
    from chaos_runner.clients.kubernetes.objects import Node, Pod

NODES_MAX = 20  # whose pods are asked for one node at a time


class NodeDrain(_nodes.Cordons, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Cordons a node and evicts its pods, each a target of its own that counts in the blast radius; then uncordons it.

    What was evicted does not come back to the node by itself. Budgets are kept to: a plan that one of them would stop
    halfway is refused. A drain is graceful: the sudden loss of a node is not tested by it.
    """

    kind: ClassVar[str] = "node_drain"

    pods_in_total: Annotated[int, Meta(description="at most so many pods are evicted from one node", ge=1, le=200)]
    bare_pods: Annotated[
        _drained.BarePods, Meta(description="what to do where a pod is bare: refuse the drain, or leave the pod there")
    ] = "refuse"
    empty_dirs: Annotated[
        _drained.EmptyDirs, Meta(description="what to do where a pod has an emptyDir: refuse the drain, or lose it")
    ] = "refuse"
    grace: Annotated[
        Annotated[Duration, Meta(le=3600)] | None,
        Meta(description="the time the pods have to stop, in whole seconds; by default their own"),
    ] = None
    replaced_within: Annotated[
        Duration, Meta(description="how soon another pod must be Ready in the place of each", ge=1, le=3600)
    ] = 60.0

    def problems(self) -> object:
        """Mistakes that need more than one field to see."""
        return self._eviction().problems()

    def _eviction(self) -> PodEvict:
        return PodEvict(grace=self.grace, replaced_within=self.replaced_within)

    async def bounded(self, env: Env, selector: _nodes.NodeSelector, keep: Mapping[str, int]) -> Bounds:
        """The nodes that can be drained, each with the pods that would go."""
        found, limits = await _nodes.matching(env, selector)
        drained = {node.metadata.name: self._sorted(pods) for node, pods in await _pods_of(env, found)}
        able = [node for node in found if not self._forbidden(drained[node.metadata.name])]
        left = [f"node/{name}: {why}" for name, one in drained.items() if (why := self._forbidden(one))]
        if not able:
            raise Refused(left[0])
        goes = [pod for node in able for pod in drained[node.metadata.name].goes]
        return Bounds(
            tuple(map(_nodes.target, able)),
            (
                *limits,
                *(Limit(f"left out: {why}") for why in left),
                *(note for node in able for note in _notes(node, drained)),
                Limit(_drained.SUDDEN),
                *await _workloads.limits(env, goes, keep, asked=True),
            ),
            {_nodes.target(node).key: self._parts(drained[node.metadata.name].goes) for node in able},
        )

    def _sorted(self, pods: Sequence[Pod]) -> Drained:
        return _drained.sorted_out(pods, self.bare_pods, self.empty_dirs)

    def _forbidden(self, drained: Drained) -> str:
        if drained.forbids:
            more = f" and {len(drained.forbids) - 1} more" if len(drained.forbids) > 1 else ""
            return f"{drained.forbids[0]}{more}"
        count = len(drained.goes)
        return f"{count} pods would go, pods_in_total allows {self.pods_in_total}" if count > self.pods_in_total else ""

    def _parts(self, pods: Sequence[Pod]) -> tuple[Part, ...]:
        fault = self._eviction()
        params = msgspec.to_builtins(fault)
        return tuple(
            Part(fault.kind, fault.version, params, _limits.target(pod), fault.aspect(), fault.reversible)
            for pod in pods
        )


def _notes(node: Node, drained: Mapping[str, Drained]) -> list[Limit]:
    return list(_drained.notes(f"node/{node.metadata.name}", drained[node.metadata.name]))


async def _pods_of(env: Env, nodes: Sequence[Node]) -> list[tuple[Node, list[Pod]]]:
    """Every pod of these nodes."""
    from chaos_runner.clients.kubernetes import lists
    from chaos_runner.clients.kubernetes.objects import Pod as Kind

    cluster = await _cluster.server(env)
    here: dict[str, list[Pod]] = {node.metadata.name: [] for node in nodes}
    if len(nodes) > NODES_MAX:
        every = await lists.every(cluster, Kind, None, keep=lambda pod: pod.spec.node_name in here)
        for pod in every.items:
            here[pod.spec.node_name].append(pod)
    else:
        for name in here:
            here[name] += (await lists.every(cluster, Kind, None, fields=f"spec.nodeName={name}")).items
    return [(node, here[node.metadata.name]) for node in nodes]
