"""A small cluster behind a real socket: objects in memory, the preconditions of the real API, and an owner's work.

What is deleted its owner replaces at once, with another uid; under a new name where the owner is a ReplicaSet.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from chaos_runner.api import Env
from chaos_runner.environment import Ceilings, Cluster, Environment
from tests.clients.kubernetes.server import UID, Api, Asked, Said, status

_PATH = re.compile(r"/apis?/(?P<api>(?:[^/]+/)?v\d\w*)(?:/namespaces/(?P<space>[^/]+)(?=/))?/(?P<rest>.+)")
OLD = "2026-01-01T00:00:00Z"
NOW = "2026-01-02T00:00:00Z"
PASSED = {"status": "Success", "kind": "Status", "code": 201}
Object = dict[str, Any]


class InMemory:
    """Its objects by (plural, namespace, name). `denied` are (verb, plural[/subresource]); `before` sees requests."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.denied: set[tuple[str, str]] = set()
        self.grace = False  # whether what is deleted stays a while
        self.replaces = True
        self.before: Callable[[Asked], Said | None] = lambda _asked: None
        self.events: list[Object] = []
        self.burnt: list[str] = []
        self._lock = threading.RLock()
        self._count = itertools.count(100)
        self.put("namespaces", "", "kube-system", uid=UID)

    # --- making things ------------------------------------------------------------------------------------------------

    def put(self, plural: str, space: str, name: str, *, uid: str = "", spec: Any = None, **more: Any) -> Object:
        n = next(self._count)
        meta = {"name": name, "namespace": space, "uid": uid or f"uid-{n}", "resourceVersion": str(n), "generation": 1}
        meta |= {"creationTimestamp": OLD, "labels": {}, "annotations": {}} | more.pop("meta", {})
        made = {"metadata": meta, "spec": spec or {}, "status": more.pop("status", {}), **more}
        with self._lock:
            self.objects[plural, space, name] = made
        return made

    def space(self, *names: str) -> None:
        for name in names:
            self.put("namespaces", "", name)

    def node(self, name: str, **labels: str) -> Object:
        return self.put("nodes", "", name, meta={"labels": labels}, status={"conditions": [_yes("Ready")]})

    def workload(self, plural: str, space: str, name: str, pods: int, node: str = "n1") -> Object:
        """A Deployment with its ReplicaSet, or a StatefulSet, and its ready pods."""
        chosen = {"matchLabels": {"app": name}}
        standing = {"replicas": pods, "readyReplicas": pods}
        made = self.put(plural, space, name, spec={"replicas": pods, "selector": chosen}, status=standing)
        owner = made
        if plural == "deployments":
            meta = {"labels": {"app": name}, "ownerReferences": [_owner("Deployment", made)]}
            owner = self.put(
                "replicasets", space, f"{name}-5d8", spec={"replicas": pods, "selector": chosen}, meta=meta
            )
        kind = "ReplicaSet" if plural == "deployments" else "StatefulSet"
        for n in range(pods):
            own = f"{name}-{n}" if kind == "StatefulSet" else f"{name}-5d8-{n}"
            self.pod(space, own, owner=_owner(kind, owner), node=node, app=name)
        return made

    def pod(
        self, space: str, name: str, owner: Object | None = None, ready: bool = True, node: str = "n1", **labels: str
    ) -> Object:
        meta = {"labels": labels, "ownerReferences": [owner] if owner else []}
        conditions = [_yes("Ready")] if ready else []
        standing = {"phase": "Running", "conditions": conditions}
        return self.put("pods", space, name, meta=meta, spec={"nodeName": node}, status=standing)

    def budget(self, space: str, name: str, allowed: int, **labels: str) -> Object:
        standing = {"disruptionsAllowed": allowed, "currentHealthy": 2, "desiredHealthy": 1, "observedGeneration": 1}
        spec = {"selector": {"matchLabels": labels}}
        return self.put("poddisruptionbudgets", space, name, spec=spec, status=standing)

    # --- looking ------------------------------------------------------------------------------------------------------

    def all(self, plural: str, space: str = "shop") -> dict[str, Object]:
        with self._lock:
            found = {k[2]: v for k, v in self.objects.items() if k[0] == plural and k[1] == space}
            return copy.deepcopy(found)

    async def state(self) -> Any:
        """Everything but versions: an undo may leave these behind it."""
        with self._lock:
            told = json.loads(json.dumps({"/".join(key): value for key, value in self.objects.items()}))
        for one in told.values():
            one["metadata"].pop("resourceVersion")
        return told

    async def disturb(self) -> None:
        """Somebody else's annotation on everything that has one."""
        with self._lock:
            for plural in ("nodes", "deployments", "statefulsets"):
                for key in [key for key in self.objects if key[0] == plural]:
                    self.change(*key, lambda one: one["metadata"]["annotations"].update(theirs="stays"))

    def change(self, plural: str, space: str, name: str, deed: Callable[[Object], Any]) -> None:
        with self._lock:
            one = self.objects[plural, space, name]
            deed(one)
            one["metadata"]["resourceVersion"] = str(next(self._count))

    # --- answering ----------------------------------------------------------------------------------------------------

    def act(self, asked: Asked) -> Said:
        with self._lock:
            return self.before(asked) or self._answer(asked)

    def _answer(self, asked: Asked) -> Said:
        parts = _PATH.fullmatch(asked.path)
        if parts is None:
            return status(404, "NotFound", "the server could not find the requested resource")
        space, (plural, *rest) = parts["space"] or "", parts["rest"].split("/")
        if plural == "selfsubjectaccessreviews":
            return self._review(asked.json["spec"]["resourceAttributes"])
        name, sub = [*rest, "", ""][:2]
        if self._denies(asked.method, plural, sub, name):
            return status(403, "Forbidden", f"{plural} {name!r} is forbidden: cannot")
        if not name:
            return self._many(asked, plural, space)
        one = self.objects.get((plural, space, name))
        if one is None:
            return status(404, "NotFound", f'{plural} "{name}" not found', name=name)
        if sub == "eviction":
            return self._evict(asked, one)
        deeds = {"GET": self._get, "DELETE": self._delete, "PATCH": self._patch}
        return deeds[asked.method](asked, plural, one)

    def _denies(self, method: str, plural: str, sub: str, name: str) -> bool:
        verb = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}.get(method, "get" if name else "list")
        return (verb, f"{plural}/{sub}" if sub else plural) in self.denied

    def _review(self, ask: Object) -> Said:
        what = ask["resource"] + (f"/{ask['subresource']}" if ask.get("subresource") else "")
        return Said(201, {"status": {"allowed": (ask["verb"], what) not in self.denied}})

    def _many(self, asked: Asked, plural: str, space: str) -> Said:
        if asked.method == "POST":
            self.events.append(asked.json)
            return Said(201, asked.json)
        wanted = asked.query.get("labelSelector", "")
        node = asked.query.get("fieldSelector", "").removeprefix("spec.nodeName=")
        found = [
            one
            for (kind, there, _), one in sorted(self.objects.items())
            if kind == plural and (not space or there == space) and _matches(one, wanted)
            and (not node or one["spec"].get("nodeName") == node)
        ]  # fmt: skip
        return Said(200, {"metadata": {"resourceVersion": "1"}, "items": found})

    def _get(self, _asked: Asked, _plural: str, one: Object) -> Said:
        return Said(200, one)

    def _delete(self, asked: Asked, plural: str, one: Object) -> Said:
        options = asked.json
        if options["preconditions"]["uid"] != one["metadata"]["uid"]:
            return status(409, "Conflict", "the UID in the precondition does not match the UID in record")
        if not options.get("dryRun"):
            self.remove(plural, one)
        return Said(200, one)

    def remove(self, plural: str, one: Object) -> None:
        """The object goes, at once or after its grace, and its owner makes another one."""
        meta = one["metadata"]
        with self._lock:
            if self.grace:
                meta["deletionTimestamp"] = NOW
            else:
                del self.objects[plural, meta["namespace"], meta["name"]]
            if self.replaces and meta["ownerReferences"]:
                self._replace(one)

    def _replace(self, one: Object) -> None:
        meta, owner = one["metadata"], one["metadata"]["ownerReferences"][0]
        name = meta["name"] if owner["kind"] == "StatefulSet" else f"{meta['name']}-again"
        if ("pods", meta["namespace"], name) not in self.objects:
            made = self.pod(meta["namespace"], name, owner=owner, node="n2", **meta["labels"])
            made["metadata"]["creationTimestamp"] = NOW

    def _evict(self, asked: Asked, one: Object) -> Said:
        options, meta = asked.json["deleteOptions"], one["metadata"]
        own = [b for b in self.all("poddisruptionbudgets", meta["namespace"]).values() if _covers(b, one)]
        if own and own[0]["status"]["disruptionsAllowed"] < 1:
            cause = {"reason": "DisruptionBudget", "message": f"The disruption budget {own[0]['metadata']['name']} no"}
            return status(429, "TooManyRequests", "Cannot evict pod", causes=[cause])
        if options["preconditions"]["uid"] != meta["uid"]:
            self.burnt.append(meta["name"])
            return status(409, "Conflict", "the UID in the precondition does not match the UID in record")
        if not options.get("dryRun"):
            for budget in own:
                key = ("poddisruptionbudgets", meta["namespace"], budget["metadata"]["name"])
                self.objects[key]["status"]["disruptionsAllowed"] -= 1
            self.remove("pods", one)
        return Said(201, PASSED)

    def _patch(self, asked: Asked, plural: str, one: Object) -> Said:
        patch, meta = asked.json, one["metadata"]
        named = patch["metadata"]
        if named.pop("uid", meta["uid"]) != meta["uid"] or named.pop("resourceVersion", "") != meta["resourceVersion"]:
            return status(
                409, "Conflict", "the object has been modified; please apply your changes to the latest version"
            )
        _merge(one, patch)
        meta["resourceVersion"] = str(next(self._count))
        return Said(200, one)


