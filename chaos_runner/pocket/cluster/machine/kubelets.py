"""The kubelets' half in the control plane: gives pods to their nodes, and writes down what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from chaos_runner import wire
from chaos_runner.pocket.cluster import kinds, objects
from chaos_runner.pocket.cluster.control.hands import Hands
from chaos_runner.pocket.cluster.machine import images, lives
from chaos_runner.pocket.cluster.machine.addresses import NoAddress, Slot
from chaos_runner.pocket.cluster.machine.lives import Life
from chaos_runner.pocket.cluster.machine.messages import Began, Ended, Gone, Halt, Readiness, Run
from chaos_runner.pocket.cluster.objects import Obj, at, put
from chaos_runner.pocket.cluster.store import Change

NOT_OURS_S = 1.0
Send = Callable[[str, wire.Message], None]


class Kubelets:
    """A controller by uid: every pod that has a node has a life there, and its status tells of it."""

    def __init__(self, hands: Hands, slot: Slot, nodes: list[str], send: Send, logs: Path) -> None:
        self._hands = hands
        self._slot = slot
        self._nodes = nodes
        self._send = send
        self._logs = logs
        self._places: dict[str, str] = {}
        self._lives: dict[str, Life] = {}

    def concerns(self, change: Change) -> Iterable[str]:
        """Pods that have a node, by uid."""
        if change.kind is not kinds.PODS:
            return
        pod = change.after or change.before
        if pod is not None and at(pod, "spec", "nodeName"):
            self._places[objects.uid(pod)] = change.key
            yield objects.uid(pod)

    def reconcile(self, key: str) -> float | None:
        """Begins or ends one life."""
        pod = self._hands.store.get(kinds.PODS, self._places.get(key, ""))
        if pod is None or objects.uid(pod) != key:
            self._removed(key)
            return None
        life = self._lives.get(key) or self._begin(pod)
        if life is not None and objects.terminating(pod):
            self._end(life, pod)
        return None

    def heard(self, _node: str, message: wire.Message) -> None:
        """Takes note of what a node says of its pods."""
        life = self._lives.get(getattr(message, "uid", ""))
        if life is None:
            return
        if isinstance(message, Gone):
            self._gone(life)
            return
        if isinstance(message, Began):
            life.state, life.pid, life.restarts = "running", message.pid, message.restarts
            life.since, life.ready = objects.stamp(), False
        elif isinstance(message, Readiness):
            life.ready = message.ready
        elif isinstance(message, Ended):
            life.code, life.ready, life.pid = message.code, False, 0
            life.state = "over" if message.again_in_s < 0 else "waiting"
            life.since = objects.stamp()
        self._write(life)

    def node_silent(self, node: str, *, silent: bool) -> None:
        """All pods of a node that went silent are not ready any more; they are again when it speaks."""
        for pod in self._hands.index.on_node(node):
            life = self._lives.get(objects.uid(pod)) or self._begin(pod)
            if life is not None and life.cut_off != silent:
                life.cut_off = silent
                self._write(life)
                if life.grace_s is not None and not life.real:
                    self._gone_if_heard(life)

    def log_of(self, pod: Obj) -> bytes:
        """What the pod's program wrote."""
        try:
            return self._log(objects.uid(pod)).read_bytes()
        except FileNotFoundError:
            return b"a synthetic pod: it has no program and writes nothing\n"

    def _log(self, uid: str) -> Path:
        return self._logs / f"{uid}.log"

    def _begin(self, pod: Obj) -> Life | None:
        node = at(pod, "spec", "nodeName")
        if node not in self._nodes:
            return None  # somebody else's node: its pods are whatever they say they are
        if at(pod, "status", "phase") == "Running":
            return self._known(pod, node)
        argv = images.program(pod)
        life = self._born(pod, node, real=argv is not None)
        if life is None:
            return None
        self._write(life)
        if argv is not None:
            self._run(life, pod, argv)
        else:
            self._pretend(life, pod)
        return life

    def _born(self, pod: Obj, node: str, *, real: bool) -> Life | None:
        n = self._nodes.index(node)
        try:
            address = self._slot.pod(n) if real else self._slot.synthetic()
        except NoAddress as why:
            self._hands.event(kinds.PODS, pod, "FailedCreatePodSandBox", str(why), warning=True)
            return None
        uid = objects.uid(pod)
        life = Life(uid, objects.key_of(pod), node, self._slot.node(n), address, real, since=objects.stamp())
        self._lives[uid] = life
        return life

    def _known(self, pod: Obj, node: str) -> Life:
        """A pod that was made running, without ever having been started."""
        host, address = at(pod, "status", "hostIP", default=""), at(pod, "status", "podIP", default="")
        life = Life(objects.uid(pod), objects.key_of(pod), node, host, address, real=False, state="running", ready=True)
        life.since = pod["metadata"]["creationTimestamp"]
        self._lives[life.uid] = life
        return life

    def _run(self, life: Life, pod: Obj, argv: tuple[str, ...]) -> None:
        env = images.environment(pod, life.address, self._hands.store.all(kinds.SERVICES))
        check, restart = images.check_of(pod), at(pod, "spec", "restartPolicy", default="Always")
        log = str(self._log(life.uid))
        self._send(life.node, Run(life.uid, life.key, argv, env, life.address, log, check, restart))

    def _pretend(self, life: Life, pod: Obj) -> None:
        message = f"image {at(pod, 'spec', 'containers')[0]['image']} is not known here: the pod is in the books only"
        self._hands.event(kinds.PODS, pod, "Synthetic", message)
        current = self._hands.store.get(kinds.PODS, life.key)
        if current is not None:
            self._hands.put(kinds.PODS, put(current, "true", "metadata", "annotations", lives.SYNTHETIC))
        asyncio.get_running_loop().call_later(lives.seconds(pod, lives.READY_AFTER), self._pretended, life)

    def _pretended(self, life: Life) -> None:
        if life.uid in self._lives and life.grace_s is None:
            life.state, life.ready, life.since = "running", True, objects.stamp()
            self._write(life)

    def _end(self, life: Life, pod: Obj) -> None:
        grace_s = float(pod["metadata"].get("deletionGracePeriodSeconds", 0))
        if life.grace_s is not None and grace_s >= life.grace_s:
            return
        first, life.grace_s = life.grace_s is None, grace_s
        if first:
            message = f"Stopping container {at(pod, 'spec', 'containers')[0]['name']}"
            self._hands.event(kinds.PODS, pod, "Killing", message)
        if life.real:
            self._send(life.node, Halt(life.uid, grace_s))
            return
        after_s = min(grace_s, lives.seconds(pod, lives.ENDS_AFTER))
        asyncio.get_running_loop().call_later(after_s, self._gone_if_heard, life)

    def _gone_if_heard(self, life: Life) -> None:
        # The end of a synthetic pod, too, needs a node that is there to see it.
        if life.uid in self._lives and not life.cut_off:
            self._gone(life)

    def _removed(self, uid: str) -> None:
        """The object is gone; what still runs of it goes too."""
        self._places.pop(uid, None)
        life = self._lives.get(uid)
        if life is None:
            return
        if life.real:
            life.grace_s = min(life.grace_s or NOT_OURS_S, NOT_OURS_S)
            self._send(life.node, Halt(uid, life.grace_s))
        else:
            del self._lives[uid]

    def _gone(self, life: Life) -> None:
        self._lives.pop(life.uid, None)
        if life.real:
            self._slot.give_back(life.address)
            self._log(life.uid).unlink(missing_ok=True)
        pod = self._hands.store.get(kinds.PODS, life.key)
        if pod is not None and objects.uid(pod) == life.uid and objects.terminating(pod):
            self._hands.finish(kinds.PODS, life.key)

    def _write(self, life: Life) -> None:
        pod = self._hands.store.get(kinds.PODS, life.key)
        if pod is not None and objects.uid(pod) == life.uid:
            self._hands.put(kinds.PODS, {**pod, "status": lives.status(life, pod)})
