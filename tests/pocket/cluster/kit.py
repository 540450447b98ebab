"""An API server without sockets, and a client for one with them."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from chaos_runner.pocket import http11
from chaos_runner.pocket.cluster.api import answers
from chaos_runner.pocket.cluster.api.access import MASTERS, Access, User
from chaos_runner.pocket.cluster.api.answers import Answer, Stream
from chaos_runner.pocket.cluster.api.server import Api
from chaos_runner.pocket.cluster.info import ClusterInfo
from chaos_runner.pocket.cluster.store import Store

ADMIN = "pocket-admin"
MERGE, STRATEGIC, JSON_PATCH = (
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
)
POD = {"spec": {"containers": [{"name": "main", "image": "registry.invalid/none:1"}]}}


class Reply:
    """One answer."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.status = status
        self.body = body
        self.headers = headers

    @property
    def value(self) -> Any:
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"{self.status} {self.body[:400]!r}"


class Desk:
    """An API without nodes, controllers or sockets; `ada` may do everything, `bob` nothing."""

    def __init__(self) -> None:
        self.store = Store()
        users = {"a": User("ada", (MASTERS,)), "b": User("bob")}
        self.api = Api(self.store, Access(self.store, users), {}, lambda pod: b"one\ntwo\nthree\n")
        for name in ("default", "lab"):
            self.post("/api/v1/namespaces", {"metadata": {"name": name}})

    def ask(
        self,
        method: str,
        path: str,
        value: Any = None,
        media: str = "application/json",
        token: str | None = "a",
        **more: str,
    ) -> Reply:
        """One request, answered; a stream is read to its end."""
        headers = {"content-type": media, **{name.replace("_", "-"): text for name, text in more.items()}}
        headers |= {"authorization": f"Bearer {token}"} if token else {}
        body = value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode()
        query = answers.query_of(http11.Request(method, path, headers, body))
        return asyncio.run(self._read(query))

    async def _read(self, query: answers.Query) -> Reply:
        answer = await self.api.respond(query)
        if isinstance(answer, Answer):
            return Reply(answer.status, answer.body, answer.headers)
        assert isinstance(answer, Stream)
        return Reply(200, b"".join([piece async for piece in answer.pieces]), answer.headers)

    def get(self, path: str, **more: Any) -> Reply:
        return self.ask("GET", path, **more)

    def post(self, path: str, value: Any, **more: Any) -> Reply:
        return self.ask("POST", path, value, **more)

    def patch(self, path: str, value: Any, media: str = MERGE, **more: Any) -> Reply:
        return self.ask("PATCH", path, value, media, **more)

    def pod(self, name: str, namespace: str = "lab", **metadata: Any) -> Any:
        """A new pod."""
        made = self.post(f"/api/v1/namespaces/{namespace}/pods", {**POD, "metadata": {"name": name, **metadata}})
        assert made.status == 201, made
        return made.value

    def running(self, name: str, **metadata: Any) -> Any:
        """A new pod on a node, Running and Ready."""
        self.pod(name, **metadata)
        path = f"/api/v1/namespaces/lab/pods/{name}"
        self.patch(path, {"spec": {"nodeName": "n1"}})
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        return self.patch(f"{path}/status", {"status": status}).value

    def budget(self, name: str, allowed: int, **labels: str) -> None:
        """A disruption budget that its controller has dealt with."""
        spec = {"minAvailable": 3, "selector": {"matchLabels": labels}}
        path = "/apis/policy/v1/namespaces/lab/poddisruptionbudgets"
        self.post(path, {"metadata": {"name": name}, "spec": spec})
        status = {"observedGeneration": 1, "disruptionsAllowed": allowed, "desiredHealthy": 3, "currentHealthy": 3}
        self.patch(f"{path}/{name}/status", {"status": status})


class Client:
    """Somebody who asks a running cluster."""

    def __init__(self, info: ClusterInfo, user: str = ADMIN) -> None:
        self.info = info
        self._token = info.tokens[user]
        self._context = ssl.create_default_context(cadata=info.ca)

    @contextlib.contextmanager
    def connection(self, timeout_s: float = 20.0) -> Iterator[http.client.HTTPSConnection]:
        port = urlsplit(self.info.url).port
        made = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout_s, context=self._context)
        try:
            yield made
        finally:
            made.close()

    def ask(self, method: str, path: str, value: Any = None, media: str = "application/json", **more: str) -> Reply:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": media, **more}
        with self.connection() as connection:
            connection.request(method, path, None if value is None else json.dumps(value), headers)
            reply = connection.getresponse()
            return Reply(reply.status, reply.read(), {name.lower(): text for name, text in reply.getheaders()})

    def get(self, path: str) -> Any:
        reply = self.ask("GET", path)
        assert reply.status == 200, reply
        return reply.value

    def items(self, path: str) -> list[Any]:
        return list(self.get(path)["items"])

    def make(self, path: str, value: Any) -> Any:
        reply = self.ask("POST", path, value)
        assert reply.status == 201, reply
        return reply.value


def until(seen: Callable[[], Any], within_s: float = 30.0) -> Any:
    """What is seen, as soon as it is true."""
    deadline = time.monotonic() + within_s
    while not (found := seen()):
        assert time.monotonic() < deadline, f"not seen within {within_s:g} s"
        time.sleep(0.05)
    return found


PORT = 8080
DEPLOYMENTS, PODS = "/apis/apps/v1/namespaces/{}/deployments", "/api/v1/namespaces/{}/pods"


def namespace(cluster: Client, name: str) -> str:
    cluster.make("/api/v1/namespaces", {"metadata": {"name": name}})
    return name


def workload(app: str, replicas: int, image: str = "registry.invalid/none:1", **pod: Any) -> Any:
    container = {"name": "main", "image": image, "ports": [{"containerPort": PORT}]}
    template = {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container], **pod}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": app}}, "template": template}
    return {"metadata": {"name": app}, "spec": spec}


def shop(service: str, replicas: int, **pod: Any) -> Any:
    return workload(service, replicas, f"chaos-runner-shop-{service}:1", **pod)


def ready(cluster: Client, ns: str, app: str = "") -> list[Any]:
    pods = cluster.items(PODS.format(ns) + (f"?labelSelector=app%3D{app}" if app else ""))
    return [pod for pod in pods if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]]


def is_ready(obj: Any) -> bool:
    return any((one["type"], one["status"]) == ("Ready", "True") for one in obj["status"].get("conditions", ()))


def name(obj: Any) -> str:
    return str(obj["metadata"]["name"])


def pid_of(pod: Any) -> int:
    return int(pod["status"]["containerStatuses"][0]["containerID"].removeprefix("pid://"))


def answer(address: str, port: int, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()
