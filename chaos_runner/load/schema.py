"""JSON Schema (draft-07, which editors understand) of the files, from the same types the loader reads. No IO."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import msgspec

from chaos_runner.expect import UNITS
from chaos_runner.load import keyed
from chaos_runner.load.shapes import Field, Rules, Shape, fields, shape
from chaos_runner.load.walk import OPEN, Kinds

DRAFT = "http://json-schema.org/draft-07/schema#"
_TYPES = {"null": "null", "bool": "boolean", "int": "integer", "float": "number", "text": "string"}


def schema(type_: Any, *, kinds: Kinds | None = None, parsed: Container[type] = ()) -> dict[str, Any]:
    """The schema of one kind of file. `parsed` are the Structs that are written as a scalar."""
    drawn = _Schema(kinds or {}, parsed)
    root = drawn.of(shape(type_))
    # Beside a bare $ref draft-07 would ignore the rest.
    return {
        "$schema": DRAFT,
        "title": type_.__name__,
        "allOf": [root],
        "definitions": dict(sorted(drawn.definitions.items())),
    }


def summary(cls: type) -> str:
    """The first paragraph of the Struct's own docstring, on one line."""
    return " ".join((cls.__dict__.get("__doc__") or "").split("\n\n")[0].split())


class _Schema:
    def __init__(self, kinds: Kinds, parsed: Container[type]) -> None:
        self.kinds, self.parsed = kinds, parsed
        self.definitions: dict[str, Any] = {}
        self.names: dict[type, str] = {}

    def of(self, shape: Shape) -> dict[str, Any]:
        described = {"description": shape.rules.description} if shape.rules.description else {}
        drawn = _FORMS[shape.form](self, shape)
        if described and "$ref" in drawn:  # draft-07 ignores everything beside a $ref
            drawn = {"allOf": [drawn]}
        examples = {"examples": list(shape.rules.examples)} if shape.rules.examples else {}
        return {**drawn, **described, **examples}

    def _any(self, _shape: Shape) -> dict[str, Any]:
        return {}

    def _scalar(self, shape: Shape) -> dict[str, Any]:
        if shape.rules.unit:
            return {"type": "string", "pattern": UNITS[shape.rules.unit][0], "maxLength": 64}
        return {"type": _TYPES[shape.form], **_bounds(shape.rules, "Length")}

    def _choice(self, shape: Shape) -> dict[str, Any]:
        return {"const": shape.choices[0]} if len(shape.choices) == 1 else {"enum": list(shape.choices)}

    def _list(self, shape: Shape) -> dict[str, Any]:
        return {"type": "array", "items": self.of(shape.of[0]), **_bounds(shape.rules, "Items")}

    def _map(self, shape: Shape) -> dict[str, Any]:
        key, value = shape.of
        names = {"propertyNames": self.of(key)} if key.rules != Rules() or key.form == "choice" else {}
        return {"type": "object", **names, "additionalProperties": self.of(value), **_bounds(shape.rules, "Properties")}

    def _union(self, shape: Shape) -> dict[str, Any]:
        return {"anyOf": [self.of(member) for member in shape.of]}

    def _struct(self, shape: Shape) -> dict[str, Any]:
        cls = shape.cls
        if cls not in self.parsed:
            return self._reference(cls)
        scalar = {"type": ["string", "number"], "description": summary(cls)}
        return {"anyOf": [scalar, self._reference(cls)]} if _strict(cls) else scalar

    def _reference(self, cls: Any) -> dict[str, Any]:
        if cls not in self.names:
            self.names[cls] = self._name(cls)
            self.definitions[self.names[cls]] = {}
            self.definitions[self.names[cls]] = self._definition(cls)
        return {"$ref": f"#/definitions/{self.names[cls]}"}

    def _name(self, cls: type) -> str:
        taken = sum(1 for other in self.names if other.__name__ == cls.__name__)
        return cls.__name__ + (str(taken + 1) if taken else "")

    def _definition(self, cls: Any) -> dict[str, Any]:
        known = keyed.keys(cls, self.kinds)
        drawn: dict[str, Any] = {
            "type": "object",
            "description": summary(cls),
            "properties": {field.key: self._field(field) for field in known},
            "additionalProperties": False,
        }
        required = [field.key for field in known if field.required]
        if required:
            drawn["required"] = required
        named = sorted(self.kinds.get(cls.keyed[0], ())) if hasattr(cls, "keyed") else []
        if len(named) > 1:
            drawn["oneOf"] = [{"required": [kind]} for kind in named]
        drawn |= self._by_kind(known)
        overridable = getattr(cls, "overridable", None)
        return {"anyOf": [drawn, _use(drawn, overridable)]} if overridable else drawn

    def _field(self, field: Field) -> dict[str, Any]:
        drawn = self.of(field.shape)
        if field.required or field.shape.rules.unit or field.default in (None, "", (), {}):
            return drawn
        try:
            default = msgspec.to_builtins(field.default)
        except TypeError:
            return drawn
        if isinstance(default, bool | int | float | str):
            drawn = {"allOf": [drawn], "default": default} if "$ref" in drawn else {**drawn, "default": default}
        return drawn

    def _by_kind(self, known: tuple[Field, ...]) -> dict[str, Any]:
        """What `with:` and `target:` must be for each kind that is named beside them."""
        kind = next((field for field in known if field.key in self.kinds and field.shape.form == "text"), None)
        if kind is None:
            return {}
        classes = self.kinds[kind.key]
        rules: list[dict[str, Any]] = [{"properties": {kind.key: {"enum": sorted(classes)}}}]
        for name in sorted(classes):
            condition = {"properties": {kind.key: {"const": name}}, "required": [kind.key]}
            rules.append({"if": condition, "then": self._opened(classes[name], known)})
        return {"allOf": rules}

    def _opened(self, cls: Any, known: tuple[Field, ...]) -> dict[str, Any]:
        wanted = {f.key: getattr(cls, OPEN[f.key], None) if OPEN[f.key] else cls for f in known if f.key in OPEN}
        given = {key: found for key, found in wanted.items() if found is not None}
        needed = [key for key, found in given.items() if any(field.required for field in fields(found))]
        then: dict[str, Any] = {"properties": {key: self._reference(found) for key, found in given.items()}}
        return {**then, "required": needed} if needed else then


