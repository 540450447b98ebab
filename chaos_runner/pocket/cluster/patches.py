"""The three ways to patch a JSON value: merge, JSON patch and strategic merge. Nothing given is changed. Pure."""

from __future__ import annotations

from typing import Any

# Lists that a strategic merge takes apart, by the key that names an item; "" is a set of plain values. All others
# (taints and tolerations among them) are replaced as a whole.
MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "imagePullSecrets": "name",
    "secrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "conditions": "type",
    "addresses": "type",
    "podIPs": "ip",
    "ownerReferences": "uid",
    "finalizers": "",
}
OPERATIONS_MAX = 10_000


class Unpatchable(ValueError):
    """The patch is malformed, or does not apply."""


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386: null removes, lists are replaced."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def strategic(target: Any, patch: Any) -> Any:
    """A merge in which lists of named things are merged by name; understands `$patch` and its relatives."""
    if not isinstance(patch, dict):
        return patch
    old = target if isinstance(target, dict) else {}
    if patch.get("$patch") == "replace":
        return _without_directives(patch)
    merged = _retained(dict(old), patch)
    for key, value in patch.items():
        if key.startswith("$"):
            _directive(merged, key, value)
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged_field(key, merged.get(key), value)
    return _ordered(merged, patch)


def _merged_field(key: str, old: Any, value: Any) -> Any:
    if isinstance(value, dict) and value.get("$patch") == "delete":
        return {}
    if not isinstance(value, list):
        return strategic(old, value)
    by = _merge_key(key, value)
    if by is None:
        return value
    if by == "":
        return [*(old or ()), *(item for item in value if item not in (old or ()))]
    return _merged_list(by, old or [], value)


def _merge_key(key: str, items: list[Any]) -> str | None:
    if key == "ports":
        return "containerPort" if any("containerPort" in item for item in items) else "port"
    return MERGE_KEYS.get(key)


def _merged_list(by: str, old: list[Any], patch: list[Any]) -> list[Any]:
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    merged = list(old)
    for item in patch:
        if by not in item:
            raise Unpatchable(f"map: {item} does not contain declared merge key: {by}")
        where = next((n for n, found in enumerate(merged) if found.get(by) == item[by]), None)
        if item.get("$patch") == "delete":
            merged = [found for found in merged if found.get(by) != item[by]]
        elif where is None:
            merged.append(strategic({}, item))
        else:
            merged[where] = strategic(merged[where], item)
    return merged


def _directive(merged: dict[str, Any], key: str, value: Any) -> None:
    if key.startswith("$deleteFromPrimitiveList/"):
        field = key.partition("/")[2]
        merged[field] = [item for item in merged.get(field) or () if item not in value]


def _retained(old: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    kept = patch.get("$retainKeys")
    return old if kept is None else {key: value for key, value in old.items() if key in kept}


def _ordered(merged: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Lists in the order that `$setElementOrder` asks for; what it does not name comes last."""
    for key, order in patch.items():
        field = key.partition("/")[2]
        if not key.startswith("$setElementOrder/") or not isinstance(merged.get(field), list):
            continue
        places = {_name_of(field, item, order): n for n, item in enumerate(order)}
        merged[field] = sorted(merged[field], key=lambda item: places.get(_name_of(field, item, order), len(places)))
    return merged


def _name_of(field: str, item: Any, order: list[Any]) -> Any:
    if not isinstance(item, dict):
        return item
    by = _merge_key(field, [entry for entry in order if isinstance(entry, dict)]) or next(iter(item), "")
    return item.get(by)


def _without_directives(patch: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in patch.items() if not key.startswith("$")}


def json_patch(target: Any, operations: list[dict[str, Any]]) -> Any:
    """RFC 6902. Raises Unpatchable when any operation does not apply; then nothing is changed."""
    if len(operations) > OPERATIONS_MAX:
        raise Unpatchable(f"more than {OPERATIONS_MAX} operations")
    for operation in operations:
        try:
            target = _applied(target, operation)
        except (KeyError, IndexError, TypeError, AttributeError) as why:
            raise Unpatchable(f"{operation!r:.200} does not apply: {why!r}") from why
    return target


def _applied(target: Any, operation: dict[str, Any]) -> Any:
    steps = _steps(operation["path"])
    op = operation["op"]
    if op == "test":
        if _found(target, steps) != operation.get("value"):
            raise Unpatchable("test failed")
        return target
    if op in ("add", "replace"):
        return _set(target, steps, operation["value"], insert=op == "add")
    if op == "remove":
        return _removed(target, steps)
    if op in ("move", "copy"):
        source = _steps(operation["from"])
        value = _at(target, source)
        return _set(_removed(target, source) if op == "move" else target, steps, value, insert=True)
    raise Unpatchable(f"no such operation: {op!r}")


def _steps(pointer: str) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise Unpatchable(f"not a pointer: {pointer!r}")
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _at(target: Any, steps: list[str]) -> Any:
    for step in steps:
        target = target[_index(step, len(target) - 1)] if isinstance(target, list) else target[step]
    return target


def _found(target: Any, steps: list[str]) -> Any:
    try:
        return _at(target, steps)
    except (KeyError, IndexError, Unpatchable):
        return None  # a real server lets `test` with null pass where there is nothing


def _set(target: Any, steps: list[str], value: Any, *, insert: bool) -> Any:
    if not steps:
        return value
    step, *rest = steps
    if isinstance(target, list):
        return _set_in_list(target, step, rest, value, insert=insert)
    if rest or not insert:
        inner = target[step]
        return {**target, step: _set(inner, rest, value, insert=insert) if rest else value}
    return {**target, step: value}


def _set_in_list(target: list[Any], step: str, rest: list[str], value: Any, *, insert: bool) -> list[Any]:
    if insert and not rest:
        where = len(target) if step == "-" else _index(step, len(target))
        return [*target[:where], value, *target[where:]]
    where = _index(step, len(target) - 1)
    inner = _set(target[where], rest, value, insert=insert) if rest else value
    return [*target[:where], inner, *target[where + 1 :]]


def _removed(target: Any, steps: list[str]) -> Any:
    if not steps:
        raise Unpatchable("the whole cannot be removed")
    step, *rest = steps
    if isinstance(target, list):
        where = _index(step, len(target) - 1)
        inner = [_removed(target[where], rest)] if rest else []
        return [*target[:where], *inner, *target[where + 1 :]]
    if rest:
        return {**target, step: _removed(target[step], rest)}
    target[step]
    return {key: value for key, value in target.items() if key != step}


def _index(step: str, last: int) -> int:
    if not step.isdecimal() or int(step) > last:
        raise Unpatchable(f"no item {step!r}")
    return int(step)
