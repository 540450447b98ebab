"""What the faults of pods share: which pods, that it is still this very one, what took its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from chaos_runner.api import Absent, Bounds, Env, Observation, Present, Proof, Refused, Rights, Undo, Unreadable
from chaos_runner.expect import Duration
from chaos_runner.faults import _cluster, _labels, _limits, _workloads
from chaos_runner.faults._cluster import Ask
from chaos_runner.model import Pick, Value, Where
from chaos_runner.records import Target

if TYPE_CHECKING:
    from chaos_runner.clients.kubernetes.objects import Pod, Reference

_NAME = r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?"
_SPACE = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"


class PodSelector(Value, frozen=True, kw_only=True):
    """Some of the pods of a namespace that a label selector matches, or one pod by its name."""

    pods: Annotated[str, Meta(description="a namespace", pattern=f"^{_SPACE}$", max_length=63)] = ""
    selector: Annotated[
        str, Meta(description="a label selector, such as app=payments; with `pods:`", min_length=1, max_length=1000)
    ] = ""
    pod: Annotated[
        str, Meta(description="one pod, as NAMESPACE/NAME", pattern=f"^{_SPACE}/{_NAME}$", max_length=317)
    ] = ""
    pick: Annotated[Pick, Meta(description="how many of the matching ones: a number, or a share such as 25%")] = Pick(
        number=1
    )

    @property
    def named(self) -> bool:
        """Whether it is one pod by its name, of which there is no share to take."""
        return bool(self.pod)

    def problems(self) -> Any:
        """Mistakes that need more than one field to see."""
        found: list[Where] = []
        if bool(self.pod) == bool(self.pods):
            found.append(((), "name a namespace with `pods:` and a `selector:`, or one pod with `pod: NAMESPACE/NAME`"))
        elif self.pods and not self.selector:
            found.append((("pods",), "`pods:` needs a `selector:`; without one it would mean every pod"))
        elif self.pod and self.selector:
            found.append((("selector",), "one pod by its name needs no selector"))
        if why := _labels.problem(self.selector) if self.selector else "":
            found.append((("selector",), why))
        return found


class Lost(msgspec.Struct, frozen=True):
    """A pod before it goes, and how to know what takes its place: among its owner's pods, the ones not seen here.

    Creation times have whole seconds: of the newest second every uid is kept, so that a rollout just now is told
    from a replacement.
    """

    owner_kind: str
    owner_name: str
    owner_uid: str
    owner_api: str = ""
    labels: str = ""
    ready: int = 1
    newest: str = ""
    at_newest: tuple[str, ...] = ()


class PodLoss(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A pod that goes for good; a kind says how, in `inject`. What owns it has to make another one."""

    kind: ClassVar[str] = ""
    version: ClassVar[int] = 1
    reversible: ClassVar[bool] = False
    selector: ClassVar[Any] = PodSelector
    asks_budgets: ClassVar[bool] = False

    grace: Annotated[
        Annotated[Duration, Meta(le=3600)] | None,
        Meta(description="the time to stop in, in whole seconds; by default the pod's own. 0s leaves no time"),
    ] = None
    replaced_within: Annotated[
        Duration, Meta(description="how soon another pod must be Ready in its place", ge=1, le=3600)
    ] = 60.0

    def problems(self) -> Any:
        """Mistakes that need more than one field to see."""
        if self.grace is not None and self.grace != int(self.grace):
            found: Where = (("grace",), "Kubernetes counts the time to stop in whole seconds")
            yield found

    @property
    def grace_s(self) -> int | None:
        """As the API takes it."""
        return None if self.grace is None else int(self.grace)

    def aspect(self) -> str:
        """The place on a pod that this occupies."""
        return "running"

    def harm(self, namespace: str) -> tuple[Ask, ...]:
        """What it must be allowed to do."""
        raise NotImplementedError

    async def targets(self, env: Env, selector: PodSelector) -> tuple[Target, ...]:
        """The Running and Ready pods that match and that something would replace, by name."""
        pods, _ = await matching(env, selector)
        return tuple(_limits.target(pod) for pod in pods)

    async def bounded(self, env: Env, selector: PodSelector, keep: Mapping[str, int]) -> Bounds:
        """The same, with what limits how many of them may go together."""
        pods, counted = await matching(env, selector)
        limits = await _workloads.limits(env, pods, keep, asked=self.asks_budgets)
        return Bounds(tuple(map(_limits.target, pods)), (*_limits.left_out(counted), *limits))

    async def no_room(self, env: Env, target: Target, keep: Mapping[str, int]) -> str:
        """Why this pod must stay now."""
        return await _workloads.no_room(env, await current(env, target), keep)

    async def rights(self, env: Env, target: Target) -> Rights:
        """Whether we may do it, announce it, and see what comes of it. There is nothing to undo."""
        from chaos_runner.clients.kubernetes import notes, objects, workloads

        namespace, name = names(target)
        return await _cluster.rights(
            env,
            [
                *(ask._replace(name=name) for ask in self.harm(namespace)),
                Ask("create", notes.Event.at, namespace),
                Ask("get", objects.Pod.at, namespace),
                Ask("list", objects.Pod.at, namespace),
                Ask("get", workloads.ReplicaSet.at, namespace),
                Ask("get", workloads.StatefulSet.at, namespace),  # whether it has room is asked right before the harm
            ],
        )

    async def prepare(self, env: Env, target: Target, mark: str) -> Undo:
        """Who owns the pod, and which pods that owner has now. Raises Refused where it is not as it was planned."""
        pod = await current(env, target)
        if why := _limits.unfit(pod):
            raise Refused(f"{target.key} is left alone: {why}")
        return Undo(
            kind=self.kind,
            version=self.version,
            mark=mark,
            target=target,
            params=msgspec.to_builtins(self),
            before=msgspec.to_builtins(await _lost(env, pod)),
        )

    async def observe(self, env: Env, undo: Undo) -> Observation:
        """Present once it is gone, or going: that is the harm."""
        from chaos_runner.api import Doubt
        from chaos_runner.clients.kubernetes import refusals

        try:
            pod = await read(env, undo.target)
        except refusals.NotFound:
            return Present("it is gone")
        except (Refused, Doubt) as why:
            return Unreadable(str(why))
        if pod.metadata.uid != undo.target.uid:
            return Present("it is gone; another one has its name")
        return Present(f"it is going since {pod.metadata.deletion_timestamp}") if pod.terminating else Absent()

    async def revert(self, env: Env, undo: Undo) -> None:
        """Nothing: what is gone is replaced by its owner, not by us."""

    async def before(self, env: Env, undo: Undo) -> dict[str, float]:
        """How many pods of its owner were ready."""
        return {"ready": float(msgspec.convert(undo.before, Lost).ready)}

    async def effect(self, env: Env, undo: Undo, before: dict[str, float]) -> Proof | None:
        """The API server knows this very pod no more, or as one that is going."""
        seen = await self.observe(env, undo)
        if not isinstance(seen, Present):
            return None
        return Proof(how="exchange", evidence=f"{undo.target.key} (uid {undo.target.uid}): {seen.why}")

    async def replaced(self, env: Env, undo: Undo) -> str:
        """The pod that took its place and is Ready, once its owner has as many ready ones as before."""
        lost = msgspec.convert(undo.before, Lost)
        if lost.owner_kind == "StatefulSet":
            return await _same_name(env, undo)
        own = await _siblings(env, names(undo.target)[0], lost.owner_uid, lost.labels)
        ready = [pod for pod in own if pod.ready]
        new = [pod for pod in ready if _is_new(pod, lost)]
        return _limits.target(new[0]).key if new and len(ready) >= lost.ready else ""

    @classmethod
    def endpoint(cls, env: Env) -> str:
        """The environment's cluster."""
        return _cluster.endpoint(env)

    @classmethod
    async def reach(cls, env: Env) -> None:
        """One read as this user."""
        await _cluster.reach(env)