def _strict(cls: Any) -> bool:
    return bool(cls.__struct_config__.forbid_unknown_fields)


def _use(drawn: dict[str, Any], overridable: tuple[str, ...]) -> dict[str, Any]:
    use = {"type": "string", "pattern": "^[^/#~][^#]*#[^#]+$", "description": "a shared check, FILE#NAME"}
    properties = {"use": use, **{key: drawn["properties"][key] for key in overridable}}
    return {"type": "object", "properties": properties, "required": ["use"], "additionalProperties": False}


def _bounds(rules: Rules, counted: str) -> dict[str, Any]:
    pairs = (
        ("minimum", rules.ge),
        ("exclusiveMinimum", rules.gt),
        ("maximum", rules.le),
        ("exclusiveMaximum", rules.lt),
        ("multipleOf", rules.multiple_of),
        (f"min{counted}", rules.min_length),
        (f"max{counted}", rules.max_length),
        ("pattern", rules.pattern),
    )
    return {name: value for name, value in pairs if value is not None}


_FORMS: dict[str, Callable[[_Schema, Shape], dict[str, Any]]] = {
    **dict.fromkeys(("null", "bool", "int", "float", "text"), _Schema._scalar),  # noqa: SLF001
    "any": _Schema._any,  # noqa: SLF001
    "choice": _Schema._choice,  # noqa: SLF001
    "list": _Schema._list,  # noqa: SLF001
    "map": _Schema._map,  # noqa: SLF001
    "union": _Schema._union,  # noqa: SLF001
    "struct": _Schema._struct,  # noqa: SLF001
}
