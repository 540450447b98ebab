"""The control plane: store, API and controllers in one process, over nodes and a network that are its children."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec

from chaos_runner import wire
from chaos_runner.pocket.cluster import certificate, kinds, objects
from chaos_runner.pocket.cluster.api.access import MASTERS, Access, User
from chaos_runner.pocket.cluster.api.front import Front
from chaos_runner.pocket.cluster.api.routes import Place
from chaos_runner.pocket.cluster.api.server import Api
from chaos_runner.pocket.cluster.control.budgets import Budgets
from chaos_runner.pocket.cluster.control.cordons import Cordons
from chaos_runner.pocket.cluster.control.daemonsets import DaemonSets
from chaos_runner.pocket.cluster.control.deployments import Deployments
from chaos_runner.pocket.cluster.control.endpoints import Endpoints
from chaos_runner.pocket.cluster.control.garbage import Dependents, Namespaces
from chaos_runner.pocket.cluster.control.hands import Hands
from chaos_runner.pocket.cluster.control.loop import Loop
from chaos_runner.pocket.cluster.control.replicas import ReplicaSets
from chaos_runner.pocket.cluster.control.scheduler import Scheduler
from chaos_runner.pocket.cluster.control.statefulsets import StatefulSets
from chaos_runner.pocket.cluster.machine import crowd, heartbeats, remote
from chaos_runner.pocket.cluster.machine.addresses import Slot
from chaos_runner.pocket.cluster.machine.balance import Balance
from chaos_runner.pocket.cluster.machine.kubelets import Kubelets
from chaos_runner.pocket.cluster.machine.messages import Beat, NodeOutbox
from chaos_runner.pocket.cluster.objects import Obj, at, put
from chaos_runner.pocket.cluster.store import Store

HOST = "127.0.0.1"
NAMESPACES = ("default", "kube-system", "kube-public", heartbeats.LEASES_IN)
MACHINE = "chaos_runner.pocket.cluster.machine"
READY_WITHIN_S = 15.0
OBJECTS_READY_WITHIN_S = 30.0
LOOK_EVERY_S = 0.5
EVERYTHING: Obj = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
READING: Obj = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}


class Setup(msgspec.Struct, frozen=True):
    """What a cluster begins with."""

    home: Path
    users: dict[str, User]  # by token
    port: int = 0
    nodes: int = 3
    pods: int = 0
    silent_after_s: float = heartbeats.SILENT_AFTER_S
    objects: tuple[Obj, ...] = ()


class Plane:
    """One cluster."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.port = 0
        self.ca = ""
        self.slot = Slot()
        self.store = Store()
        self.names = [f"pocket-{n + 1}" for n in range(setup.nodes)]
        self.nodes: dict[str, remote.Remote] = {}
        self.network: remote.Remote | None = None
        access = Access(self.store, setup.users)
        self.api = Api(self.store, access, {"Service": self._with_address}, self._log)
        self._furnish()
        self.hands = Hands(self.store, self.api.writes, self.api.deletes)
        self.kubelets = Kubelets(self.hands, self.slot, self.names, self._send, setup.home)
        self.beats = heartbeats.Heartbeats(self.hands, self._silent, setup.silent_after_s)
        self.loop = Loop(self.store, self._controllers())
        self.front = Front(self.api.respond)
        self.api.drop_watches = self.front.drop_streams
        self._tasks: set[asyncio.Task[None]] = set()

    def _controllers(self) -> tuple[Any, ...]:
        plain = (Deployments, ReplicaSets, StatefulSets, DaemonSets, Endpoints, Budgets, Scheduler, Cordons)
        more = (Dependents, Namespaces)
        behind = Balance(self.hands, lambda message: self.network.send(message) if self.network else None)
        return (*(made(self.hands) for made in (*plain, *more)), self.kubelets, behind)

    async def start(self) -> None:
        """Everything is up afterwards, and all nodes are Ready. Raises TimeoutError, OSError."""
        self.loop.begin()
        self.network = await remote.started("network", f"{MACHINE}.network")
        for name in self.names:
            self.nodes[name] = await remote.started(name, f"{MACHINE}.node")
            self._keep(self.nodes[name].hear(NodeOutbox, self._heard))
        self._keep(self.loop.run())
        self._keep(self._look())
        self.ca, context = _tls()
        self.port = await self.front.start(HOST, self.setup.port, context)
        async with asyncio.timeout(READY_WITHIN_S):
            while not all(objects.is_true(node, "Ready") for node in self.store.all(kinds.NODES)):
                await asyncio.sleep(0.02)
        await self._make(self.setup.objects)

    async def _make(self, given: tuple[Obj, ...]) -> None:
        """Makes the objects and waits until the workloads among them are ready. Raises Refusal, TimeoutError."""
        for obj in given:
            self.api.writes.create(_place(obj), obj)
        workloads = [objects.key_of(obj) for obj in given if obj["kind"] == "Deployment"]
        async with asyncio.timeout(OBJECTS_READY_WITHIN_S):
            while not all(map(self._is_up, workloads)):
                await asyncio.sleep(0.02)

    def _is_up(self, deployment: str) -> bool:
        found = self.store.get(kinds.DEPLOYMENTS, deployment) or {}
        return bool(at(found, "status", "readyReplicas", default=0) == at(found, "spec", "replicas"))

    async def failed(self) -> None:
        """Returns, or raises, when something ended that should not have."""
        while self._tasks:
            done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self._tasks.discard(task)
                task.result()  # a node may die; a bug may not pass

    async def stop(self) -> None:
        """Nothing of it is left afterwards."""
        await self.front.stop()
        for task in self._tasks:
            task.cancel()
        machines = [*self.nodes.values(), *([self.network] if self.network else [])]
        await asyncio.gather(*(machine.end() for machine in machines))
        self.slot.close()

    def uid(self) -> str:
        """Which cluster this is: the uid of its namespace kube-system."""
        return objects.uid(self.api.writes.current(Place(kinds.NAMESPACES, name="kube-system")))

    def services(self) -> dict[str, str]:
        """The address of each Service, with its first port."""
        return {
            objects.key_of(one): f"{at(one, 'spec', 'clusterIP')}:{at(one, 'spec', 'ports')[0]['port']}"
            for one in self.store.all(kinds.SERVICES)
        }

    def _furnish(self) -> None:
        """The objects that a cluster is never without."""
        for name in NAMESPACES:
            self.api.writes.create(Place(kinds.NAMESPACES), {"metadata": {"name": name}})
        for n, name in enumerate(self.names):
            self.store.put(kinds.NODES, _made_by_us(heartbeats.node(name, self.slot.node(n), n)))
        for name, rule in (("cluster-admin", EVERYTHING), ("view", READING)):
            self.api.writes.create(Place(kinds.BY_NAME["ClusterRole"]), {"metadata": {"name": name}, "rules": [rule]})
        if self.setup.pods:
            crowd.made(self.store, self.api.writes, self.slot, self.names, self.setup.pods)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.create_task(work))

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.beats.look()

    def _heard(self, node: str, message: wire.Message) -> None:
        if isinstance(message, Beat):
            self.beats.beat(node)
        else:
            self.kubelets.heard(node, message)

    def _send(self, node: str, message: wire.Message) -> None:
        self.nodes[node].send(message)

    def _silent(self, node: str, silent: bool) -> None:
        self.kubelets.node_silent(node, silent=silent)

    def _log(self, pod: Obj) -> bytes:
        return self.kubelets.log_of(pod)

    def _with_address(self, service: Obj) -> Obj:
        if at(service, "spec", "clusterIP") or at(service, "spec", "type") == "ExternalName":
            return service
        taken = {at(one, "spec", "clusterIP") for one in self.store.all(kinds.SERVICES)}
        address = self.slot.service(taken)
        return put(put(service, address, "spec", "clusterIP"), [address], "spec", "clusterIPs")


def admin(token: str) -> dict[str, User]:
    """The one user who may do everything."""
    return {token: User("pocket-admin", (MASTERS, "system:authenticated"))}


def _place(obj: Obj) -> Place:
    """The collection that it belongs to."""
    return Place(kinds.BY_NAME[obj["kind"]], obj["metadata"].get("namespace", ""))


def _made_by_us(node: Obj) -> Obj:
    metadata = {**node["metadata"], "uid": objects.new_uid(), "creationTimestamp": objects.stamp()}
    return {**node, "metadata": metadata}


def _tls() -> tuple[str, ssl.SSLContext]:
    """A certificate of our own, and what a server does with it."""
    cert, key = certificate.made(HOST)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # A certificate can be loaded from a file only; this one has no name for anybody else.
    with tempfile.NamedTemporaryFile("w", prefix="chaos-runner-pocket-") as file:
        file.write(cert + key)
        file.flush()
        context.load_cert_chain(file.name)
    return cert, context
