"""Writes into the cluster what people and other runners should know: events, and leases. Network."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import msgspec

from chaos_runner._version import __version__
from chaos_runner.clients.kubernetes import answers, paths
from chaos_runner.clients.kubernetes.connection import CALL_S, Cluster
from chaos_runner.clients.kubernetes.notes import Event, Lease, LeaseSpec
from chaos_runner.clients.kubernetes.objects import Reference

COMPONENT = "chaos-runner"
REASON_MAX, MESSAGE_MAX = 128, 1024


async def tell(
    cluster: Cluster,
    about: Reference,
    reason: str,
    message: str,
    *,
    warning: bool = False,
    labels: dict[str, str] | None = None,
    limit_s: float = CALL_S,
) -> Event:
    """An event about an object, as `kubectl describe` shows it; those about a node are in `default`."""
    namespace = about.namespace or "default"
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{about.name[:200]}.{secrets.token_hex(8)}",
            "namespace": namespace,
            "labels": labels or {},
        },
        "involvedObject": about,
        "type": "Warning" if warning else "Normal",
        "reason": reason[:REASON_MAX],
        "message": message[:MESSAGE_MAX],
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "source": {"component": COMPONENT, "host": ""},
        "reportingComponent": f"{COMPONENT}/{__version__}",
    }
    path = paths.collection(Event.at, namespace)
    answer = await cluster.call("POST", path, msgspec.json.encode(body), limit_s=limit_s)
    return answers.read(Event, answer, f"POST {path}")


async def take(cluster: Cluster, namespace: str, name: str, spec: LeaseSpec, *, limit_s: float = CALL_S) -> Lease:
    """Makes a lease. Raises AlreadyExists where somebody has it, also one that has run out."""
    path = paths.collection(Lease.at, namespace)
    body = _lease(namespace, name, spec)
    return answers.read(Lease, await cluster.call("POST", path, body, limit_s=limit_s), f"POST {path}")


async def renew(cluster: Cluster, lease: Lease, spec: LeaseSpec, *, limit_s: float = CALL_S) -> Lease:
    """Puts a lease in the place of the one that was read. Raises Conflict where somebody else was faster."""
    meta = lease.metadata
    path = paths.single(Lease.at, meta.namespace, meta.name)
    body = _lease(meta.namespace, meta.name, spec, meta.resource_version, meta.uid)
    return answers.read(Lease, await cluster.call("PUT", path, body, limit_s=limit_s), f"PUT {path}")


def micro(at: datetime) -> str:
    """A time as leases want it: always with microseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _lease(namespace: str, name: str, spec: LeaseSpec, resource_version: str = "", uid: str = "") -> bytes:
    held = {key: value for key, value in msgspec.to_builtins(spec).items() if value is not None}
    read = {"resourceVersion": resource_version, "uid": uid} if resource_version else {}
    body = {
        "apiVersion": Lease.at.api_version,
        "kind": "Lease",
        "metadata": {"name": name, "namespace": namespace, **read},
        "spec": held,
    }
    return msgspec.json.encode(body)
