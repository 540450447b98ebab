"""What the faults of nodes share: which nodes, and the cordon that each of them begins with."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from msgspec import Meta

from chaos_runner import spelling
from chaos_runner.api import Bounds, Env, Present, Proof, Refused, Undo
from chaos_runner.faults import _cluster, _fields, _labels, _workloads
from chaos_runner.model import Pick, Value, Where
from chaos_runner.plan import Limit
from chaos_runner.records import Target

if TYPE_CHECKING:
    from chaos_runner.clients.kubernetes.objects import Node
    from chaos_runner.faults._owned import Owned, Setting

_NAME = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"


class NodeSelector(Value, frozen=True, kw_only=True):
    """One node by its name, or some of those that a label selector matches."""

    node: Annotated[str, Meta(description="the name of one node", pattern=_NAME, max_length=253)] = ""
    nodes: Annotated[str, Meta(description="a label selector, such as zone=a", min_length=1, max_length=1000)] = ""
    pick: Annotated[Pick, Meta(description="how many of the matching ones: a number, or a share such as 25%")] = Pick(
        number=1
    )

    @property
    def named(self) -> bool:
        """Whether it is one node by its name, of which there is no share to take."""
        return bool(self.node)

    def problems(self) -> Any:
        """Mistakes that need more than one field to see."""
        if bool(self.node) == bool(self.nodes):
            found: Where = ((), "name one node with `node:`, or several with a label selector in `nodes:`")
            yield found
        if why := _labels.problem(self.nodes) if self.nodes else "":
            yield ("nodes",), why


class Cordons(_fields.FieldChange, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fault that keeps new pods off a node."""

    selector: ClassVar[Any] = NodeSelector
    place: ClassVar[str] = "unschedulable"

    @classmethod
    def type_of(cls, target: Target) -> type[Owned]:
        """A node."""
        return cls.types()["node"]

    @classmethod
    def types(cls) -> dict[str, type[Owned]]:
        """Nodes."""
        from chaos_runner.faults._owned import OwnedNode

        return {"node": OwnedNode}

    def now(self) -> Setting:
        """Cordoned."""
        return True

    def told(self, undo: Undo) -> str:
        """Who did it, until when, and how to keep it so."""
        until = dt.datetime.fromtimestamp(int(undo.mark.rpartition(".")[2]), dt.UTC)
        return (
            f"chaos-runner run {undo.run} has cordoned this node, until {until:%Y-%m-%d %H:%M:%S} UTC at the latest;"
            f" to keep it cordoned, remove the annotation {_cluster.KEY}/{self.place}"
        )

    async def targets(self, env: Env, selector: NodeSelector) -> tuple[Target, ...]:
        """The nodes that match, are Ready and take pods, by name."""
        found, _ = await matching(env, selector)
        return tuple(map(target, found))

    async def bounded(self, env: Env, selector: NodeSelector, keep: Mapping[str, int]) -> Bounds:
        """The same; at least one node of the cluster must go on taking pods."""
        found, limits = await matching(env, selector)
        for name in keep:
            await _workloads.named(env, name)
        return Bounds(tuple(map(target, found)), limits)

    async def no_room(self, env: Env, target: Target, keep: Mapping[str, int]) -> str:
        """Why no further node may be cordoned: no other one takes pods."""
        return "" if any(one.metadata.uid != target.uid for one in await taking(env)) else f"{target.key}: {_LAST}"

    async def before(self, env: Env, undo: Undo) -> dict[str, float]:
        """Nothing to compare with."""
        return {}

    async def effect(self, env: Env, undo: Undo, before: dict[str, float]) -> Proof | None:
        """The API server says that the node takes no new pods."""
        if not isinstance(await self.observe(env, undo), Present):
            return None
        return Proof(how="exchange", evidence=f"{undo.target.key} is unschedulable: it takes no new pods")


_LAST = "no other node would take pods"


def target(node: Node) -> Target:
    """The node as a target."""
    return Target(key=f"node/{node.metadata.name}", uid=node.metadata.uid)


async def matching(env: Env, selector: NodeSelector) -> tuple[list[Node], tuple[Limit, ...]]:
    """The nodes that may be taken, by name, and what limits them. Raises Refused where none may."""
    fit = await taking(env)
    every = await _labelled(env, selector.nodes) if selector.nodes else [await _by_name(env, selector.node)]
    uids = {one.metadata.uid for one in every}
    found = [one for one in fit if one.metadata.uid in uids]
    left = len(every) - len(found)
    if every and not found:
        raise Refused(f"{selector.node or selector.nodes}: {left} of {left} not Ready, or cordoned already")
    limit = Limit(
        f"at most {len(fit) - 1} of the {len(fit)} nodes that take pods at once: one has to stay",
        tuple(target(one).key for one in found),
        len(fit) - 1,
    )
    out = Limit(f"{left} that {'matches' if left == 1 else 'match'} left out: not Ready, or cordoned already")
    return found, (limit, out) if left else (limit,)


async def taking(env: Env) -> list[Node]:
    """Every node of the cluster that is Ready and takes pods, by name."""
    from chaos_runner.clients.kubernetes import lists
    from chaos_runner.clients.kubernetes.objects import Node, holds

    def takes(node: Node) -> bool:
        return holds(node.status.conditions, "Ready") and not node.spec.unschedulable

    return list((await lists.every(await _cluster.server(env), Node, None, keep=takes)).items)


async def _labelled(env: Env, labels: str) -> list[Node]:
    from chaos_runner.clients.kubernetes import lists
    from chaos_runner.clients.kubernetes.objects import Node

    return list((await lists.every(await _cluster.server(env), Node, None, labels=labels)).items)


async def _by_name(env: Env, name: str) -> Node:
    from chaos_runner.clients.kubernetes import lists, refusals
    from chaos_runner.clients.kubernetes.objects import Node

    cluster = await _cluster.server(env)
    try:
        return await lists.get(cluster, Node, None, name)
    except refusals.NotFound:
        known = [one.metadata.name for one in (await lists.every(cluster, Node, None)).items]
        raise Refused(f"there is no node '{name}'; {spelling.hint(name, known)}") from None