def names(target: Target) -> tuple[str, str]:
    """Namespace and name."""
    _, namespace, name = target.key.split("/")
    return namespace, name


async def read(env: Env, target: Target) -> Pod:
    """The pod that has the name now. Raises NotFound."""
    from chaos_runner.clients.kubernetes import lists
    from chaos_runner.clients.kubernetes.objects import Pod

    return await lists.get(await _cluster.server(env), Pod, *names(target))


async def current(env: Env, planned: Target) -> Pod:
    """The pod as it is now. Raises Refused where it is gone, or is not the one that was planned."""
    from chaos_runner.clients.kubernetes import refusals

    try:
        pod = await read(env, planned)
    except refusals.NotFound:
        raise Refused(f"{planned.key} is gone") from None
    if pod.metadata.uid != planned.uid:
        raise Refused(f"{planned.key} is not the one that was planned: it was made anew (uid {pod.metadata.uid})")
    return pod


async def matching(env: Env, selector: PodSelector) -> tuple[list[Pod], Counter[str]]:
    """The pods that may be taken, by name, and why others that match may not. Raises Refused where none may."""
    counted: Counter[str] = Counter()
    if selector.pod:
        pod = await _by_name(env, selector.pod)
        if why := _limits.unfit(pod):
            raise Refused(f"pod/{selector.pod} is left alone: {why}")
        return [pod], counted

    def fit(pod: Pod) -> bool:
        if why := _limits.unfit(pod):
            counted[why] += 1
        return not why

    from chaos_runner.clients.kubernetes import lists
    from chaos_runner.clients.kubernetes.objects import Pod as Kind

    cluster = await _cluster.server(env)
    found = await lists.every(cluster, Kind, selector.pods, labels=selector.selector, keep=fit)
    if found.seen and not found.items:
        why = ", ".join(f"{count} {word}" for word, count in sorted(counted.items()))
        raise Refused(f"{found.seen} pods match {selector.selector} in {selector.pods}, and none may be taken: {why}")
    return list(found.items), counted


