"""How something in the cluster is: workloads, pods, nodes, a service's endpoints, warnings; followed by a watch."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from chaos_runner.api import Doubt, Env, Metric, Reading, Refused, Unknown
from chaos_runner.clock import nursery
from chaos_runner.model import Where
from chaos_runner.probes import _watched
from chaos_runner.probes._watched import Kept, Subject

_ONE = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"
_NAME = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"
STALE_S = 8.0  # a watch that is well is heard at least every five
AGAIN_S = 2.0
FIRST_S = 5.0
_READY = Metric("ready", "gauge", "number", "how many are Ready")
_WORKLOAD = (
    _READY,
    Metric("wanted", "gauge", "number", "how many there should be"),
    Metric("updated", "gauge", "number", "how many are of the newest kind"),
    Metric("rolled_out", "gauge", "any", "whether all of them are Ready and of the newest kind; `rolled_out == true`"),
)
METRICS: Mapping[str, tuple[Metric, ...]] = {
    "deployment": _WORKLOAD,
    "statefulset": _WORKLOAD,
    "pods": (
        _READY,
        Metric("pods", "gauge", "number", "how many there are, those that are going included"),
        Metric("restarts", "gauge", "number", "how often containers were started again since the first sample"),
    ),
    "node": (
        _READY,
        Metric("nodes", "gauge", "number", "how many there are"),
        Metric("schedulable", "gauge", "number", "how many are Ready and not cordoned"),
        Metric("condition.", "gauge", "number", "of how many a condition holds, as in `condition.MemoryPressure == 0`"),
    ),
    "service": (Metric("endpoints", "gauge", "number", "how many ready places it sends to"),),
    "events": (Metric("warnings", "gauge", "number", "warnings since the first sample, other than our own"),),
}


class KubernetesProbe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Looks at one thing of the environment's cluster: exactly one of deployment, statefulset, pods, node(s), ..."""

    kind: ClassVar[str] = "kubernetes"

    deployment: Annotated[str, Meta(description="a Deployment, as NAMESPACE/NAME", pattern=_ONE)] = ""
    statefulset: Annotated[str, Meta(description="a StatefulSet, as NAMESPACE/NAME", pattern=_ONE)] = ""
    pods: Annotated[str, Meta(description="a namespace, with a `selector:`", pattern=_NAME)] = ""
    node: Annotated[str, Meta(description="the name of a node", pattern=_NAME)] = ""
    nodes: Annotated[str, Meta(description="a label selector of nodes", min_length=1, max_length=1000)] = ""
    service: Annotated[str, Meta(description="a Service, as NAMESPACE/NAME", pattern=_ONE)] = ""
    events: Annotated[str, Meta(description="a namespace, whose warnings are counted", pattern=_NAME)] = ""
    selector: Annotated[str, Meta(description="a label selector, with `pods:`", min_length=1, max_length=1000)] = ""

    def problems(self) -> Any:
        """Mistakes that need more than one field to see."""
        found: list[Where] = []
        if len(self._named()) != 1:
            found.append(((), f"name exactly one of {', '.join(_SUBJECTS)}"))
        elif bool(self.pods) != bool(self.selector):
            found.append((("selector",), "`pods:` and `selector:` belong together"))
        return found

    def _named(self) -> list[str]:
        return [name for name in _SUBJECTS if getattr(self, name)]

    def _sort(self) -> str:
        named = (self._named() or ["deployment"])[0]
        return "node" if named == "nodes" else named

    def metrics(self) -> tuple[Metric, ...]:
        """What a clause may name, of this sort of thing."""
        return METRICS[self._sort()]

    def reads(self, env: Env) -> str:
        """What it looks at. Raises Refused where the environment has no cluster."""
        if env.environment.cluster is None:
            raise Refused(f"environment '{env.name}' has no `cluster:`")
        named = self._named()[0]
        return f"{named}/{getattr(self, named)}" + (f" {self.selector}" if self.selector else "")

    def subject(self) -> Subject:
        """What is watched for it."""
        named = self._named()[0]
        return _watched.subject(named, getattr(self, named), self.selector)

    @contextlib.asynccontextmanager
    async def following(self, env: Env) -> AsyncIterator[None]:
        """Watches for as long as the block runs; the first list is waited for. Trouble is what `read` tells."""
        import anyio

        kept = await _watched.kept(env, self.subject())
        async with nursery() as group:
            group.start_soon(self._follow, env, kept)
            with anyio.move_on_after(FIRST_S):
                await kept.told.wait()
            try:
                yield
            finally:
                kept.mirror = None
                group.cancel_scope.cancel()

    async def _follow(self, env: Env, kept: Kept) -> None:
        import anyio

        while True:
            try:
                kept.mirror = await _watched.mirror(env, self.subject())
                with contextlib.suppress(Refused, Doubt):  # which `follow` meets again, and tries again
                    await kept.mirror.begin()
                kept.told.set()
                await kept.mirror.follow()
            except (Refused, Doubt) as why:
                kept.trouble = str(why)
                kept.told.set()
            await anyio.sleep(AGAIN_S)

    async def read(self, env: Env) -> Reading:
        """What the watch has told so far. Raises Unknown where it has told nothing lately."""
        import anyio

        kept = await _watched.kept(env, self.subject())
        mirror = kept.mirror
        if mirror is None or not mirror.lists:
            raise Unknown(kept.trouble or (mirror.trouble if mirror else "") or "nothing was heard of it yet")
        silent_s = anyio.current_time() - mirror.heard_at
        if silent_s > STALE_S:
            raise Unknown(f"nothing was heard from the cluster for {silent_s:.0f} s; {mirror.trouble}".rstrip("; "))
        return Reading(_watched.values(self._sort(), tuple(mirror.items.values()), kept))


_SUBJECTS = ("deployment", "statefulset", "pods", "node", "nodes", "service", "events")
