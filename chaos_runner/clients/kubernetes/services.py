"""What sends traffic to pods. No IO."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from chaos_runner.clients.kubernetes.objects import Meta, Place, Reference, Value


class ServiceSpec(Value, frozen=True, kw_only=True):
    """Which pods a service sends to."""

    selector: dict[str, str] | None = None
    cluster_ip: str = msgspec.field(name="clusterIP", default="")


class Service(Value, frozen=True, kw_only=True):
    """A service."""

    at: ClassVar[Place] = Place("", "v1", "services")

    metadata: Meta
    spec: ServiceSpec = ServiceSpec()


class EndpointConditions(Value, frozen=True, kw_only=True):
    """Whether an endpoint takes traffic; absent means yes."""

    ready: bool | None = None
    terminating: bool | None = None


class Endpoint(Value, frozen=True, kw_only=True):
    """One place that a service sends to."""

    addresses: tuple[str, ...] | None = None
    conditions: EndpointConditions = EndpointConditions()
    target_ref: Reference | None = None


class EndpointSlice(Value, frozen=True, kw_only=True):
    """Some of the places that a service sends to; the label `kubernetes.io/service-name` says which service."""

    at: ClassVar[Place] = Place("discovery.k8s.io", "v1", "endpointslices")

    metadata: Meta
    endpoints: tuple[Endpoint, ...] | None = None

    @property
    def ready(self) -> int:
        """How many of them take traffic."""
        return sum(endpoint.conditions.ready is not False for endpoint in self.endpoints or ())
