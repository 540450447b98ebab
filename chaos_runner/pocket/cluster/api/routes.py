"""Which object or list a path names. Pure."""

from __future__ import annotations

import msgspec

from chaos_runner.pocket.cluster import kinds, objects
from chaos_runner.pocket.cluster.kinds import Kind


class Place(msgspec.Struct, frozen=True):
    """A collection, an object in it, or a subresource of that."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    sub: str = ""

    @property
    def key(self) -> str:
        """Where the store keeps the object."""
        return objects.key(self.namespace, self.name)

    @property
    def words(self) -> str:
        """How rights and errors name it: `pods` or `pods/eviction`."""
        return f"{self.kind.plural}/{self.sub}" if self.sub else self.kind.plural


def place_of(path: str) -> Place | None:
    """The place that a path names; None for a resource that is not served."""
    steps = path.strip("/").split("/")
    if steps[0] == "api" and len(steps) > 2:
        return _placed("", steps[1], steps[2:])
    if steps[0] == "apis" and len(steps) > 3:
        return _placed(steps[1], steps[2], steps[3:])
    return None


def is_group(path: str) -> bool:
    """Whether the path lies in a group and version that are served at all."""
    steps = [*path.strip("/").split("/"), "", ""]
    group, version = ("", steps[1]) if steps[0] == "api" else (steps[1], steps[2])
    return any((kind.group, kind.version) == (group, version) for kind in kinds.KINDS)


def _placed(group: str, version: str, steps: list[str]) -> Place | None:
    namespace = ""
    if steps[0] == "namespaces" and len(steps) > 2 and steps[2] not in ("status", "finalize"):
        namespace, steps = steps[1], steps[2:]
    kind = kinds.BY_PLACE.get((group, version, steps[0]))
    if kind is None or len(steps) > 3 or not all(steps) or (namespace and not kind.namespaced):
        return None
    name, sub = (*steps[1:], "", "")[:2]
    if (name and kind.namespaced and not namespace) or (sub and kind.sub(sub) is None):
        return None
    return Place(kind, namespace, name, sub)
