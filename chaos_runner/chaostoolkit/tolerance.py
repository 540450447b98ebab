"""Whether a probe's output is what the file tolerates. No IO.

The answers are Chaos Toolkit's, oddities included: two numbers are a range for a number and a choice for a reply with
a status; `true` accepts 1. Where Chaos Toolkit raises, the output could not be judged at all: that is `Unjudged` here,
and counts as unknown, never as met.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any


class Unjudged(Exception):
    """The output is not of a kind that the tolerance can judge; the message says which is which."""


def met(tolerance: Any, output: Any) -> bool:
    """True where it is met. Raises Unjudged. `probe` and `jsonpath` tolerances are judged elsewhere: ValueError."""
    if isinstance(tolerance, bool | str):
        return bool(output == tolerance)
    if isinstance(tolerance, int):
        return bool(_status(output) == tolerance)
    if isinstance(tolerance, list):
        return _among(tolerance, output)
    if isinstance(tolerance, Mapping) and tolerance.get("type") in _TYPES:
        return _TYPES[tolerance["type"]](tolerance, output)
    msg = f"a tolerance of this kind is not judged here: {_kind(tolerance)}"
    raise ValueError(msg)


def _status(output: Any) -> Any:
    return output["status"] if isinstance(output, Mapping) and "status" in output else output


def _among(choices: list[Any], output: Any) -> bool:
    if isinstance(output, Mapping) and "status" in output:
        return output["status"] in choices
    if len(choices) == 2:
        try:
            return bool(choices[0] <= output <= choices[1])
        except TypeError:
            msg = f"{_kind(output)} cannot be compared with {choices[0]!r:.40} and {choices[1]!r:.40}"
            raise Unjudged(msg) from None
    return output in choices


def _regex(tolerance: Mapping[str, Any], output: Any) -> bool:
    text = _aimed(tolerance, output)
    if not isinstance(text, str):
        msg = f"a regular expression needs text, the output is {_kind(text)}"
        raise Unjudged(msg)
    return re.search(tolerance["pattern"], text) is not None


def _range(tolerance: Mapping[str, Any], output: Any) -> bool:
    low, high = tolerance["range"]
    value = _aimed(tolerance, output)
    try:
        number = Decimal(value)
    except InvalidOperation:
        return False
    except (TypeError, ValueError):
        msg = f"a range needs a number, the output is {_kind(value)}"
        raise Unjudged(msg) from None
    if number.is_nan():
        msg = "a range needs a number, the output is none (NaN)"
        raise Unjudged(msg)
    return bool(Decimal(low) <= number <= Decimal(high))


def _aimed(tolerance: Mapping[str, Any], output: Any) -> Any:
    """The part of the output that `target:` names; the whole where none is named."""
    target = tolerance.get("target")
    if not target:
        return output
    if not isinstance(output, Mapping):
        msg = f"`target: {target!s:.40}` needs a mapping, the output is {_kind(output)}"
        raise Unjudged(msg)
    return output.get(target)


def _kind(value: Any) -> str:
    words = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
    return words.get(type(value), f"of type {type(value).__name__}")


_TYPES: dict[Any, Callable[[Mapping[str, Any], Any], bool]] = {"regex": _regex, "range": _range}
