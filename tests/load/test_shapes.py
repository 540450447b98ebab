"""The shapes of fields: what our own reading of annotations finds is what msgspec finds."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec
import pytest

from chaos_runner import model, registry
from chaos_runner.load.shapes import Shape, fields, shape

T = TypeVar("T")


class Box(msgspec.Struct, Generic[T]):
    inside: T


class Numbers(Box[int]):
    more: tuple[float, ...] = ()


class Outer(msgspec.Struct, rename="kebab"):
    Alias = int  # a name that only the class knows

    one_name: Alias
    some: list[str] = msgspec.field(default_factory=list)


def structs() -> list[type[msgspec.Struct]]:
    ours = [value for value in vars(model).values() if isinstance(value, type) and issubclass(value, msgspec.Struct)]
    kinds = (registry.faults, registry.probes, registry.notifiers)
    return [*ours, *(known[name] for known in kinds for name in known), Numbers, Outer]


@pytest.mark.parametrize("cls", structs(), ids=lambda cls: cls.__name__)
def test_the_fields_are_those_that_msgspec_sees(cls: type[msgspec.Struct]) -> None:
    seen = msgspec.structs.fields(cls)

    assert [(one.name, one.key, one.required, one.shape) for one in fields(cls)] == [
        (info.name, info.encode_name, info.required, shape(info.type)) for info in seen
    ]


def test_a_field_whose_default_is_made_has_it_made() -> None:
    name, some = fields(Outer)

    assert (name.key, name.required, name.shape) == ("one-name", True, Shape("int"))
    assert (some.required, some.default) == (False, [])
