"""Reads request bodies as Go's decoder does: keys in any case, text after the first value ignored, null as absent.

No IO. Whole numbers stay apart from `100.0`, which an integer field refuses.
"""

from __future__ import annotations

import json
import struct
from typing import Self, TypeAlias

from chaos_runner.proxy import errors

Object: TypeAlias = dict[str, object]

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
NAMES = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}


class Fraction(float):
    """A number written with a point or an exponent; remembers how it was written."""

    text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number


def refuse_constant(text: str) -> object:
    raise json.JSONDecodeError(f"invalid character '{text[0]}' looking for beginning of value", text, 0)


DECODER = json.JSONDecoder(parse_float=Fraction, parse_constant=refuse_constant, strict=True)


def first_value(body: bytes) -> object:
    """The first JSON value of the body; a 400 for anything else."""
    text = body.decode("utf-8", "replace").lstrip(" \t\r\n")
    if not text:
        raise errors.bad_body("EOF")
    try:
        value, _ = DECODER.raw_decode(text)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
        raise errors.bad_body("unexpected EOF" if cut else f"invalid JSON: {error.msg} at {error.pos}") from None
    except (RecursionError, ValueError):
        raise errors.bad_body("exceeded max depth or number size") from None
    return value


def an_object(value: object, go_type: str) -> Object:
    """The object's fields by lower-case key, nulls left out; the last of two equal keys wins, as in Go."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise errors.bad_body(f"json: cannot unmarshal {NAMES[plain(value)]} into Go value of type {go_type}")
    return {key.casefold(): item for key, item in value.items() if item is not None}


def an_array(value: object, go_type: str) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise errors.bad_body(f"json: cannot unmarshal {NAMES[plain(value)]} into Go value of type {go_type}")
    return value


def text_field(fields: Object, key: str, default: str, owner: str) -> str:
    value = fields.get(key, default)
    if not isinstance(value, str):
        raise mismatch(value, f"{owner}.{key}", "string")
    # Half of a surrogate pair cannot be written out again; Go replaces it too.
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def bool_field(fields: Object, key: str, default: bool, owner: str) -> bool:
    value = fields.get(key, default)
    if not isinstance(value, bool):
        raise mismatch(value, f"{owner}.{key}", "bool")
    return value


def float32_field(fields: Object, key: str, default: float, owner: str) -> float:
    value = fields.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise mismatch(value, f"{owner}.{key}", "float32")
    try:
        return float32(float(value))
    except OverflowError:
        raise mismatch(value, f"{owner}.{key}", "float32") from None


def int_field(fields: Object, key: str, default: int, owner: str, go_type: str = "int64") -> int:
    value = fields.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise mismatch(value, f"{owner}.{key}", go_type)
    if not INT64_MIN <= value <= INT64_MAX:
        raise mismatch(Fraction(str(value)), f"{owner}.{key}", go_type)
    return value


def float32(value: float) -> float:
    """The nearest 32-bit float, as the shortest decimal that means it; whole values come back as int."""
    # Only with a byte order does `pack` refuse what is too great.
    raw = struct.pack("<f", value)
    near: float = struct.unpack("<f", raw)[0]
    for digits in range(1, 10):
        short = float(f"{near:.{digits}g}")
        if struct.pack("<f", short) == raw:
            return int(short) if short.is_integer() and abs(short) < 1e21 else short
    return near


def mismatch(value: object, field: str, go_type: str) -> errors.ApiError:
    wanted_a_number = go_type in ("int64", "int", "float32")
    name = f"number {value.text}" if isinstance(value, Fraction) and wanted_a_number else NAMES[plain(value)]
    return errors.bad_body(f"json: cannot unmarshal {name} into Go struct field {field} of type {go_type}")


def plain(value: object) -> type:
    return float if isinstance(value, Fraction) else type(value)
