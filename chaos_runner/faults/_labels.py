"""Label selectors: whether a text is one, how an object's own is written, and whether labels match it. No IO."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chaos_runner.clients.kubernetes.objects import Selector

_KEY = r"(?:[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?"
_ONE = re.compile(
    rf"\s*(?:{_KEY}\s*(?:==?|!=)\s*{_VALUE}|!?\s*{_KEY}|{_KEY}\s+(?:in|notin)\s*\(\s*{_VALUE}(?:\s*,\s*{_VALUE})*\s*\))\s*"
)
_COMMA = re.compile(r",(?![^()]*\))")  # not those inside parentheses


def problem(text: str) -> str:
    """Why this is no label selector, as a sentence; empty where it is one."""
    wrong = next((part for part in _COMMA.split(text) if not _ONE.fullmatch(part)), None)
    if wrong is None:
        return ""
    return f"'{wrong.strip()}' is no part of a label selector, such as app=shop, tier!=cache or zone in (a, b)"


def written(selector: Selector | None) -> str:
    """The selector as a list takes it; empty where it selects everything, or nothing at all."""
    if selector is None:
        return ""
    equal = [f"{key}={value}" for key, value in sorted((selector.match_labels or {}).items())]
    return ",".join([*equal, *map(_expression, selector.match_expressions or ())])


def matches(selector: Selector | None, labels: Mapping[str, str] | None) -> bool:
    """Whether an object with these labels is selected; no selector selects none, an empty one every object."""
    if selector is None:
        return False
    has = labels or {}
    equal = all(has.get(key) == value for key, value in (selector.match_labels or {}).items())
    return equal and all(_holds(one, has) for one in selector.match_expressions or ())


_WORDS = {"In": "in", "NotIn": "notin"}
_Test = Callable[[Mapping[str, str], str, Sequence[str]], bool]
_TESTS: dict[str, _Test] = {
    "In": lambda has, key, values: has.get(key) in values,
    "NotIn": lambda has, key, values: has.get(key) not in values,
    "Exists": lambda has, key, values: key in has,
    "DoesNotExist": lambda has, key, values: key not in has,
}


def _expression(one: dict[str, Any]) -> str:
    key, operator = one.get("key", ""), one.get("operator", "")
    if operator in _WORDS:
        return f"{key} {_WORDS[operator]} ({','.join(one.get('values') or ())})"
    return key if operator == "Exists" else f"!{key}"


def _holds(one: dict[str, Any], has: Mapping[str, str]) -> bool:
    test = _TESTS.get(one.get("operator", ""))
    return test is not None and test(has, one.get("key", ""), one.get("values") or ())
