"""What keeps pods: workloads by the names that `keep_available` uses, their pods, and who else limits these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from chaos_runner import spelling
from chaos_runner.api import Env, Refused
from chaos_runner.faults import _cluster, _labels, _limits
from chaos_runner.plan import Limit
from chaos_runner.records import Target

if TYPE_CHECKING:
    from chaos_runner.clients.kubernetes.connection import Cluster
    from chaos_runner.clients.kubernetes.objects import Pod
    from chaos_runner.clients.kubernetes.workloads import Workload


def kinds() -> dict[str, type[Workload]]:
    """The kinds of workloads, by the word that names one in a file."""
    from chaos_runner.clients.kubernetes import workloads

    return {
        "deployment": workloads.Deployment,
        "statefulset": workloads.StatefulSet,
        "replicaset": workloads.ReplicaSet,
    }


def parsed(name: str) -> tuple[type[Workload], str, str]:
    """Kind, namespace and name of `deployment/shop/payments`. Raises Refused."""
    kind, _, rest = name.partition("/")
    namespace, _, own = rest.partition("/")
    known = kinds()
    if kind not in known:
        raise Refused(f"'{name}' is no name such as deployment/shop/payments: {spelling.hint(kind, known)}")
    if not namespace or not own or "/" in own:
        raise Refused(f"'{name}' is no name such as {kind}/shop/payments")
    return known[kind], namespace, own


async def named(env: Env, name: str) -> Workload:
    """The workload as it is now. Raises Refused where there is none."""
    from chaos_runner.clients.kubernetes import lists, refusals

    kind, namespace, own = parsed(name)
    try:
        return await lists.get(await _cluster.server(env), kind, namespace, own)
    except refusals.NotFound:
        raise Refused(f"there is no {name}") from None


async def pods_of(env: Env, workload: Workload) -> list[Pod]:
    """Every pod that it keeps now, itself or through ReplicaSets of its own."""
    from chaos_runner.clients.kubernetes import lists
    from chaos_runner.clients.kubernetes.objects import Pod
    from chaos_runner.clients.kubernetes.workloads import Deployment, ReplicaSet

    cluster, labels = await _cluster.server(env), _labels.written(workload.spec.selector) or None
    namespace, controllers = workload.metadata.namespace, set[str]()
    if isinstance(workload, Deployment):
        sets = await lists.every(cluster, ReplicaSet, namespace, labels=labels)
        owned = (one.metadata for one in sets.items)
        controllers = {
            meta.uid for meta in owned if any(o.uid == workload.metadata.uid for o in meta.owner_references or ())
        }
    found = await lists.every(cluster, Pod, namespace, labels=labels)
    return _limits.members(found.items, workload, controllers)


async def limits(env: Env, pods: Sequence[Pod], keep: Mapping[str, int], *, asked: bool) -> tuple[Limit, ...]:
    """Everything that limits how many of these pods may go together; evictions are `asked` to keep to budgets."""
    cluster = await _cluster.server(env)
    found: list[Limit] = []
    for namespace in sorted({pod.metadata.namespace for pod in pods}):
        here = [pod for pod in pods if pod.metadata.namespace == namespace]
        found += await _here(cluster, namespace, here, asked=asked)
    for name, least in keep.items():
        found.append(_limits.kept(name, least, await pods_of(env, await named(env, name))))
    return tuple(found)


async def _here(cluster: Cluster, namespace: str, pods: Sequence[Pod], *, asked: bool) -> list[Limit]:
    from chaos_runner.clients.kubernetes import lists
    from chaos_runner.clients.kubernetes.workloads import DisruptionBudget, StatefulSet

    found: list[Limit] = []
    if any(pod.controller is not None and pod.controller.kind == "StatefulSet" for pod in pods):
        sets = (await lists.every(cluster, StatefulSet, namespace)).items
        ready = {one.metadata.uid: one.status.ready_replicas for one in sets}
        found += _limits.quorums(pods, {one.metadata.uid: one for one in sets}, ready)
    all_budgets = (await lists.every(cluster, DisruptionBudget, namespace)).items
    return found + list(_limits.budgets(pods, all_budgets, asked=asked))


async def no_room(env: Env, pod: Pod, keep: Mapping[str, int]) -> str:
    """Why this pod must stay now: a quorum, or what must stay available; read from the pods, not from a status."""
    names = {name: least for name, least in keep.items() if parsed(name)[1] == pod.metadata.namespace}
    owner, quorum = pod.controller, ""
    if owner is not None and owner.kind == "StatefulSet":
        quorum = f"statefulset/{pod.metadata.namespace}/{owner.name}"
    for name in dict.fromkeys([*names, *([quorum] if quorum else [])]):
        workload = await named(env, name)
        own = await pods_of(env, workload)
        for limit in _now(name, workload, own, names.get(name), quorum=name == quorum):
            if limit.most is not None and limit.most < 1 and _limits.target(pod).key in limit.keys:
                return limit.why
    return ""


def _now(name: str, workload: Workload, own: Sequence[Pod], least: int | None, *, quorum: bool) -> list[Limit]:
    from chaos_runner.clients.kubernetes.workloads import StatefulSet

    found = [] if least is None else [_limits.kept(name, least, own)]
    if quorum and isinstance(workload, StatefulSet):
        uid = workload.metadata.uid
        ready = Counter(pod.controller.uid for pod in own if pod.controller is not None and pod.ready)
        found += _limits.quorums(own, {uid: workload}, ready)
    return found


def workload_target(name: str, workload: Workload) -> Target:
    """The workload as a target."""
    return Target(key=name, uid=workload.metadata.uid)
