"""Libraries imported without what this program never uses of them: `validate` of a small file is mostly imports.

Nothing is taken from a library; regular expressions are compiled when first used, and a package is not found.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any


class _Later:
    """A regular expression that is compiled when first used."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._wanted = (pattern, flags)

    def __getattr__(self, name: str) -> Any:
        return getattr(re.compile(*self._wanted), name)  # compiled once: `re` remembers


@contextlib.contextmanager
def expressions_later() -> Iterator[None]:
    """For imports in this block: PyYAML compiles 11 ms of expressions that only its parser in Python needs."""
    compiled = re.compile
    re.compile = _Later  # type: ignore[assignment]
    try:
        yield
    finally:
        re.compile = compiled


@contextlib.contextmanager
def absent(package: str) -> Iterator[None]:
    """For imports in this block the package is not installed, unless it was imported before."""
    hidden = package not in sys.modules
    if hidden:
        sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules[package]
