"""Objects with one field of ours: the note that says so, and who else has written the field since. No IO.

The note is written by the very request that changes the field, so that both have one manager in the object's
`managedFields`; a second manager of the field has written it after us. Servers without `managedFields` tell less.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chaos_runner.clients.kubernetes.objects import AnnotatedMeta, Node, Value
from chaos_runner.clients.kubernetes.workloads import Deployment, StatefulSet
from chaos_runner.faults._cluster import KEY

Setting = bool | int


class Managed(Value, frozen=True, kw_only=True):
    """Which fields one writer has written."""

    manager: str = ""
    fields: dict[str, Any] = msgspec.field(name="fieldsV1", default_factory=dict)


class OwnedMeta(AnnotatedMeta, frozen=True, kw_only=True):
    """Metadata with its writers."""

    managed_fields: tuple[Managed, ...] | None = None


class OwnedNode(Node, frozen=True, kw_only=True):
    """A node with its writers."""

    metadata: OwnedMeta


class OwnedDeployment(Deployment, frozen=True, kw_only=True):
    """A Deployment with its writers."""

    metadata: OwnedMeta


class OwnedStatefulSet(StatefulSet, frozen=True, kw_only=True):
    """A StatefulSet with its writers."""

    metadata: OwnedMeta


Owned = OwnedNode | OwnedDeployment | OwnedStatefulSet


class Note(msgspec.Struct, frozen=True):
    """What an annotation of ours says: whose change it is, and all that is needed to take it back."""

    mark: str
    was: Setting
    now: Setting


def key(aspect: str) -> str:
    """The annotation for a field."""
    return f"{KEY}/{aspect}"


def fence_key(aspect: str) -> str:
    """The annotation that only makes the object newer than any late request."""
    return f"{KEY}/fence-{aspect}"


def note(one: Owned, aspect: str) -> Note | None:
    """What the annotation says; None where there is none, or none in our words."""
    said = (one.metadata.annotations or {}).get(key(aspect))
    try:
        return None if said is None else msgspec.json.decode(said, type=Note)
    except msgspec.DecodeError:
        return None


def fence(one: Owned, aspect: str) -> str:
    """The mark that fences the object; empty where none does."""
    return (one.metadata.annotations or {}).get(fence_key(aspect), "")


def setting(one: Owned) -> Setting:
    """What its field says now: the one that a fault may change."""
    return one.spec.unschedulable if isinstance(one, OwnedNode) else one.wanted


def other_writer(one: Owned, aspect: str) -> str:
    """Who has written the field beside, or after, whoever wrote the note; empty where nobody is known."""
    writers = one.metadata.managed_fields or ()
    if not any(_has(writer, "f:metadata", "f:annotations", f"f:{key(aspect)}") for writer in writers):
        return ""
    others = [w for w in writers if not _has(w, "f:metadata", "f:annotations", f"f:{key(aspect)}")]
    return next((writer.manager or "somebody" for writer in others if _has(writer, "f:spec", f"f:{aspect}")), "")


def _has(writer: Managed, *path: str) -> bool:
    at: Any = writer.fields
    for step in path:
        if not isinstance(at, dict) or step not in at:
            return False
        at = at[step]
    return True
