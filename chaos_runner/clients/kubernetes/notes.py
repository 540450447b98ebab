"""What is written down in the cluster: events, and leases with who holds them. No IO."""

from __future__ import annotations

from typing import ClassVar

from chaos_runner.clients.kubernetes.objects import Meta, Place, Reference, Value

RUN_LABEL = "chaos-runner/run"  # on every event of ours: which run


class Event(Value, frozen=True, kw_only=True):
    """Something that happened to an object."""

    at: ClassVar[Place] = Place("", "v1", "events")

    metadata: Meta
    involved_object: Reference = Reference()
    type: str = "Normal"
    reason: str = ""
    message: str = ""
    count: int | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None


class LeaseSpec(Value, frozen=True, kw_only=True):
    """Who holds a lease, and since when; times carry microseconds."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(Value, frozen=True, kw_only=True):
    """A lease."""

    at: ClassVar[Place] = Place("coordination.k8s.io", "v1", "leases")

    metadata: Meta
    spec: LeaseSpec = LeaseSpec()