async def _by_name(env: Env, name: str) -> Pod:
    from chaos_runner.clients.kubernetes import refusals

    try:
        return await read(env, Target(key=f"pod/{name}"))
    except refusals.NotFound:
        raise Refused(f"there is no pod/{name}") from None


async def _lost(env: Env, pod: Pod) -> Lost:
    owner, namespace = pod.controller, pod.metadata.namespace
    if owner is None:
        raise Refused(f"pod/{namespace}/{pod.metadata.name} is left alone: nothing would make another one")
    lost = Lost(owner_kind=owner.kind, owner_name=owner.name, owner_uid=owner.uid, owner_api=owner.api_version)
    if owner.kind == "StatefulSet":
        return lost
    labels = await _labels_of(env, namespace, lost)
    own = await _siblings(env, namespace, owner.uid, labels)
    newest = max((one.metadata.creation_timestamp or "" for one in own), default="")
    return msgspec.structs.replace(
        lost,
        labels=labels,
        ready=sum(one.ready for one in own),
        newest=newest,
        at_newest=tuple(one.metadata.uid for one in own if (one.metadata.creation_timestamp or "") == newest),
    )


async def _labels_of(env: Env, namespace: str, lost: Lost) -> str:
    """What finds the owner's pods; of an owner that we know nothing of, its whole namespace is looked through."""
    from chaos_runner.clients.kubernetes import lists
    from chaos_runner.clients.kubernetes.workloads import ReplicaSet

    if lost.owner_kind != "ReplicaSet":
        return ""
    found = await lists.get(await _cluster.server(env), ReplicaSet, namespace, lost.owner_name)
    return _labels.written(found.spec.selector)


async def _siblings(env: Env, namespace: str, owner_uid: str, labels: str) -> tuple[Pod, ...]:
    from chaos_runner.clients.kubernetes import lists
    from chaos_runner.clients.kubernetes.objects import Pod

    def owned(pod: Pod) -> bool:
        return pod.controller is not None and pod.controller.uid == owner_uid

    cluster = await _cluster.server(env)
    return (await lists.every(cluster, Pod, namespace, labels=labels or None, keep=owned)).items


async def _same_name(env: Env, undo: Undo) -> str:
    from chaos_runner.clients.kubernetes import refusals

    try:
        pod = await read(env, undo.target)
    except refusals.NotFound:
        return ""
    return f"{undo.target.key} (uid {pod.metadata.uid})" if pod.ready and pod.metadata.uid != undo.target.uid else ""


def _is_new(pod: Pod, lost: Lost) -> bool:
    made = pod.metadata.creation_timestamp or ""
    return made > lost.newest or (made == lost.newest and pod.metadata.uid not in lost.at_newest)


def owner(undo: Undo) -> Reference:
    """Whom an event about the pod is told to: the pod itself is gone soon."""
    from chaos_runner.clients.kubernetes.objects import Reference

    lost = msgspec.convert(undo.before, Lost)
    return Reference(
        kind=lost.owner_kind,
        name=lost.owner_name,
        namespace=names(undo.target)[0],
        uid=lost.owner_uid,
        api_version=lost.owner_api,
    )
