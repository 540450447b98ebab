"""Mappings in which one key is a kind: `{webhook: env:URL}`. The Struct has a field for it, and one for its value.

Such a Struct says so with `keyed`: the group of kinds, which is also the field's name, and the field of the value.
No IO.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from chaos_runner import spelling
from chaos_runner.load.nodes import Node, Pair, Path
from chaos_runner.load.problems import Problem, at
from chaos_runner.load.shapes import Field, fields

Kinds = Mapping[str, Mapping[str, Any]]


def keys(cls: Any, kinds: Kinds) -> tuple[Field, ...]:
    """The fields of a Struct as an author writes them: each kind is a key, and a sole one is required."""
    group, below = getattr(cls, "keyed", ("", ""))
    if not group:
        return fields(cls)
    value = next(field for field in fields(cls) if field.name == below)
    named = [Field(kind, kind, value.shape, len(kinds[group]) == 1) for kind in kinds.get(group, ())]
    return (*named, *(field for field in fields(cls) if field.name not in (group, below)))


def spelled_out(node: Node, cls: Any, kinds: Kinds, path: Path) -> Node | list[Problem]:
    """`webhook: REF` as `notifier: webhook` and `reference: REF`, told at the same place; or what is wrong with it."""
    group, below = cls.keyed
    plain = {field.key for field in fields(cls)} - {group, below}
    known = kinds.get(group, {})
    rest = [pair for pair in node.pairs if pair.key.kind != "text" or pair.key.value in plain]
    odd = [pair for pair in node.pairs if pair not in rest]
    wrong = [pair.key for pair in odd if pair.key.value not in known]
    if wrong:
        names = [*known, *sorted(name for name in plain if node.get(name) is None)]
        return [at(key, (*path, str(key.value)), spelling.unknown("key", str(key.value), names)) for key in wrong]
    if not odd:
        return [at(node, path, f"one of the keys {spelling.listed(known)} is needed here")]
    first, *others = odd
    if others:
        why = f"'{others[0].key.value}' does not go with '{first.key.value}'; write two entries, or remove one"
        return [at(others[0].key, (*path, str(others[0].key.value)), why)]
    value = msgspec.structs.replace(first.value, base=(*path, str(first.key.value)))
    given = ((group, first.key), (below, value))
    return msgspec.structs.replace(
        node, pairs=(*(Pair(msgspec.structs.replace(first.key, value=name), one) for name, one in given), *rest)
    )
