"""The server's own words for success and failure, and how far a list goes. No IO."""

from __future__ import annotations

import msgspec

from chaos_runner.clients.kubernetes.objects import Value


class ListMeta(Value, frozen=True, kw_only=True):
    """How far a list goes."""

    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")
    remaining_item_count: int | None = None


class Cause(Value, frozen=True, kw_only=True):
    """One reason of a refusal."""

    reason: str = ""
    message: str = ""
    field: str = ""


class Details(Value, frozen=True, kw_only=True):
    """What a refusal is about."""

    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: tuple[Cause, ...] | None = None
    retry_after_seconds: int = 0


class Status(Value, frozen=True, kw_only=True):
    """The server's own words for success and failure."""

    kind: str
    status: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: Details | None = None
