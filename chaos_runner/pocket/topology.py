"""The demo shop in one table: who is there, on which port, who calls whom, how often. No IO.

The demo's worlds, `docker-compose.yml` and the manifests under `deploy/shop` are all made from it.
"""

from __future__ import annotations

from typing import Any

import msgspec

Obj = dict[str, Any]

NAMESPACE = "shop"
IMAGE = "chaos-runner-shop:1"
PROGRAM = ("python", "-m", "chaos_runner.pocket.shop")
PORT = 8080
API_PORT = 8474
TOXIPROXY = "ghcr.io/shopify/toxiproxy:2.12.0"


class Part(msgspec.Struct, frozen=True):
    """One service of the shop."""

    name: str
    replicas: int = 1
    listener: int = 0  # the port of the proxy that stands before it; 0: it is called directly
    calls: dict[str, str] = {}  # environment variable -> the service whose address it holds
    per_pod: dict[str, str] = {}  # environment of each of several equal pods
    budget: int = 0  # so many have to stay when pods are evicted


# One payments pod alone cannot carry the 40 requests a second of the experiments, two can; a new one is of no use
# for five seconds. That is why the loss of one is felt by those who only wait.
CAPACITY = {"CAPACITY": "30", "WARM_UP": "5"}

PARTS = (
    Part("payments", replicas=2, listener=21001, per_pod=CAPACITY, budget=1),
    Part("catalog", listener=21002),
    Part("checkout", calls={"PAYMENTS_URL": "payments"}),
    Part("gateway", calls={"CHECKOUT_URL": "checkout", "CATALOG_URL": "catalog"}),
)
EDGE = "gateway"
BY_NAME = {part.name: part for part in PARTS}
PROXIED = tuple(part for part in PARTS if part.listener)


def environment(part: Part, mode: str, proxy: str) -> dict[str, str]:
    """What a service finds in its environment where names are addresses, as in a cluster."""
    return {
        "LISTEN": f"0.0.0.0:{PORT}",
        "MODE": mode,
        **{variable: address(BY_NAME[name], proxy) for variable, name in part.calls.items()},
        **part.per_pod,
    }


def address(part: Part, proxy: str) -> str:
    """Where others call it: at the proxy that stands before it, if one does."""
    return f"http://{proxy}:{part.listener}" if part.listener else f"http://{part.name}:{PORT}"


def proxies(more: dict[str, tuple[int, str]] | None = None) -> list[Obj]:
    """What a Toxiproxy server is told at its start; `more` names other listeners and their upstreams."""
    rows = {part.name: (part.listener, f"{part.name}:{PORT}") for part in PROXIED} | (more or {})
    return [
        {"name": name, "listen": f"0.0.0.0:{port}", "upstream": upstream, "enabled": True}
        for name, (port, upstream) in rows.items()
    ]


def objects(part: Part, mode: str, env: dict[str, str] | None = None) -> list[Obj]:
    """Deployment, Service and, where some have to stay, disruption budget of one service."""
    found = [_deployment(part, mode, env or {}), _service(part.name, {"http": PORT})]
    if part.budget:
        found.append(_budget(part))
    return found


def namespace() -> Obj:
    """The namespace that all of it lives in."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def in_pods(mode: str, env: dict[str, str]) -> list[Obj]:
    """What of a demo world lives in its pocket cluster: payments. `env` is added to each pod's environment."""
    return [namespace(), *objects(BY_NAME["payments"], mode, env)]


def manifests(mode: str) -> list[Obj]:
    """The whole shop for a cluster of one's own, with a Toxiproxy of its own."""
    return [namespace(), *(obj for part in PARTS for obj in objects(part, mode)), *_toxiproxy()]


def _deployment(part: Part, mode: str, more: dict[str, str]) -> Obj:
    env = environment(part, mode, "toxiproxy") | more
    probe = {"httpGet": {"path": "/readyz", "port": PORT}, "periodSeconds": 1}
    container = {
        "name": part.name,
        "image": IMAGE,
        "command": list(PROGRAM),
        "args": [part.name],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": probe,
    }
    return _workload(part.name, part.replicas, {"containers": [container], "terminationGracePeriodSeconds": 5})


def _workload(name: str, replicas: int, pod: Obj) -> Obj:
    labels = {"app": name}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _named(name), "spec": spec}


def _service(name: str, ports: dict[str, int]) -> Obj:
    rows = [{"name": word, "port": port, "targetPort": port} for word, port in ports.items()]
    spec = {"selector": {"app": name}, "ports": rows}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _named(name), "spec": spec}


def _budget(part: Part) -> Obj:
    spec = {"minAvailable": part.budget, "selector": {"matchLabels": {"app": part.name}}}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": _named(part.name), "spec": spec}


def _toxiproxy() -> list[Obj]:
    config = {"toxiproxy.json": msgspec.json.format(msgspec.json.encode(proxies()), indent=2).decode() + "\n"}
    container = {
        "name": "toxiproxy",
        "image": TOXIPROXY,
        "args": ["-host=0.0.0.0", "-config=/config/toxiproxy.json"],
        "ports": [{"containerPort": port} for port in (API_PORT, *(part.listener for part in PROXIED))],
        "readinessProbe": {"httpGet": {"path": "/version", "port": API_PORT}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": "/config"}],
    }
    pod = {"containers": [container], "volumes": [{"name": "config", "configMap": {"name": "toxiproxy"}}]}
    ports = {"api": API_PORT} | {part.name: part.listener for part in PROXIED}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _named("toxiproxy"), "data": config},
        _workload("toxiproxy", 1, pod),
        _service("toxiproxy", ports),
    ]


def _named(name: str) -> Obj:
    return {"name": name, "namespace": NAMESPACE, "labels": {"app": name}}