def _yes(kind: str) -> Object:
    return {"type": kind, "status": "True"}


def _owner(kind: str, one: Object) -> Object:
    meta = one["metadata"]
    return {"kind": kind, "name": meta["name"], "uid": meta["uid"], "apiVersion": "apps/v1", "controller": True}


def _covers(budget: Object, pod: Object) -> bool:
    wanted = budget["spec"]["selector"]["matchLabels"]
    return bool(wanted.items() <= pod["metadata"]["labels"].items())


def _matches(one: Object, wanted: str) -> bool:
    labels = one["metadata"]["labels"]
    return all(labels.get(part.partition("=")[0]) == part.partition("=")[2] for part in wanted.split(",") if part)


def _merge(into: Object, patch: Object) -> None:
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


class Door:
    """The way to the server; closed, connections are refused and those that were open are cut."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._live: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port = 0
        self.open()

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept, self._listener)

    def close(self) -> None:
        for one in (self._listener, *self._live):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(5)
        for one in (self._listener, *self._live):
            one.close()
        self._live.clear()
        self._threads.clear()

    def _start(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._live += [near, far]
                self._start(_pass_on, near, far)
                self._start(_pass_on, far, near)


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := one.recv(65536):
            other.sendall(piece)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_WR)


class Place:
    """A cluster that is being served, and the way to it."""

    def __init__(self, memory: InMemory, api: Api, door: Door, environment: Environment) -> None:
        self.memory = memory
        self.api = api
        self.door = door
        self.environment = environment
        self._envs: list[Env] = []

    def env(self, **fields: Any) -> Env:
        """Fresh connections."""
        self._envs.append(Env("lab", Environment(cluster=self.environment.cluster, ceilings=ROOMY, **fields)))
        return self._envs[-1]

    async def aclose(self) -> None:
        """Closes every connection."""
        for env in self._envs:
            await env.aclose()

    def changes(self) -> list[str]:
        """What was asked that could change anything but events and reviews of rights."""
        quiet = ("/events", "/selfsubjectaccessreviews")
        return [
            f"{one.method} {one.path}"
            for one in self.api.asked
            if one.method != "GET" and not one.path.endswith(quiet) and b'"dryRun":["All"]' not in one.body
        ]


ROOMY = Ceilings(at_once=50, in_total=50)


@contextlib.contextmanager
def served(folder: Any) -> Iterator[Place]:
    """An empty cluster with its kubeconfig in the folder."""
    memory = InMemory()
    api = Api(memory.act)
    door = Door(api.port)
    config = {
        "clusters": [{"name": "lab", "cluster": {"server": f"http://127.0.0.1:{door.port}"}}],
        "users": [{"name": "me", "user": {"token": "t"}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "me"}}],
        "current-context": "lab",
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    try:
        yield Place(memory, api, door, Environment(cluster=Cluster(kubeconfig=f"file:{path}", uid=UID)))
    finally:
        door.close()
        api.close()
