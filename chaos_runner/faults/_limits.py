"""How many pods may go together: quorums, budgets, what must stay available, and what a plan says of them. No IO."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from chaos_runner.faults import _labels
from chaos_runner.plan import Limit
from chaos_runner.records import Target

if TYPE_CHECKING:
    from chaos_runner.clients.kubernetes.objects import Pod
    from chaos_runner.clients.kubernetes.workloads import DisruptionBudget, StatefulSet, Workload


def target(pod: Pod) -> Target:
    """The pod as a target; its uid tells it from the next one under its name."""
    return Target(key=f"pod/{pod.metadata.namespace}/{pod.metadata.name}", uid=pod.metadata.uid)


def unfit(pod: Pod) -> str:
    """Why a pod is left out, in a word or two; empty for one that may be taken."""
    if pod.terminating:
        return "terminating already"
    if not pod.ready:
        return "not Running and Ready"
    owner = pod.controller
    if owner is None:
        return "bare: nothing would make another one"
    if owner.kind == "Node":
        return "static: its node keeps it, not the API"
    return ""


def left_out(counted: Mapping[str, int]) -> Iterator[Limit]:
    """What a plan says of the pods that match and were not considered."""
    for why, count in sorted(counted.items()):
        yield Limit(f"{count} that {'matches' if count == 1 else 'match'} left out: {why}")


def minority(replicas: int) -> int:
    """How many members a quorum of so many can lose."""
    return max(0, (replicas - 1) // 2)


def quorums(pods: Sequence[Pod], sets: Mapping[str, StatefulSet], ready: Mapping[str, int]) -> Iterator[Limit]:
    """One for each StatefulSet: a majority of what it should have stays. `sets` and `ready` go by uid."""
    for uid, own in _by_owner(pods, "StatefulSet").items():
        one = sets.get(uid)
        name = f"statefulset/{own[0].metadata.namespace}/{own[0].controller.name if own[0].controller else ''}"
        if one is None:
            yield Limit(f"{name} is gone: nothing would replace its pods", _keys(own), 0)
            continue
        missing = max(0, one.wanted - ready.get(uid, 0))
        most = max(0, minority(one.wanted) - missing)
        gone = f", {missing} of which {'is' if missing == 1 else 'are'} missing now" if missing else ""
        said = f"{name}: at most {most} at once, so that a majority of its {one.wanted} pods stays{gone}"
        yield Limit(said, _keys(own), most)


def budgets(pods: Sequence[Pod], all_budgets: Iterable[DisruptionBudget], *, asked: bool) -> Iterator[Limit]:
    """One for each budget that selects any of the pods; it binds those who are `asked` to keep to it: evictions."""
    for one in all_budgets:
        own = [pod for pod in pods if covers(one, pod)]
        if not own:
            continue
        allowed, name = slack(one), f"poddisruptionbudget/{one.metadata.namespace}/{one.metadata.name}"
        stands = f"allows {allowed} now ({one.status.current_healthy} healthy, {one.status.desired_healthy} needed)"
        if asked:
            yield Limit(f"{name} {stands}", _keys(own), allowed)
        else:
            yield Limit(f"{name} {stands}; a kill does not ask it", _keys(own))


def covers(budget: DisruptionBudget, pod: Pod) -> bool:
    """Whether the budget is about this pod."""
    same = budget.metadata.namespace == pod.metadata.namespace
    return same and _labels.matches(budget.spec.selector, pod.metadata.labels)


def slack(budget: DisruptionBudget) -> int:
    """How many disruptions it allows; none before its last change was looked at."""
    seen = budget.status.observed_generation >= budget.metadata.generation
    return budget.status.disruptions_allowed if seen else 0


def kept(name: str, least: int, members: Sequence[Pod]) -> Limit:
    """What `keep_available` leaves of a workload, given the pods that it has."""
    ready = [pod for pod in members if pod.ready]
    most = max(0, len(ready) - least)
    said = f"{name}: keep_available {least}, {len(ready)} of its pods ready now: at most {most} at once"
    return Limit(said, _keys(ready), most)


def members(pods: Iterable[Pod], workload: Workload, controllers: set[str]) -> list[Pod]:
    """Those of the pods that the workload keeps, itself or through one of its ReplicaSets (`controllers`, by uid)."""
    owners = {workload.metadata.uid, *controllers}
    return [pod for pod in pods if pod.controller is not None and pod.controller.uid in owners]


def _by_owner(pods: Iterable[Pod], kind: str) -> dict[str, list[Pod]]:
    found: dict[str, list[Pod]] = {}
    for pod in pods:
        if pod.controller is not None and pod.controller.kind == kind:
            found.setdefault(pod.controller.uid, []).append(pod)
    return found


def _keys(pods: Iterable[Pod]) -> tuple[str, ...]:
    return tuple(target(pod).key for pod in pods)
