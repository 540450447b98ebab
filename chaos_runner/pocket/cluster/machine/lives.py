"""What is known of a pod's life, and the status that follows from it. Pure but for the clock."""

from __future__ import annotations

from typing import Any

import msgspec

from chaos_runner.pocket.cluster import objects
from chaos_runner.pocket.cluster.objects import Obj, at

SYNTHETIC = "pocket.chaos-runner/synthetic"
READY_AFTER, ENDS_AFTER = "pocket.chaos-runner/ready-after", "pocket.chaos-runner/ends-after"
USUALLY_S = 0.3


class Life(msgspec.Struct):
    """A pod that has a node: real, or only in the books."""

    uid: str
    key: str
    node: str
    host: str
    address: str
    real: bool
    state: str = "creating"  # creating, running, waiting, over
    pid: int = 0
    restarts: int = 0
    ready: bool = False
    code: int = 0
    since: str = ""
    grace_s: float | None = None  # once its end was asked for
    cut_off: bool = False  # its node is silent

    def phase(self) -> str:
        """Pending, Running, Succeeded or Failed."""
        if self.state == "over":
            return "Failed" if self.code else "Succeeded"
        return "Pending" if self.state == "creating" else "Running"


def status(life: Life, pod: Obj) -> Obj:
    """The status of the pod."""
    up = life.ready and not life.cut_off and life.state == "running"
    conditions = at(pod, "status", "conditions")
    for kind, true in (("PodScheduled", True), ("Initialized", True), ("ContainersReady", up), ("Ready", up)):
        reason = "" if true else "ContainersNotReady"
        conditions = objects.with_condition(conditions, kind, "True" if true else "False", reason)
    fresh: Obj = {
        "phase": life.phase(),
        "conditions": conditions,
        "hostIP": life.host,
        "hostIPs": [{"ip": life.host}],
        "qosClass": "BestEffort",
        "startTime": at(pod, "status", "startTime") or objects.stamp(),
        "containerStatuses": [_container(life, one, up=up) for one in at(pod, "spec", "containers")],
    }
    if life.state != "creating":
        fresh |= {"podIP": life.address, "podIPs": [{"ip": life.address}]}
    return {**(pod.get("status") or {}), **fresh}


def _container(life: Life, container: Obj, *, up: bool) -> Obj:
    states: dict[str, dict[str, Any]] = {
        "creating": {"waiting": {"reason": "ContainerCreating"}},
        "running": {"running": {"startedAt": life.since}},
        "waiting": {"waiting": {"reason": "CrashLoopBackOff", "message": f"ended with code {life.code}"}},
        "over": {"terminated": _terminated(life)},
    }
    last = {"terminated": _terminated(life)} if life.restarts or life.state == "waiting" else {}
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "" if life.state == "creating" else ("local" if life.real else "synthetic"),
        "containerID": f"pid://{life.pid}" if life.pid else "",
        "ready": up,
        "started": life.state == "running",
        "restartCount": life.restarts,
        "state": states[life.state],
        "lastState": last,
    }


def _terminated(life: Life) -> Obj:
    # The number of a signal that ended it is below zero here, and 128 above it in a cluster.
    code = 128 - life.code if life.code < 0 else life.code
    return {"exitCode": code, "reason": "Error" if code else "Completed", "finishedAt": life.since}


def seconds(pod: Obj, annotation: str) -> float:
    """The time that an annotation gives, as `2s`, `150ms` or plain seconds."""
    text = objects.notes(pod).get(annotation, "")
    number, unit = (text[:-2], 0.001) if text.endswith("ms") else (text.removesuffix("s"), 1.0)
    try:
        return min(86_400.0, max(0.0, float(number) * unit)) if number else USUALLY_S
    except ValueError:
        return USUALLY_S
