"""Objects as plain dicts: reading them, and making changed copies. Nothing here changes a dict it was given. Pure."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

Obj = dict[str, Any]


def stamp(later_s: float = 0.0) -> str:
    """The present, in whole seconds, as the API writes it."""
    return (datetime.now(UTC) + timedelta(seconds=later_s)).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_stamp() -> str:
    """The present with microseconds, as leases have it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parsed(text: str) -> datetime:
    """The instant that a stamp names."""
    return datetime.fromisoformat(text)


def age_s(text: str) -> float:
    """Seconds since then."""
    return (datetime.now(UTC) - parsed(text)).total_seconds()


def new_uid() -> str:
    """A uid that nobody has had."""
    return str(uuid.uuid4())


def key(namespace: str, name: str) -> str:
    """Where the store keeps it."""
    return f"{namespace}/{name}" if namespace else name


def key_of(obj: Obj) -> str:
    """Where the store keeps this one."""
    return key(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def name(obj: Obj) -> str:
    """metadata.name"""
    return str(obj["metadata"]["name"])


def namespace(obj: Obj) -> str:
    """metadata.namespace, empty for what belongs to the cluster."""
    return str(obj["metadata"].get("namespace", ""))


def uid(obj: Obj) -> str:
    """metadata.uid"""
    return str(obj["metadata"]["uid"])


def labels(obj: Obj) -> dict[str, str]:
    """metadata.labels; do not change them."""
    return obj["metadata"].get("labels") or {}


def notes(obj: Obj) -> dict[str, str]:
    """metadata.annotations; do not change them."""
    return obj["metadata"].get("annotations") or {}


def terminating(obj: Obj) -> bool:
    """Whether its end was asked for."""
    return "deletionTimestamp" in obj["metadata"]


def controller(obj: Obj) -> Obj | None:
    """The owner reference of whoever controls it."""
    return next((ref for ref in obj["metadata"].get("ownerReferences") or () if ref.get("controller")), None)


def at(obj: Obj, *path: str, default: Any = None) -> Any:
    """The value at the end of a path of keys."""
    here: Any = obj
    for step in path:
        if not isinstance(here, dict) or step not in here:
            return default
        here = here[step]
    return here


def put(obj: Obj, value: Any, *path: str) -> Obj:
    """A copy with `value` at the end of the path."""
    first, *rest = path
    inner = put(obj.get(first) or {}, value, *rest) if rest else value
    return {**obj, first: inner}


def drop(obj: Obj, *path: str) -> Obj:
    """A copy without what is at the end of the path."""
    first, *rest = path
    if first not in obj:
        return obj
    if not rest:
        return {name: value for name, value in obj.items() if name != first}
    return {**obj, first: drop(obj[first] or {}, *rest)}


def without_nulls(value: Any) -> Any:
    """A copy in which nothing is null: what is null was not said."""
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def owner_reference(kind: Any, owner: Obj) -> Obj:
    """What a controlled object says of its controller."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "name": name(owner),
        "uid": uid(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def condition(obj: Obj, kind: str) -> Obj | None:
    """The status condition of that type."""
    return next((found for found in at(obj, "status", "conditions", default=()) or () if found["type"] == kind), None)


def is_true(obj: Obj, kind: str) -> bool:
    """Whether the status condition of that type is True."""
    found = condition(obj, kind)
    return found is not None and found["status"] == "True"


def with_condition(old: Iterable[Obj] | None, kind: str, status: str, reason: str = "", message: str = "") -> list[Obj]:
    """The conditions with this one set; its time of transition moves only with its status."""
    before = next((found for found in old or () if found["type"] == kind), None)
    same = before is not None and before["status"] == status
    since = before.get("lastTransitionTime") if before is not None and same else None
    fresh = {"type": kind, "status": status, "lastTransitionTime": since or stamp()}
    fresh |= {"reason": reason} if reason else {}
    fresh |= {"message": message} if message else {}
    others = [found for found in old or () if found["type"] != kind]
    return [*others, fresh] if before is None else [fresh if found["type"] == kind else found for found in old or ()]


def digest(value: Any, length: int = 10) -> str:
    """A short name for a value: the same for the same, in letters that spell nothing."""
    letters = "bcdfghjklmnpqrstvwxz2456789"
    number = int.from_bytes(hashlib.sha256(msgspec.json.encode(value, order="sorted")).digest()[:12], "big")
    text = ""
    while len(text) < length:
        number, rest = divmod(number, len(letters))
        text += letters[rest]
    return text


def spelled(number: int) -> str:
    """Five letters for a number; different ones for the first fourteen million numbers, and not in their order."""
    letters = "bcdfghjklmnpqrstvwxz2456789"
    number, text = number * 1_299_709 % len(letters) ** 5, ""
    for _ in range(5):
        number, rest = divmod(number, len(letters))
        text += letters[rest]
    return text


def suffix(random: Callable[[int], int]) -> str:
    """Five letters for a generated name."""
    letters = "bcdfghjklmnpqrstvwxz2456789"
    return "".join(letters[random(len(letters))] for _ in range(5))


def share_of(value: Any, whole: int, *, up: bool) -> int:
    """A count that was given as a number or in percent."""
    if isinstance(value, str) and value.endswith("%"):
        parts = int(value[:-1]) * whole
        return -(-parts // 100) if up else parts // 100
    return int(value)
