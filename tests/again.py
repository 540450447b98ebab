"""A run that ended UNKNOWN because this machine measured too little may be repeated once; nothing else is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
NOTED = "once more"  # the property by which a test says so, for the summary
UNMEASURED = re.compile(r"measured in \d+ of \d+ ticks, \d+ are needed|\d+ of \d+ results are unknown")
NOTHING_LEARNED = 3


def once(run: Callable[[int], T], ended: Callable[[T], tuple[int, str]]) -> tuple[T, str]:
    """What came of it, and why that was its second time; `ended` is its exit code and what it said."""
    first = run(1)
    code, said = ended(first)
    gap = UNMEASURED.search(said)
    if code != NOTHING_LEARNED or gap is None:
        return first, ""
    return run(2), gap.group()
