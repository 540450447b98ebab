"""The annotations of frozen Structs as one small vocabulary, for the loader, the schema and `explain`. No IO.

msgspec's own inspection refuses unions of untagged Structs; ours are told apart by their keys.
"""

from __future__ import annotations

import enum
import functools
import sys
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

Form = Literal["any", "null", "bool", "int", "float", "text", "choice", "list", "map", "struct", "union"]


class Rules(msgspec.Struct, frozen=True):
    """Limits and words from `msgspec.Meta`; where several speak, the last one wins."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    multiple_of: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    description: str = ""
    examples: tuple[Any, ...] = ()
    unit: str = ""
    noun: str = ""


class Shape(msgspec.Struct, frozen=True):
    """What a value may be. `of` holds the item of a list, the key and value of a map, the members of a union."""

    form: Form
    of: tuple[Shape, ...] = ()
    cls: Any = None
    choices: tuple[Any, ...] = ()
    rules: Rules = Rules()


class Field(msgspec.Struct, frozen=True):
    """One key of a mapping that becomes a Struct."""

    name: str
    key: str
    shape: Shape
    required: bool
    default: Any = None


_FORMS: dict[Any, Form] = {
    Any: "any",
    object: "any",
    None: "null",
    types.NoneType: "null",
    bool: "bool",
    int: "int",
    float: "float",
    str: "text",
}
_LISTS = (list, tuple, set, frozenset)


@functools.cache
def fields(cls: type[msgspec.Struct]) -> tuple[Field, ...]:
    """The fields of a Struct in order."""
    names = cls.__struct_fields__
    defaults = (msgspec.NODEFAULT,) * (len(names) - len(cls.__struct_defaults__)) + cls.__struct_defaults__
    rows = zip(names, cls.__struct_encode_fields__, _annotations(cls), defaults, strict=True)
    return tuple(_field(*row) for row in rows)


def _annotations(cls: type[msgspec.Struct]) -> Iterator[Any]:
    """What each field is annotated with: as `msgspec.structs.fields` says it, in a third of its time."""
    if hasattr(cls, "__parameters__"):  # generic: what its type variables stand for is msgspec's to find out
        return (info.type for info in msgspec.structs.fields(cls))
    owners = {name: one for one in reversed(cls.__mro__) for name in vars(one).get("__annotations__", ())}
    return (_evaluated(owners[name], name) for name in cls.__struct_fields__)


def _evaluated(owner: type, name: str) -> Any:
    said = vars(owner)["__annotations__"][name]
    return eval(said, vars(sys.modules[owner.__module__]), dict(vars(owner))) if isinstance(said, str) else said  # noqa: S307 - code of a class


def _field(name: str, key: str, annotation: Any, default: Any) -> Field:
    required = default is msgspec.NODEFAULT
    made = default.factory() if hasattr(default, "factory") else default
    return Field(name, key, shape(annotation), required, made)


def shape(annotation: Any) -> Shape:
    """The shape of an annotation. Raises TypeError for one that no file can express."""
    if get_origin(annotation) is Annotated:
        inner, *metas = get_args(annotation)
        return _ruled(shape(inner), metas)
    if annotation in _FORMS:
        return Shape(_FORMS[annotation])
    if isinstance(annotation, type) and not get_args(annotation):
        return _named(annotation)
    return _generic(annotation)


def _ruled(bare: Shape, metas: list[Any]) -> Shape:
    stated = {key: value for key, value in _stated(bare.rules).items() if value}
    for meta in metas:
        if isinstance(meta, msgspec.Meta):
            stated |= _stated(meta)
            stated |= {key: value for key, value in (meta.extra or {}).items() if key in ("unit", "noun")}
    return msgspec.structs.replace(bare, rules=Rules(**stated))


_RULES = ("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "pattern", "description", "examples")


def _stated(meta: Any) -> dict[str, Any]:
    pairs = ((name, getattr(meta, name, None)) for name in (*_RULES, "unit", "noun"))
    return {name: tuple(value) if name == "examples" else value for name, value in pairs if value not in (None, "", ())}


def _named(cls: type) -> Shape:
    if issubclass(cls, msgspec.Struct):
        return Shape("struct", cls=cls)
    if issubclass(cls, enum.Enum):
        return Shape("choice", cls=cls, choices=tuple(member.value for member in cls))
    if cls in _LISTS:
        return Shape("list", (Shape("any"),), cls)
    if cls is dict:
        return Shape("map", (Shape("text"), Shape("any")))
    msg = f"{cls.__name__} is not a type that a file can express"
    raise TypeError(msg)


def _generic(annotation: Any) -> Shape:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return Shape("choice", choices=args)
    if origin in (Union, types.UnionType):
        return Shape("union", tuple(shape(arg) for arg in args))
    if origin in _LISTS and (origin is not tuple or args[1:] == (...,)):
        return Shape("list", (shape(args[0]),), origin)
    if origin is dict:
        return Shape("map", (shape(args[0]), shape(args[1])))
    msg = f"{annotation!r} is not a type that a file can express"
    raise TypeError(msg)
