"""Which pods a drain evicts from a node, which it leaves, and which it refuses to touch. No IO."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal

import msgspec

from chaos_runner.faults import _limits
from chaos_runner.plan import Limit

if TYPE_CHECKING:
    from chaos_runner.clients.kubernetes.objects import Pod

BarePods = Literal["refuse", "leave"]
EmptyDirs = Literal["refuse", "lose"]
SUDDEN = "a drain is graceful: the sudden loss of a node is not tested by it"


class Drained(msgspec.Struct):
    """The pods of one node: those that go, how many stay for which reason, and what forbids the drain."""

    goes: list[Pod]
    stays: Counter[str]
    forbids: list[str]


def sorted_out(pods: Iterable[Pod], bare_pods: BarePods, empty_dirs: EmptyDirs) -> Drained:
    """Each pod of a node in one of the three."""
    drained = Drained([], Counter(), [])
    for pod in sorted(pods, key=lambda one: (one.metadata.namespace, one.metadata.name)):
        if stays := _stays(pod, bare_pods):
            drained.stays[stays] += 1
        elif why := _forbids(pod, empty_dirs):
            drained.forbids.append(f"{_limits.target(pod).key} {why}")
        else:
            drained.goes.append(pod)
    return drained


def _stays(pod: Pod, bare_pods: BarePods) -> str:
    owner = pod.controller
    if pod.finished:
        return "finished"
    if owner is None:
        return "bare: nothing would make another one" if bare_pods == "leave" else ""
    if owner.kind == "DaemonSet":
        return "of a DaemonSet, which would put it back"
    return "static: its node keeps it, not the API" if owner.kind == "Node" else ""


def _forbids(pod: Pod, empty_dirs: EmptyDirs) -> str:
    if pod.controller is None:
        return "is bare: nothing would make another one (`bare_pods: leave` lets it stay)"
    if not pod.ready:
        return "is not Running and Ready: the node is not in a steady state"
    emptied = any(volume.empty_dir is not None for volume in pod.spec.volumes or ())
    if emptied and empty_dirs == "refuse":
        return "has an emptyDir, whose content would be lost (`empty_dirs: lose` accepts that)"
    return ""


def notes(node: str, drained: Drained) -> Iterator[Limit]:
    """What a plan says of one node."""
    stays = "; ".join(f"{count} left: {why}" for why, count in sorted(drained.stays.items()))
    yield Limit(f"{node}: {len(drained.goes)} pods evicted" + (f"; {stays}" if stays else ""))
