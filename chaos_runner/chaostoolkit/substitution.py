"""`${name}` in a file's values becomes a configuration value or a secret. No IO.

As Chaos Toolkit does it: configuration wins over secrets, whose groups are not named; text that is one pattern and
nothing else takes the value with its type; unknown names stay as they are, and so do the keys of mappings.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from typing import Any

_WHOLE = re.compile(r"\$\{(\w+)\}", re.ASCII)


def substituted(value: Any, configuration: Mapping[str, Any], secrets: Mapping[str, Mapping[str, Any]]) -> Any:
    """The value with every known name replaced, whatever it is nested in."""
    known = {**{name: one for group in secrets.values() for name, one in group.items()}, **configuration}
    return _replaced(value, known)


def names(value: Any) -> Iterator[str]:
    """Every name that a value asks for, in order, and again where it does so again."""
    if isinstance(value, str):
        yield from string.Template(value).get_identifiers()
    for one in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        yield from names(one)


def _replaced(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return _text(value, known)
    if isinstance(value, Mapping):
        return {key: _replaced(one, known) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(one, known) for one in value]
    return value


def _text(text: str, known: Mapping[str, Any]) -> Any:
    whole = _WHOLE.fullmatch(text)
    if whole:
        return known.get(whole[1], text)
    return string.Template(text).safe_substitute(known)
